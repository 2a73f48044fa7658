//! What sessions printed, as it goes over the socket.

use std::fmt::Write as _;

use antiphon::items::{Piece, Printed, PrintedTo};
use serde::{Deserialize, Serialize};

/// What is asked of what sessions printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// `stdout`, `stderr` or `both`, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The last session of this attempt of the item, from 1; by default its last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The session of this number in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// The first byte of the answer, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The most bytes of each output in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Whether a stream goes on as long as there may be more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}

/// What one session of an item printed, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct LogPage {
    pub run: String,
    pub item: String,
    /// The session's number in the run.
    pub session: u64,
    pub attempt: u32,
    /// Whether it still runs, so that more may come.
    pub running: bool,
    /// Whether some of what it printed was dropped.
    pub cut: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<LogPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<LogPart>,
}

/// A part of one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    /// The position of its first byte, from 0.
    pub from: u64,
    /// The first byte after it: where to go on.
    pub next: u64,
    /// How many bytes there are now in all.
    pub size: u64,
    /// The bytes.
    #[serde(flatten)]
    pub bytes: LogBytes,
}

/// Bytes that were printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogBytes {
    /// They are text in UTF-8.
    Text(String),
    /// They are not: two hexadecimal digits for each.
    Hex(String),
}

/// Some bytes that a session of a run printed, in a stream of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct LogPiece {
    pub item: String,
    pub session: u64,
    pub attempt: u32,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// How many bytes of the same output came before.
    pub from: u64,
    #[serde(flatten)]
    pub bytes: LogBytes,
}

impl LogBytes {
    /// Of bytes as they were printed.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => {
                let mut hex = String::with_capacity(bytes.len() * 2);
                for byte in bytes {
                    let _written = write!(hex, "{byte:02x}");
                }
                Self::Hex(hex)
            }
        }
    }

    /// The bytes as they were printed; `None` if they are not what they say.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.as_bytes().to_vec()),
            Self::Hex(hex) => {
                let digits = hex.as_bytes();
                let pairs = digits
                    .chunks(2)
                    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
                pairs.collect()
            }
        }
    }
}

impl LogPart {
    fn of(bytes: &[u8], from: u64, limit: usize) -> Self {
        let begin = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let end = begin.saturating_add(limit).min(bytes.len());
        Self {
            from: begin as u64,
            next: end as u64,
            size: bytes.len() as u64,
            bytes: LogBytes::of(&bytes[begin..end]),
        }
    }
}

impl LogPage {
    /// The part of what a session printed that was asked for.
    #[must_use]
    pub fn of(
        (run, item): (&str, &str),
        printed: &Printed,
        wanted: &[PrintedTo],
        from: u64,
        limit: usize,
    ) -> Self {
        let part = |to, bytes: &[u8]| wanted.contains(&to).then(|| LogPart::of(bytes, from, limit));
        Self {
            run: run.to_owned(),
            item: item.to_owned(),
            session: printed.session,
            attempt: printed.attempt,
            running: printed.running,
            cut: printed.cut,
            stdout: part(PrintedTo::Stdout, &printed.stdout),
            stderr: part(PrintedTo::Stderr, &printed.stderr),
        }
    }
}

impl From<&Piece> for LogPiece {
    fn from(piece: &Piece) -> Self {
        Self {
            item: piece.item.to_string(),
            session: piece.session,
            attempt: piece.attempt,
            stream: piece.to.as_str().to_owned(),
            from: piece.from,
            bytes: LogBytes::of(&piece.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_printed_comes_back_byte_for_byte() {
        for bytes in [&b"caf\xc3\xa9\n"[..], b"\xff\x00\n", b""] {
            assert_eq!(LogBytes::of(bytes).bytes().as_deref(), Some(bytes));
        }
        assert_eq!(LogBytes::Hex("0g".to_owned()).bytes(), None);
    }
}
