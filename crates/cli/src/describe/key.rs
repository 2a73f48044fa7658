//! Changes of keys.

use antiphon::event::KeySet;
use antiphon_server::KeyChangeLine;

use super::sentence::{Sentence, names, shortened};
use crate::colour::Colour;

pub(super) fn set(set: &KeySet) -> Sentence {
    let changes = set.changes.iter().map(|change| match (&change.value, &change.digest) {
        (Some(value), _) => format!("{} = {}", change.key, value.as_str()),
        (None, Some(digest)) => format!("{} = blob {digest}", change.key),
        (None, None) => format!("{} gone", change.key),
    });
    Sentence::new("key", Colour::Plain, format!(" {} by {}", names(changes), set.by))
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
