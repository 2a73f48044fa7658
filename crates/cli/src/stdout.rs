//! What goes to standard output: buffered, in colour only on a terminal, silent once the reader has
//! gone.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, IsTerminal as _, StdoutLock, Write};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use crate::command_error::CommandError;
use crate::text::{printable_in_colours, printable_json};

/// Standard output. A reader that goes away, such as `head`, is no error: what follows is not
/// written.
pub(crate) struct Stdout {
    /// Absent once the reader has gone.
    stream: Option<BufWriter<StdoutLock<'static>>>,
    /// Whether lines keep their colours.
    colours: bool,
    /// Whether what is written is shown, and must not be obeyed.
    is_terminal: bool,
}

impl Stdout {
    pub(crate) fn open() -> Self {
        Self::new(AutoStream::choice(&std::io::stdout()) != ColorChoice::Never)
    }

    /// Standard output that is a terminal and takes everything as it is written.
    pub(crate) fn terminal() -> Self {
        Self::new(true)
    }

    fn new(colours: bool) -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        Self { stream: Some(BufWriter::new(stdout.lock())), colours, is_terminal }
    }

    /// Whether it is a terminal, which obeys what it is given.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether the reader is still there.
    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), CommandError> {
        let mut line = text.to_string();
        if !self.colours {
            line = strip_str(&line).to_string();
        }
        if self.is_terminal {
            line = printable_in_colours(&line).into_owned();
        }
        self.write(|stream| writeln!(stream, "{line}"))
    }

    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), CommandError> {
        let mut text = serde_json::to_string(value).map_err(CommandError::internal)?;
        if self.is_terminal {
            text = printable_json(&text).into_owned();
        }
        self.write(|stream| writeln!(stream, "{text}"))
    }

    /// Writes bytes as they are: they are not ours.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.write(|stream| stream.write_all(bytes))
    }

    /// Writes what is in the buffer, so that it is seen before what comes next.
    pub(crate) fn flush(&mut self) -> Result<(), CommandError> {
        self.write(|stream| stream.flush())
    }

    /// Writes what is left in the buffer.
    pub(crate) fn finish(mut self) -> Result<(), CommandError> {
        self.flush()
    }

    fn write(
        &mut self,
        act: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), CommandError> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        match act(stream) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.stream = None;
                match error.kind() {
                    ErrorKind::BrokenPipe => Ok(()),
                    _ => Err(CommandError::internal(format!(
                        "could not write to standard output: {error}"
                    ))),
                }
            }
        }
    }
}
