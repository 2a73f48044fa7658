//! A sentence about an event.

use std::fmt;

use crate::colour::{Colour, painted};
use crate::text::printable;

/// Names that are spelled out before the rest is counted.
const NAMED: usize = 5;

/// Characters of a value that a line has room for.
const SHOWN: usize = 200;

/// A first word in a colour, what it is about, and details. Nothing in it is obeyed by
/// a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    word: String,
    colour: Colour,
    subject: String,
    details: String,
}

impl Sentence {
    /// A sentence whose first word is in a colour; what follows brings the space or
    /// colon before it.
    pub(super) fn new(word: &str, colour: impl Into<Colour>, subject: impl AsRef<str>) -> Self {
        let subject = printable(subject.as_ref()).into_owned();
        Self {
            word: printable(word).into_owned(),
            colour: colour.into(),
            subject,
            details: String::new(),
        }
    }

    pub(super) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text.as_ref(), Colour::Plain, "")
    }

    pub(super) fn with_details(self, details: impl AsRef<str>) -> Self {
        Self { details: printable(details.as_ref()).into_owned(), ..self }
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", painted(&self.word, self.colour), self.subject, self.details)
    }
}

/// The first few names, and how many more there are.
pub(super) fn names<T: fmt::Display>(all: impl ExactSizeIterator<Item = T>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let named: Vec<String> = all.take(NAMED).map(|name| name.to_string()).collect();
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// A text behind a colon; nothing if there is none.
pub(super) fn said(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// As much of a value as fits on a line, cut between characters.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
