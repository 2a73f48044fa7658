//! The run that a command speaks in.

use antiphon::id::CoordinationId;

use super::runs::{existing, newest};
use crate::command_error::{CommandError, Kind};
use crate::ledger::{self, Ledger};
use crate::state_dir::session_run;

/// How a command is told in which run it speaks.
#[derive(Debug, clap::Args)]
pub(crate) struct SpokenRun {
    /// The run, or the beginning of its id; by default that of the session, else the newest
    #[arg(long = "run", value_name = "ID", value_parser = ledger::coordination)]
    word: Option<CoordinationId>,
}

impl SpokenRun {
    /// One that is there.
    pub(crate) fn existing(&self, ledger: &Ledger) -> Result<CoordinationId, CommandError> {
        match (&self.word, session_run(&ledger.dir)) {
            // It comes into being by itself, and a session may use it.
            (Some(word), _) if word.is_shared() => Ok(word.clone()),
            (Some(word), _) => existing(ledger, word),
            (None, Some(own)) => Ok(own),
            (None, None) => newest(ledger),
        }
    }

    /// The run that something is sent to, and what is wrong if there is none; an engine may begin it.
    pub(crate) fn addressed(
        &self,
        ledger: &Ledger,
    ) -> Result<(CoordinationId, Option<CommandError>), CommandError> {
        // A session reads no run but its own; the engine says so.
        if let (Some(word), Some(_)) = (&self.word, session_run(&ledger.dir)) {
            return Ok((word.clone(), None));
        }
        match (self.existing(ledger), &self.word) {
            (Ok(id), _) => Ok((id, None)),
            (Err(unknown), Some(word)) if unknown.kind() == Kind::Usage => {
                Ok((word.clone(), Some(unknown)))
            }
            (Err(error), _) => Err(error),
        }
    }
}
