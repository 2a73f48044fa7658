//! Whether a plan that is being read is still wanted: plans name each other, and a few words of one
//! may stand for hundreds of files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::text::{DiagnosticCode, PlanError};

/// Says to who reads and compiles a plan whether somebody still waits for it. It is asked between
/// files, of which none takes long.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    given_up: Arc<AtomicBool>,
    until: Option<Instant>,
    /// How many bytes of plan files may still be read; absent without a limit.
    bytes_left: Option<Arc<AtomicUsize>>,
}

impl Wanted {
    /// Wanted as long as this, and only if it takes no longer and reads no more bytes of plan
    /// files.
    #[must_use]
    pub fn for_at_most(&self, time: Duration, bytes: usize) -> Self {
        Self {
            given_up: Arc::clone(&self.given_up),
            until: Instant::now().checked_add(time),
            bytes_left: Some(Arc::new(AtomicUsize::new(bytes.saturating_add(1)))),
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
            || self.bytes_left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0)
    }

    /// The same as [`Self::check`] before a plan file of so many bytes is looked at.
    pub(super) fn check_file(&self, path: &Path, bytes: usize) -> Result<(), PlanError> {
        if let Some(left) = &self.bytes_left {
            let taken = |left: usize| Some(left.saturating_sub(bytes));
            let _always = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        }
        self.check(path)
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
