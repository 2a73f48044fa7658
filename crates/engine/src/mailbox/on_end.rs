//! What became of the command that a plan names for the end of its run.

use antiphon_core::id::Version;

/// What became of the command for the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnEnd {
    /// The run has none, or has not ended.
    None,
    /// It is carried out by the next engine that runs processes.
    Waiting,
    /// It has ended.
    Ended {
        /// Why it failed, if it did and the engine that saw it still runs.
        failure: Option<String>,
    },
}

/// How the attempts at such a command ended.
#[derive(Debug)]
pub(crate) struct AttemptsEnd {
    /// The last event of the run.
    version: Version,
    /// Why the last attempt failed, if none succeeded.
    failure: Option<String>,
}

impl AttemptsEnd {
    /// The end of attempts for a run with this last event.
    pub(crate) fn new(version: Version, failure: Option<String>) -> Self {
        Self { version, failure }
    }

    /// The last event of the run, and why the last attempt failed, if none succeeded.
    pub(crate) fn into_parts(self) -> (Version, Option<String>) {
        (self.version, self.failure)
    }
}
