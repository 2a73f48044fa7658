//! Events of items before and after their sessions.

use antiphon::coordination::WorkStage;
use antiphon::event::{WorkAdded, WorkSkipped};

use super::sentence::{Sentence, names};
use crate::colour::Colour;
use crate::labels::skip_reason;

pub(super) fn added(added: &WorkAdded) -> Sentence {
    // Items that had left memory come back when something new needs them.
    if added.items.is_empty() {
        let recalled = names(added.recalled.iter().map(|item| &item.work.id));
        return Sentence::new("recalled", Colour::Plain, format!(" {recalled}"));
    }
    Sentence::new(
        "added",
        Colour::Plain,
        format!(" {}", names(added.items.iter().map(|item| &item.id))),
    )
}

pub(super) fn skipped(skipped: &WorkSkipped) -> Sentence {
    let text = format!(" {}: {}", names(skipped.works.iter()), skip_reason(&skipped.because));
    let stage = WorkStage::Skipped;
    Sentence::new(stage.as_str(), stage, text)
}
