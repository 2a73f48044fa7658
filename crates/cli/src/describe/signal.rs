//! A signal.

use antiphon::event::Signalled;

use super::sentence::{Sentence, names};
use crate::colour::Colour;

/// Bytes of its data that a line has room for.
const DATA: usize = 200;

pub(super) fn sent(sent: &Signalled) -> Sentence {
    let mut text = format!(" {} from {}", sent.kind, sent.from);
    if !sent.to.is_empty() {
        text.push_str(&format!(" to {}", names(sent.to.iter())));
    }
    if let Some(about) = &sent.about {
        text.push_str(&format!(", about {about}"));
    }
    if sent.failed {
        text.push_str(", failed");
    }
    let colour = if sent.failed { Colour::Caution } else { Colour::Plain };
    let data = match (&sent.data, &sent.digest) {
        (Some(data), _) => format!(": {}", shortened(data.as_str())),
        (None, Some(digest)) => format!(": its data is blob {digest}"),
        (None, None) => String::new(),
    };
    Sentence::new("signal", colour, text).with_details(data)
}

/// As much of a text as fits, cut between characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(DATA) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
