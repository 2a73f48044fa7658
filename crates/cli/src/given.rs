//! Values that a command is given: on its line, in a file, or on standard input.

use std::io::Read;

use serde_json::value::{RawValue, to_raw_value};

use crate::command_error::{CommandError, Kind};

/// Largest value that is read; the engine takes less.
const MAX_READ: usize = 2 << 20;

/// A value, and where it stood.
pub(crate) struct Given {
    text: String,
    place: String,
}

impl Given {
    /// What an argument gives: `@FILE` what is in a file, `-` what is on standard input, and any other
    /// text itself, which stands at `place`.
    pub(crate) fn read(argument: &str, place: &str) -> Result<Self, CommandError> {
        match argument.strip_prefix('@') {
            Some(file) => {
                let text = std::fs::File::open(file).and_then(whole);
                Ok(Self {
                    text: text.map_err(unreadable(file))?,
                    place: format!("what is in {file}"),
                })
            }
            None if argument == "-" => {
                let text = whole(std::io::stdin().lock()).map_err(unreadable("standard input"))?;
                Ok(Self { text, place: "what is on standard input".to_owned() })
            }
            None => Ok(Self { text: argument.to_owned(), place: place.to_owned() }),
        }
    }

    /// The text itself.
    pub(crate) fn text(self) -> String {
        self.text
    }

    /// The JSON that it is.
    pub(crate) fn json(self) -> Result<Box<RawValue>, CommandError> {
        let Self { text, place } = self;
        RawValue::from_string(text.trim().to_owned()).map_err(|error| {
            CommandError::new(Kind::Usage, format!("{place} is not JSON: {error}"))
        })
    }

    /// The JSON that it is, or else a text, which is kept without the end of its last line. What begins as
    /// JSON does and is none is a mistake.
    pub(crate) fn json_or_text(self) -> Result<Box<RawValue>, CommandError> {
        let text = self.text.trim();
        if text.starts_with(['{', '[', '"']) || RawValue::from_string(text.to_owned()).is_ok() {
            return self.json();
        }
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text);
        to_raw_value(text).map_err(CommandError::internal)
    }
}

fn whole(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(MAX_READ as u64 + 1).read_to_string(&mut text)?;
    match text.len() > MAX_READ {
        true => Err(std::io::Error::other(format!("it is larger than {MAX_READ} bytes"))),
        false => Ok(text),
    }
}

fn unreadable(what: &str) -> impl Fn(std::io::Error) -> CommandError {
    move |error| CommandError::new(Kind::State, format!("cannot read {what}: {error}"))
}
