//! Changes of keys.

use antiphon::event::KeySet;

use super::sentence::{Sentence, names};
use crate::colour::Colour;

pub(super) fn set(set: &KeySet) -> Sentence {
    let changes = set.changes.iter().map(|change| match (&change.value, &change.digest) {
        (Some(value), _) => format!("{} = {}", change.key, value.as_str()),
        (None, Some(digest)) => format!("{} = blob {digest}", change.key),
        (None, None) => format!("{} gone", change.key),
    });
    Sentence::new("key", Colour::Plain, format!(" {} by {}", names(changes), set.by))
}
