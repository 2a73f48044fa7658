//! One step of the gate: a name to call it by, what it does in one line, and how it can end.

use crate::workspace::Workspace;

/// A step of `cargo xtask check`.
pub(crate) struct Step {
    name: &'static str,
    title: &'static str,
    run: fn(&Workspace) -> Result<Done, String>,
}

impl Step {
    pub(crate) const fn new(
        name: &'static str,
        title: &'static str,
        run: fn(&Workspace) -> Result<Done, String>,
    ) -> Self {
        Self { name, title, run }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn run(&self, workspace: &Workspace) -> Result<Done, String> {
        (self.run)(workspace)
    }
}

/// How a step that did not fail has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It ran and found nothing wrong.
    Passed,
    /// It could not run here; the text says why and what to do.
    Skipped(String),
}
