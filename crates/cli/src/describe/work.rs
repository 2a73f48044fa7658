//! Events of items before and after their sessions.

use antiphon::coordination::{Reused, WorkStage};
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
    let taken_over = taken_over(added).unwrap_or_default();
    let text = format!(" {}{taken_over}", names(added.items.iter().map(|item| &item.id)));
    Sentence::new("added", Colour::Plain, text)
}

/// How many of the items are taken over, and from which run; all are from the same.
fn taken_over(added: &WorkAdded) -> Option<String> {
    let reused: Vec<&Reused> =
        added.items.iter().filter_map(|item| item.reused.as_deref()).collect();
    let from = &reused.first()?.from;
    let count =
        if reused.len() == added.items.len() { "all".to_owned() } else { reused.len().to_string() };
    Some(format!("; {count} taken over from run {from}"))
}

pub(super) fn skipped(skipped: &WorkSkipped) -> Sentence {
    let text = format!(" {}: {}", names(skipped.works.iter()), skip_reason(&skipped.because));
    let stage = WorkStage::Skipped;
    Sentence::new(stage.as_str(), stage, text)
}
