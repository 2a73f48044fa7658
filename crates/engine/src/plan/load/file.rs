//! The text of one plan file.

use std::fs;
use std::io::Read;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::outside::{self, ReadError};
use crate::plan::text::{DiagnosticCode, Diagnostics, PlanError, SourceText, Span};

/// Largest plan file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Refuses a text that is larger than a plan file may be.
pub(super) fn check_size(bytes: usize, path: &Path) -> Result<(), PlanError> {
    if bytes as u64 <= MAX_FILE_BYTES {
        return Ok(());
    }
    let message = format!("this file is larger than {} MiB", MAX_FILE_BYTES >> 20);
    Err(PlanError::of_file(DiagnosticCode::TooLarge, path, message))
}

/// Reads a regular file no further than a plan file may go.
pub(super) fn read(path: &Path) -> Result<String, PlanError> {
    text_of(outside::read(path, MAX_FILE_BYTES), path)
}

/// Whether a regular file holds this text.
pub(super) fn holds(path: &Path, text: &str) -> bool {
    outside::read(path, MAX_FILE_BYTES).is_ok_and(|bytes| bytes == text.as_bytes())
}

/// Reads a stream to its end, and no further than a plan file may go.
pub(super) fn read_stream(stream: impl Read, shown: &Path) -> Result<String, PlanError> {
    text_of(outside::read_open(stream, MAX_FILE_BYTES), shown)
}

/// Opens what a path leads to if that is a pipe, a terminal or what this process was handed over
/// as one of its files, and waits for who writes there; `None` if it is a file or nothing.
pub(super) fn open_stream(path: &Path) -> Result<Option<fs::File>, PlanError> {
    let Ok(found) = fs::metadata(path) else { return Ok(None) };
    let kind = found.file_type();
    let is_handed_over =
        ["/dev/stdin", "/dev/fd", "/proc"].iter().any(|handed| path.starts_with(handed));
    if !(kind.is_fifo() || kind.is_char_device() || (kind.is_file() && is_handed_over)) {
        return Ok(None);
    }
    match fs::File::open(path) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => text_of(Err(error.into()), path).map(|_| None),
    }
}

fn text_of(read: Result<Vec<u8>, ReadError>, path: &Path) -> Result<String, PlanError> {
    match read {
        Ok(bytes) => decoded(&bytes, path),
        Err(ReadError::TooLarge { .. }) => check_size(usize::MAX, path).map(|()| String::new()),
        Err(error) => {
            let message = format!("cannot read this file: {error}");
            Err(PlanError::of_file(DiagnosticCode::Unreadable, path, message))
        }
    }
}

/// The text of a file, or where in it something else than UTF-8 begins.
fn decoded(bytes: &[u8], path: &Path) -> Result<String, PlanError> {
    // The first character of a plan has one byte in UTF-8, and an additional zero byte in UTF-16.
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..]) {
        let message = "this file is UTF-16, but plans are UTF-8; save it as UTF-8";
        return Err(PlanError::of_file(DiagnosticCode::Unreadable, path, message));
    }
    let at = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text.to_owned()),
        Err(error) => error.valid_up_to(),
    };
    let source = SourceText::new(path, &String::from_utf8_lossy(bytes));
    let mut diagnostics = Diagnostics::new(&source);
    let mark = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
    let message = format!("this file is not UTF-8: byte {} does not start a character", at + 1);
    diagnostics.error(DiagnosticCode::Unreadable, mark, message).hint("save it as UTF-8");
    diagnostics.finish().map(|()| String::new())
}
