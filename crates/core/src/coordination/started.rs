//! What a coordination is started with, as its first event says it.

use super::error::ConfigError;
use super::event::Started;
use super::limits::{MAX_ATTEMPTS_LIMIT, MAX_CONCURRENCY, MAX_DEPTH};

/// A number that a start chooses. Configurations and recorded starts are checked by one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    MaxAttempts,
    Breaker,
    Concurrency,
    Width,
}

impl Setting {
    /// The name that people give it, and its largest value; the smallest is 1.
    fn range(self) -> (&'static str, u32) {
        match self {
            Self::MaxAttempts => ("max_attempts_per_work", MAX_ATTEMPTS_LIMIT),
            Self::Breaker => ("breaker", u32::MAX),
            Self::Concurrency => ("concurrency", MAX_CONCURRENCY),
            Self::Width => ("width", MAX_CONCURRENCY),
        }
    }

    /// Whether it may have this value.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`].
    pub(super) fn check(self, actual: u32) -> Result<(), ConfigError> {
        let (field, max) = self.range();
        if (1..=max).contains(&actual) {
            return Ok(());
        }
        Err(ConfigError::OutOfRange { field, actual: actual.into(), min: 1, max: max.into() })
    }
}

/// Why a recorded start cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum IllegalStart {
    /// No configuration could say it.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    #[error("it is nested {depth} deep")]
    TooDeep { depth: u8 },
}

/// Whether a first event's numbers are in range.
pub(super) fn check_started(started: &Started) -> Result<(), IllegalStart> {
    let widths = started.widths.values().map(|width| (Setting::Width, *width));
    let settings = [
        (Setting::MaxAttempts, started.policies.max_attempts),
        (Setting::Breaker, started.policies.breaker),
        (Setting::Concurrency, started.concurrency),
    ];
    for (setting, actual) in settings.into_iter().chain(widths) {
        setting.check(actual)?;
    }
    if started.depth > MAX_DEPTH {
        return Err(IllegalStart::TooDeep { depth: started.depth });
    }
    Ok(())
}
