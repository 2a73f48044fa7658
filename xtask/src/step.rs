//! One step of the gate: a name to call it by, what it does in one line, and how it can end.

use crate::workspace::Workspace;

/// A step of `cargo xtask check`.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: fn(&Workspace) -> Result<Done, String>,
}

/// How a step that did not fail has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It ran and found nothing wrong.
    Passed,
    /// It could not run here; the text says why and what to do.
    Skipped(String),
}
