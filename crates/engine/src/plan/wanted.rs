//! Whether a plan that is being read is still wanted: plans name each other, and a few words of one
//! may stand for hundreds of files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::text::{DiagnosticCode, PlanError};

/// Says to who reads and compiles a plan whether somebody still waits for it. It is asked between
/// files, of which none takes long.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    given_up: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Wanted {
    /// Wanted for so long, and no longer than this.
    #[must_use]
    pub fn for_at_most(&self, time: Duration) -> Self {
        let until = Instant::now().checked_add(time);
        Self {
            given_up: Arc::clone(&self.given_up),
            until: self.until.into_iter().chain(until).min(),
        }
    }

    /// Nobody waits any more, here and wherever this was cloned to.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
            || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// A problem in place of what would follow if nobody waits for it.
    pub(super) fn check(&self, path: &Path) -> Result<(), PlanError> {
        if !self.is_over() {
            return Ok(());
        }
        let message = "reading this plan took too long, or nobody waits for it any more";
        Err(PlanError::of_file(DiagnosticCode::Unreadable, path, message))
    }
}
