//! How the command of a session ended, as the record of the session tells: the one place where
//! that is read, for whoever passes it on as an exit code.

use antiphon_core::coordination::{ProgramFault, SessionOutcome};
use antiphon_core::event::SessionUnbound;

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
    /// command ended, and what the session says for people decides nothing.
    #[must_use]
    pub fn of(session: &SessionUnbound) -> Self {
        let tree = session.tree.as_deref();
        match (session.outcome, tree.and_then(|tree| tree.fault)) {
            (SessionOutcome::Timeout, _) => Self::Ceiling,
            (_, Some(ProgramFault::NotFound)) => Self::NotFound,
            (_, Some(ProgramFault::NotExecutable)) => Self::NotExecutable,
            (_, Some(ProgramFault::OverLimit)) => Self::Ceiling,
            (SessionOutcome::Success | SessionOutcome::Failure, _) => {
                let exit = tree.and_then(|tree| tree.exit.as_deref());
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
    use std::collections::BTreeMap;

    use antiphon_core::coordination::{NextStep, TreeReport, Usage, WorkItemOutcome};

    use super::*;

    #[test]
    fn the_end_of_a_program_is_read_as_it_is_recorded() {
        assert_eq!(CommandEnd::of_exit("exit 255"), Some(CommandEnd::Code(255)));
        assert_eq!(CommandEnd::of_exit("signal 9"), Some(CommandEnd::Signal(9)));
        assert_eq!(CommandEnd::of_exit("signal 11, with a core"), Some(CommandEnd::Signal(11)));
        assert_eq!(CommandEnd::of_exit("exit"), None);
    }

    #[test]
    fn a_message_in_another_wording_does_not_change_how_a_command_ended() {
        let ended = |outcome, exit: Option<&str>, fault, text: Option<&str>| {
            let (exit, text) = (exit.map(str::to_owned), text.map(str::to_owned));
            CommandEnd::of(&SessionUnbound {
                session: 1,
                work: "command".parse().unwrap(),
                outcome,
                text,
                used: Usage::default(),
                scores: BTreeMap::new(),
                output: None,
                then: NextStep::Done(WorkItemOutcome::Failed),
                tree: Some(Box::new(TreeReport { exit, fault, ..TreeReport::default() })),
            })
        };
        let (failed, spawn_failed) = (SessionOutcome::Failure, SessionOutcome::SpawnFailed);
        let cases = [
            (failed, Some("exit 3"), None, CommandEnd::Code(3)),
            (failed, Some("signal 9"), None, CommandEnd::Signal(9)),
            (failed, Some("signal 9"), Some(ProgramFault::OverLimit), CommandEnd::Ceiling),
            (SessionOutcome::Timeout, Some("signal 9"), None, CommandEnd::Ceiling),
            (spawn_failed, None, Some(ProgramFault::NotFound), CommandEnd::NotFound),
            (spawn_failed, None, Some(ProgramFault::NotExecutable), CommandEnd::NotExecutable),
            (spawn_failed, None, None, CommandEnd::Other),
        ];
        let texts = [
            None,
            Some("something else"),
            Some("it exceeded its memory limit with 9 bytes"),
            Some("cannot start \"a\": No such file or directory (os error 2)"),
            Some("cannot start \"a\": Permission denied (os error 13)"),
        ];
        for (outcome, exit, fault, expected) in cases {
            for text in texts {
                assert_eq!(ended(outcome, exit, fault, text), expected, "{text:?}");
            }
        }
    }
}
