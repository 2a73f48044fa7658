//! A signal, as its event tells it and as it is heard.

use std::fmt::Display;

use antiphon::event::Signalled;
use antiphon_server::SignalLine;

use super::sentence::{Sentence, names, shortened};
use crate::colour::Colour;

pub(super) fn sent(sent: &Signalled) -> Sentence {
    let data = match (&sent.data, &sent.digest) {
        (Some(data), _) => format!(": {}", shortened(data.as_str())),
        (None, Some(digest)) => format!(": its data is blob {digest}"),
        (None, None) => String::new(),
    };
    let about = sent.about.as_ref();
    let text = format!(" {}{}", sent.kind, persons(&sent.from, &sent.to, about, sent.failed));
    Sentence::new("signal", colour(sent.failed), text).with_details(data)
}

/// What somebody heard, with all of its data.
pub(crate) fn heard(signal: &SignalLine) -> Sentence {
    let about = Some(&signal.about).filter(|about| **about != signal.from);
    let text = persons(&signal.from, &signal.to, about, signal.failed);
    let data = signal.data.as_ref().map(|data| format!(": {}", data.get())).unwrap_or_default();
    Sentence::new(&signal.r#type, colour(signal.failed), text).with_details(data)
}

fn persons<T: Display>(from: &T, to: &[T], about: Option<&T>, failed: bool) -> String {
    let mut text = format!(" from {from}");
    if !to.is_empty() {
        text.push_str(&format!(" to {}", names(to.iter())));
    }
    if let Some(about) = about {
        text.push_str(&format!(", about {about}"));
    }
    if failed {
        text.push_str(", failed");
    }
    text
}

fn colour(failed: bool) -> Colour {
    if failed { Colour::Caution } else { Colour::Plain }
}
