//! How the command of a session ended, as the record of the session tells: the one place where
//! that is read, for whoever passes it on as an exit code.

use antiphon_core::coordination::SessionOutcome;
use antiphon_core::event::SessionUnbound;

use crate::process::StartFailure;

/// How the text begins of a session that was ended at a limit of its tree.
pub(crate) const EXCEEDED: &str = "it exceeded its ";

/// How the command of a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// By itself, with this code.
    Code(u8),
    /// By a signal that was not sent to end it at a ceiling.
    Signal(u8),
    /// It was ended as its time was over, or a limit on its memory, processes or CPU time.
    Ceiling,
    /// There is no such program.
    NotFound,
    /// There is one, and it cannot be executed.
    NotExecutable,
    /// It ended for none of these reasons, or nothing is known of its end.
    Other,
}

impl CommandEnd {
    /// What the last event of a session says. A check that failed a session says nothing of how its
    /// command ended.
    #[must_use]
    pub fn of(session: &SessionUnbound) -> Self {
        let text = session.text.as_deref().unwrap_or_default();
        match session.outcome {
            SessionOutcome::Timeout => Self::Ceiling,
            SessionOutcome::Failure if text.starts_with(EXCEEDED) => Self::Ceiling,
            SessionOutcome::SpawnFailed => match StartFailure::errno_of(text) {
                Some(rustix::io::Errno::NOENT) => Self::NotFound,
                Some(_) => Self::NotExecutable,
                None => Self::Other,
            },
            SessionOutcome::Success | SessionOutcome::Failure => {
                let exit = session.tree.as_ref().and_then(|tree| tree.exit.as_deref());
                exit.and_then(Self::of_exit).unwrap_or(Self::Other)
            }
            _ => Self::Other,
        }
    }

    /// What a report of a tree says of its program: `exit 3`, or `signal 9`, `signal 11, with a
    /// core`.
    fn of_exit(exit: &str) -> Option<Self> {
        if let Some(code) = exit.strip_prefix("exit ") {
            return code.parse().ok().map(Self::Code);
        }
        let signal = exit.strip_prefix("signal ")?;
        signal.split(',').next()?.parse().ok().map(Self::Signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_program_is_read_as_it_is_recorded() {
        assert_eq!(CommandEnd::of_exit("exit 255"), Some(CommandEnd::Code(255)));
        assert_eq!(CommandEnd::of_exit("signal 9"), Some(CommandEnd::Signal(9)));
        assert_eq!(CommandEnd::of_exit("signal 11, with a core"), Some(CommandEnd::Signal(11)));
        assert_eq!(CommandEnd::of_exit("exit"), None);
    }
}
