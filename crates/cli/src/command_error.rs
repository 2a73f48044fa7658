//! Errors of the command line: classified once, with a hint and an exit code.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use antiphon::items::ItemError;
use antiphon::ledger::export::ExportError;
use antiphon::ledger::{Fault, Gone, Location, LockHolder, OpenError, ReadError};
use antiphon::{AskError, IdError, QueryError, StartError, SubmitError, Unavailable};
use antiphon_server::{ClientError, Code, Problem};

use crate::state_dir::session_socket;
use crate::text::{printable, quoted};
use crate::timestamps;

/// What kind of error it is; the number is the exit code and part of the contract
/// (docs/exit-codes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// An internal or I/O error.
    Internal = 1,
    /// The command line makes no sense, or names something that is not there. clap uses the same
    /// number.
    Usage = 2,
    /// The state directory is missing, unreadable or damaged.
    State = 3,
    /// A check found something wrong.
    Verification = 4,
    /// A plan file is not one that can be run.
    Plan = 5,
    /// A run did a part of its work.
    Partial = 6,
    /// A run failed.
    Failed = 7,
    /// A run was stopped on request or aborted.
    Aborted = 8,
    /// A run's budget was spent while work was left.
    Spent = 9,
    /// A run's breaker tripped.
    Breaker = 10,
    /// The state directory is held by an engine that does not answer.
    Held = 11,
    /// A run that is waited for has not ended: the time is over, or nobody carries it out.
    Unfinished = 12,
    /// A session that is over has tried to change its run.
    Stale = 13,
    /// A key is not as the command expected.
    Conflict = 14,
    /// A question was answered with no.
    Denied = 15,
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind as u8)
    }
}

/// What to do about an engine that holds a directory and does not answer.
fn silent(dir: &Path) -> String {
    let holder = Location::directory(dir).files().holder();
    let process = match holder {
        Ok(Some(LockHolder::Named(owner))) => format!("process {} on {}", owner.pid, owner.host),
        _ => "its process".to_owned(),
    };
    format!(
        "it is stopped (Ctrl-Z) or hung; continue or kill {process}, and another engine takes over"
    )
}

/// An error with what to do about it.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    message: String,
    hint: Option<String>,
    problem: Option<Box<Problem>>,
    /// The signal that this process was asked to stop by, if that is why.
    signal: Option<u8>,
}

impl CommandError {
    pub(crate) fn new(kind: Kind, message: impl ToString) -> Self {
        Self { kind, message: message.to_string(), hint: None, problem: None, signal: None }
    }

    pub(crate) fn internal(message: impl ToString) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// An error with all that caused it, where a cause adds something.
    pub(crate) fn because(kind: Kind, error: &dyn Error) -> Self {
        Self::new(kind, chain(error))
    }

    /// A session outlives its engine for a moment; nobody is to begin another one in it.
    pub(crate) fn session_engine_gone(dir: &Path) -> Self {
        let what =
            format!("the engine of this session is gone: nothing answers in {}", dir.display());
        Self::new(Kind::State, what)
            .with_hint("name another state directory with --dir, or unset ANTIPHON_SOCKET")
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn after_signal(self, signal: u8) -> Self {
        Self { signal: Some(signal), ..self }
    }

    pub(crate) fn signal(&self) -> Option<u8> {
        self.signal
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What the engine answered with, if this is its refusal.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.problem.as_deref()
    }

    /// Prints it to stderr and gives the exit code. That stderr is closed could not be reported
    /// anywhere.
    pub(crate) fn report(self) -> ExitCode {
        let mut stderr = anstream::stderr().lock();
        let _written = writeln!(stderr, "\u{1b}[1;31merror\u{1b}[0m: {}", printable(&self.message));
        if let Some(hint) = &self.hint {
            let _written = writeln!(stderr, "\u{1b}[1mhint\u{1b}[0m: {}", printable(hint));
        }
        self.kind.into()
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        let command_error = Self::because(Kind::State, &error);
        match error {
            ReadError::Absent { .. } => {
                command_error.with_hint("`antiphon run` creates it; choose another with --dir")
            }
            // Its message says what to do.
            ReadError::Damaged { .. } | ReadError::Gone(_) => command_error,
            ReadError::Fault(fault) => match fault.source.downcast::<ClientError>() {
                // It was read over the socket, and the engine says why not.
                Ok(error) => (*error).into(),
                Err(_) => command_error
                    .with_hint("`antiphon doctor` explains what is wrong with a state directory"),
            },
        }
    }
}

impl From<ExportError> for CommandError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Read(error) => error.into(),
            ExportError::Absent { .. } => Self::because(Kind::Usage, &error),
            ExportError::NotEnded { .. } => Self::because(Kind::Usage, &error)
                .with_hint("`antiphon list --running` shows how far it is"),
            ExportError::Erased { .. } | ExportError::Damaged { .. } => {
                Self::because(Kind::State, &error)
            }
        }
    }
}

/// What to do where a session may not do what it asks for.
pub(crate) const OUTSIDE_OF_THE_SESSION: &str =
    "run the command outside of the session, or name another state directory with --dir";

const NOTHING_HAS_BEGUN: &str = "nothing has begun; make room, if that is what it lacks, and run \
    the command again, or choose another directory with --dir or ANTIPHON_DIR";

/// An engine that cannot take its ledger: for want of room that is waited for only once a run has
/// begun.
fn not_opened(fault: &Fault) -> CommandError {
    CommandError::new(Kind::State, fault.told()).with_hint(match fault.passing {
        true => NOTHING_HAS_BEGUN,
        false => "choose a writable directory with --dir or ANTIPHON_DIR, or run `antiphon doctor`",
    })
}

/// Another engine has the directory.
fn in_use(dir: &Path, holder: &LockHolder) -> CommandError {
    let dir = dir.display().to_string();
    let text = format!("the ledger in {dir} is in use by {holder}");
    let LockHolder::Named(owner) = holder else {
        return CommandError::new(Kind::Held, text).with_hint("give the command again in a moment");
    };
    let text = format!("{text} since {}", timestamps::seconds(owner.since));
    CommandError::new(Kind::Held, text).with_hint(format!(
        "`antiphon run PLAN --dir {}` has that engine carry a plan out, `kill {}` ends it",
        quoted(&dir),
        owner.pid
    ))
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::InUse { dir, holder } => in_use(dir, holder),
            OpenError::Mark(_) => Self::because(Kind::State, &error).with_hint(
                "`antiphon doctor` says what may be lost, and how to go on all the same",
            ),
            OpenError::Fault(fault) | OpenError::Damaged(ReadError::Fault(fault)) => {
                not_opened(fault)
            }
            _ => Self::because(Kind::State, &error),
        }
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Open(error) => error.into(),
            StartError::Read(ReadError::Fault(fault)) => not_opened(&fault),
            StartError::System { .. } => {
                Self::because(Kind::State, &error).with_hint(NOTHING_HAS_BEGUN)
            }
            error => Self::because(Kind::State, &error),
        }
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        if let ClientError::Silent { dir } = &error {
            return Self::because(Kind::Held, &error).with_hint(silent(dir));
        }
        if let ClientError::NoEngine { dir } = &error
            && session_socket(dir).is_some()
        {
            return Self::session_engine_gone(dir);
        }
        if let ClientError::Socket { .. } = error {
            return Self::because(Kind::State, &error)
                .with_hint("it may belong to another user; run as that user");
        }
        let kind = match error.problem().and_then(Problem::known_code) {
            Some(Code::InvalidPlan) => Kind::Plan,
            Some(Code::StaleSession) => Kind::Stale,
            Some(Code::StaleKey) => Kind::Conflict,
            Some(code) if (400..500).contains(&code.status()) => Kind::Usage,
            Some(Code::Internal) => Kind::Internal,
            _ => Kind::State,
        };
        let faults = error.problem().map_or(&[][..], |problem| &problem.errors);
        let details: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
        let command_error = match details.as_slice() {
            [] => Self::because(kind, &error),
            details => Self::new(kind, format!("{error}: {}", details.join("; "))),
        };
        let command_error = match error.problem().and_then(Problem::known_code) {
            Some(Code::SessionMayNot) => command_error.with_hint(OUTSIDE_OF_THE_SESSION),
            _ => command_error,
        };
        let problem = match error {
            ClientError::Refused(problem) => Some(problem),
            _ => None,
        };
        Self { problem, ..command_error }
    }
}

impl From<ItemError> for CommandError {
    fn from(error: ItemError) -> Self {
        let kind = match &error {
            ItemError::UnknownItem { .. }
            | ItemError::NoSession { .. }
            | ItemError::NoValue { .. }
            | ItemError::Query(QueryError::UnknownRun { .. }) => Kind::Usage,
            _ => Kind::State,
        };
        Self::because(kind, &error)
    }
}

macro_rules! of_the_engine {
    ($($error:ty),*) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::because(Kind::State, &error)
            }
        }
    )*};
}
of_the_engine!(AskError, Gone, IdError, QueryError, SubmitError, Unavailable);

/// A message with those of its causes that it does not hold already.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}
