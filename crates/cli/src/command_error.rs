//! Errors of the command line: classified once, with a hint and an exit code.

use std::process::ExitCode;

/// What kind of error it is; the number is the exit code and part of the contract (docs/exit-codes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Something went wrong that is nobody's input.
    Internal = 1,
    /// The command line makes no sense. clap uses the same number.
    Usage = 2,
    /// The state directory is held, missing, unreadable or damaged.
    State = 3,
    /// A check found something wrong.
    Verification = 4,
}

/// An error with what to do about it.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl CommandError {
    pub(crate) fn new(kind: Kind, message: impl ToString) -> Self {
        Self { kind, message: message.to_string(), hint: None }
    }

    pub(crate) fn internal(message: impl ToString) -> Self {
        Self::new(Kind::Internal, message)
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Tells the user, on stderr, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        anstream::eprintln!("\u{1b}[1;31merror\u{1b}[0m: {}", self.message);
        if let Some(hint) = &self.hint {
            anstream::eprintln!("\u{1b}[1mhint\u{1b}[0m: {hint}");
        }
        ExitCode::from(self.kind as u8)
    }
}
