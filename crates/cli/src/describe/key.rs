//! Changes of keys.

use antiphon::event::KeySet;
use antiphon::keys::{GATE_SCALE, gate_of};
use antiphon_server::KeyChangeLine;

use super::sentence::{Sentence, names, shortened};
use crate::colour::Colour;

pub(super) fn set(set: &KeySet) -> Sentence {
    let changes = set.changes.iter().map(|change| match (&change.value, &change.digest) {
        (Some(value), _) => match (gate_of(&change.key), value.as_str().parse::<i64>()) {
            (Some(gate), Ok(score)) => format!("gate {gate} = {}", score_text(score)),
            _ => format!("{} = {}", change.key, value.as_str()),
        },
        (None, Some(digest)) => format!("{} = blob {digest}", change.key),
        (None, None) => format!("{} gone", change.key),
    });
    Sentence::new("key", Colour::Plain, format!(" {} by {}", names(changes), set.by))
}

/// The score of a gate as people write it.
pub(crate) fn score_text(millionths: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is shown, not compared")]
    let score = millionths as f64 / GATE_SCALE as f64;
    score.to_string()
}

/// What somebody watched, with the beginning of its value.
pub(crate) fn changed(change: &KeyChangeLine) -> Sentence {
    let KeyChangeLine { key, value, gone, by, .. } = change;
    let what = match value {
        Some(value) => format!(" = {}", shortened(value.get())),
        None if *gone => " gone".to_owned(),
        None => ", its value erased".to_owned(),
    };
    Sentence::new(key, Colour::Plain, format!("{what} by {by}"))
}
