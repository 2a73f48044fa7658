//! The text of one plan file.

use std::fs;
use std::io::Read as _;
use std::path::Path;

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

/// Reads a file no further than a plan file may go.
pub(super) fn read(path: &Path) -> Result<String, PlanError> {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    let unreadable = |error| {
        PlanError::of_file(
            DiagnosticCode::Unreadable,
            path,
            format!("cannot read this file: {error}"),
        )
    };
    read.map_err(unreadable)?;
    check_size(bytes.len(), path)?;
    decoded(&bytes, path)
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
