//! `on_exhausted:`: what a run does when it reaches a ceiling.

use crate::plan::mapping::ValueKind;
use crate::plan::text::{Diagnostics, Node};

pub(super) const ON_EXHAUSTED: ValueKind = ValueKind::Word(&["stop", "pause"]);

/// Whether it pauses.
pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<bool> {
    diagnostics.choice(node, &[("stop", false), ("pause", true)])
}
