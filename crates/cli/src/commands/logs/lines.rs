//! What was printed as it is shown: as it is, or each line with its item in front.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};

use antiphon_server::LogPiece;

use crate::command_error::{CommandError, Kind};
use crate::stdout::Stdout;
use crate::text::{ShownOutput, printable};

/// The longest line that is waited for, so that output without any line is shown, too.
const LONGEST: usize = 64 << 10;

/// What was printed on its way to the outputs of this process.
pub(super) struct Shown {
    prefixed: bool,
    raw: bool,
    to_terminal: bool,
    /// Of each session and output: what is shown of it, and its line that has no end yet.
    parts: BTreeMap<(u64, String), Part>,
}

#[derive(Default)]
struct Part {
    item: String,
    shown: ShownOutput,
    line: Vec<u8>,
}

impl Shown {
    pub(super) fn new(prefixed: bool, raw: bool, to_terminal: bool) -> Self {
        Self { prefixed, raw, to_terminal, parts: BTreeMap::new() }
    }

    pub(super) fn take(
        &mut self,
        piece: &LogPiece,
        output: &mut Stdout,
    ) -> Result<(), CommandError> {
        let bytes = piece.bytes.bytes().ok_or_else(|| {
            let text = format!("what {} printed does not come whole", piece.item);
            CommandError::new(Kind::State, text)
        })?;
        let to_stderr = piece.stream == "stderr";
        let as_it_is = self.is_as_it_is(to_stderr);
        let prefixed = self.prefixed;
        let part = self.parts.entry((piece.session, piece.stream.clone())).or_default();
        part.item.clone_from(&piece.item);
        let bytes = match as_it_is {
            true => bytes,
            false => part.shown.take(&bytes).into_bytes(),
        };
        if !prefixed {
            return write(&bytes, to_stderr, output);
        }
        part.line.extend_from_slice(&bytes);
        while let Some(end) = part.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = part.line.drain(..=end).collect();
            write(&in_front(&part.item, &line), to_stderr, output)?;
        }
        if part.line.len() >= LONGEST {
            let line = std::mem::take(&mut part.line);
            write(&in_front(&part.item, &[&line[..], b"\n"].concat()), to_stderr, output)?;
        }
        Ok(())
    }

    /// Shows what is left.
    pub(super) fn end(&mut self, output: &mut Stdout) -> Result<(), CommandError> {
        for ((_, stream), mut part) in std::mem::take(&mut self.parts) {
            let to_stderr = stream == "stderr";
            part.line.extend_from_slice(part.shown.end().as_bytes());
            if !part.line.is_empty() && self.prefixed {
                part.line.push(b'\n');
                part.line = in_front(&part.item, &part.line);
            }
            write(&part.line, to_stderr, output)?;
        }
        Ok(())
    }

    /// Whether nothing obeys what is printed there.
    fn is_as_it_is(&self, to_stderr: bool) -> bool {
        let to_terminal =
            if to_stderr { std::io::stderr().is_terminal() } else { self.to_terminal };
        self.raw || !to_terminal
    }
}

fn in_front(item: &str, line: &[u8]) -> Vec<u8> {
    let mut shown = format!("{} | ", printable(item)).into_bytes();
    shown.extend_from_slice(line);
    shown
}

fn write(bytes: &[u8], to_stderr: bool, output: &mut Stdout) -> Result<(), CommandError> {
    if !to_stderr {
        return output.bytes(bytes);
    }
    output.flush()?;
    let mut stderr = std::io::stderr().lock();
    // That standard error is closed could not be reported anywhere.
    let _written = stderr.write_all(bytes).and_then(|()| stderr.flush());
    Ok(())
}
