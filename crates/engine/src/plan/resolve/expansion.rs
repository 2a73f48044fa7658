//! How far a plan may grow when its matrices are written out.

use crate::plan::text::{DiagnosticCode, Diagnostics, Span};

/// Most items of a plan, the cells of matrices among them.
pub(in crate::plan) const MAX_CELLS: usize = 10_000;

/// Most needs of all items together: each cell of a matrix may need each of another.
const MAX_NEEDS: usize = 100_000;

/// What all texts of all cells may weigh, in bytes.
const MAX_WEIGHT: usize = 16 << 20;

/// What a piece of a text weighs in addition to its bytes.
pub(in crate::plan) const PIECE_WEIGHT: usize = 32;

/// What is left of the bounds; `None` once one was passed, which is reported once.
#[derive(Debug)]
pub(in crate::plan) struct Expansion {
    needs_left: Option<usize>,
    weight_left: Option<usize>,
}

impl Expansion {
    pub(in crate::plan) fn new() -> Self {
        Self { needs_left: Some(MAX_NEEDS), weight_left: Some(MAX_WEIGHT) }
    }

    /// Whether the plan grew beyond what is looked at.
    pub(in crate::plan) fn is_spent(&self) -> bool {
        self.needs_left.is_none() || self.weight_left.is_none()
    }

    /// Takes a piece of text from what all of them may weigh.
    pub(super) fn weigh(
        &mut self,
        bytes: usize,
        item: Span,
        diagnostics: &mut Diagnostics<'_>,
    ) -> bool {
        let Some(left) = self.weight_left else { return false };
        self.weight_left = left.checked_sub(bytes + PIECE_WEIGHT);
        if self.weight_left.is_none() {
            let message = format!(
                "with all placeholders filled in, the text of this plan is larger than {} MiB",
                MAX_WEIGHT >> 20
            );
            diagnostics
                .error(DiagnosticCode::TooLarge, item, message)
                .hint("put long text in files and list them as inputs");
        }
        self.weight_left.is_some()
    }

    /// Whether so many more needs do not bring the plan beyond what is looked at.
    pub(super) fn has_room_for(&self, needs: usize) -> bool {
        self.needs_left.is_some_and(|left| left >= needs)
    }

    /// Takes a need from what all items may have together.
    pub(super) fn need(&mut self, item: Span, diagnostics: &mut Diagnostics<'_>) -> bool {
        let Some(left) = self.needs_left else { return false };
        self.needs_left = left.checked_sub(1);
        if self.needs_left.is_none() {
            let message = format!("this item brings the plan to more than {MAX_NEEDS} needs");
            diagnostics.error(DiagnosticCode::TooLarge, item, message).hint(
                "use a group, or a whole matrix that is in no group, which counts as one need",
            );
        }
        true
    }
}
