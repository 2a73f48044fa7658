//! Whether an engine carries a run out. One that nobody carries out binds nothing, and the time
//! until an engine takes it up again does not count.

use serde::{Deserialize, Serialize};

use super::event::Interrupted;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Carried {
    /// What the record says of its interruption, until it is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interruption: Option<Interruption>,
    /// Whether the engine that carried it out is another one than the one that looks. A crash
    /// leaves no event, so the record alone does not tell.
    #[serde(skip)]
    left: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interruption {
    reason: String,
    ends_sessions: bool,
}

impl Carried {
    pub(super) fn interrupt(&mut self, interrupted: &Interrupted) {
        let before = self.interruption.take();
        // What only notes that it still is says nothing new of why.
        let reason = match before {
            Some(before) if interrupted.reason.is_empty() => before.reason,
            _ => interrupted.reason.clone(),
        };
        self.interruption = Some(Interruption { reason, ends_sessions: interrupted.ends_sessions });
    }

    pub(super) fn resume(&mut self) {
        *self = Self::default();
    }

    /// The engine that carried it out is gone.
    pub(super) fn leave(&mut self) {
        self.left = true;
    }

    /// An engine carries it out from here on, and has not said so on the record.
    pub(super) fn take_over(&mut self) {
        self.left = false;
    }

    pub(super) fn is_carried(&self) -> bool {
        !self.left && self.interruption.is_none()
    }

    /// Whether the record says that it was interrupted.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interruption.is_some()
    }

    /// Whether it was interrupted so that its running sessions are to end.
    pub(super) fn ends_sessions(&self) -> bool {
        self.interruption.as_ref().is_some_and(|interruption| interruption.ends_sessions)
    }

    /// Why nobody carries it out, if nobody does; empty if that is not known.
    pub(super) fn interruption(&self) -> Option<&str> {
        match &self.interruption {
            Some(interruption) => Some(&interruption.reason),
            None => self.left.then_some(""),
        }
    }
}
