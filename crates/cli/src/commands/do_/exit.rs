//! The exit code of a wrapper, as `env` and `timeout` have it: that of its command, and a few codes
//! of its own.

use std::process::ExitCode;

use antiphon::CommandEnd;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, StreamName};

use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;
use crate::run_outcome::RunOutcome;
use crate::stderr;

/// Its time or another ceiling ended the command.
const CEILING: u8 = 124;

/// Trouble that is not the command's own.
pub(crate) const TROUBLE: u8 = 125;

/// The command cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

/// There is no such command.
const NOT_FOUND: u8 = 127;

/// Added to the number of a signal.
const SIGNALLED: u8 = 128;

/// What a signal that ended a process, or asked this one to stop, gives.
pub(super) fn of_signal(signal: u8) -> ExitCode {
    ExitCode::from(SIGNALLED.saturating_add(signal))
}

/// What an error of this process gives.
pub(super) fn of_error(error: &CommandError) -> ExitCode {
    error.signal().map_or_else(|| ExitCode::from(TROUBLE), of_signal)
}

/// What a run that has ended gives, now or earlier: the exit of its last attempt counts.
pub(super) fn of_ended(
    ledger: &Ledger,
    id: &CoordinationId,
    outcome: &RunOutcome,
) -> Result<ExitCode, CommandError> {
    match outcome.kind() {
        None => return Ok(ExitCode::SUCCESS),
        Some(Kind::Spent) => return Ok(CEILING.into()),
        Some(Kind::Aborted) => return Ok(TROUBLE.into()),
        Some(_) => {}
    }
    let (mut last, mut erased) = (None, false);
    ledger.each_event(&StreamName::Coordination(id.clone()), |event| {
        match CoordinationEvent::of(event) {
            Ok(CoordinationEvent::SessionUnbound(session)) => last = Some(CommandEnd::of(&session)),
            // What cannot be read tells of no exit.
            Ok(_) | Err(_) => erased |= event.payload.bytes().is_none(),
        }
        Ok(())
    })?;
    if last.is_none() && erased {
        stderr::say(format!(
            "with which code its command ended was erased; {TROUBLE} stands for it"
        ));
    }
    Ok(match last {
        // It did not succeed, whatever its command says of itself.
        None | Some(CommandEnd::Other | CommandEnd::Code(0)) => TROUBLE.into(),
        Some(CommandEnd::Code(code)) => code.into(),
        Some(CommandEnd::Signal(signal)) => of_signal(signal),
        Some(CommandEnd::Ceiling) => CEILING.into(),
        Some(CommandEnd::NotExecutable) => NOT_EXECUTABLE.into(),
        Some(CommandEnd::NotFound) => NOT_FOUND.into(),
    })
}
