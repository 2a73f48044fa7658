//! What can go wrong with a running engine, one enum for what is asked alike, and with starting one.
//!
//! An error that says its cause in its own sentence has no source, so that no report says it twice.

use std::sync::Arc;

use antiphon_core::coordination::ApplyError;
use antiphon_core::digest::Digest;
use antiphon_core::event::Unreadable;
use antiphon_core::id::{CoordinationId, IdError, StreamName, Version, WorkId};
use antiphon_core::live::EmitError;
use antiphon_core::world::Rejection;

use crate::identity::Differences;
use crate::ledger::export::ExportError;
use crate::ledger::{
    AppendError, Fault, Gone, MAX_CURSOR_NAME_BYTES, OpenError, ReadError, Refusal, WriteError,
};
use crate::report::ReportError;
use crate::room;
use crate::signal_schemas::SchemaMismatch;

/// Why the engine does nothing, whatever is asked of it. Unless it says so, nothing has changed.
///
/// Every call can meet it: the errors of calls that have more to say hold it as their variant
/// `Unavailable`, and read as it does.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Unavailable {
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
    /// The ledger takes in nothing for now: the disk is full, another program holds the lock of
    /// the database, or something else keeps it from writing.
    #[error(
        "the ledger is read-only until a write succeeds again ({reason}); repeat the command then"
    )]
    ReadOnly { reason: String },
    /// The store refused the append that this was part of. Nothing was recorded; the engine goes on
    /// from what is.
    #[error(
        "the ledger refused to record this ({reason}); nothing has changed; repeat the command, and report it if it is refused again"
    )]
    NotTaken { reason: String },
    /// The ledger takes in nothing until the engine was restarted, which verifies it. Whether this
    /// command was recorded is unknown.
    #[error(
        "the ledger is closed to writes until the engine is restarted, which verifies it ({reason})"
    )]
    Poisoned { reason: String },
    /// The state directory was removed, renamed, replaced or unmounted while the engine used it.
    /// Nothing is recorded any more, and what ran was ended.
    #[error("{gone}")]
    Gone {
        /// What became of it.
        gone: Gone,
    },
    /// The ledger holds an event that this version does not know: it can be read, but whatever this
    /// version wrote would rest on a state that leaves something out.
    #[error("the ledger is read-only for this version of antiphon: {event}")]
    Newer {
        /// The event: its stream, version, type and schema.
        event: Unreadable,
    },
    /// The ledger could not be read.
    #[error("the ledger could not be read: {}", error.told())]
    Read { error: Arc<ReadError> },
}

impl Unavailable {
    /// What is in the way, if that is the machine and not what was asked for, so that the same may
    /// be answered in a while. Nothing has changed then.
    pub(crate) fn shortage(&self) -> Option<String> {
        match self {
            Self::Read { error } if matches!(**error, ReadError::Fault(_)) => {
                Some(self.to_string())
            }
            Self::ReadOnly { reason } => Some(format!("the ledger is read-only: {reason}")),
            _ => None,
        }
    }
}

impl From<ReadError> for Unavailable {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gone(gone) => Self::Gone { gone },
            error => Self::Read { error: Arc::new(error) },
        }
    }
}

impl From<&AppendError> for Unavailable {
    fn from(error: &AppendError) -> Self {
        match error {
            AppendError::NotWritten { source } => Self::ReadOnly { reason: source.told() },
            AppendError::Refused(Refusal::Gone(gone)) => Self::Gone { gone: gone.clone() },
            AppendError::Refused(refusal) if !refusal.is_final() => {
                Self::NotTaken { reason: refusal.to_string() }
            }
            AppendError::Refused(_) | AppendError::Unknown { .. } => {
                Self::Poisoned { reason: error.to_string() }
            }
        }
    }
}

fn different(run: &CoordinationId, differences: &Differences, ended: bool) -> String {
    let to_do = match ended {
        true => "choose another id for this".to_owned(),
        false => format!(
            "`antiphon resume {run}` continues it as it was started, and another id starts this"
        ),
    };
    format!("run {run} exists and was started with something else: {differences}; {to_do}")
}

/// Why work was not taken in: that of a new run, or what was added to one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum SubmitError {
    /// It is against the rules, of the run or of its configuration.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// An item names an input that nobody handed in.
    #[error("item {work} names input {input}, which was not supplied; submit it with the work")]
    InputMissing {
        work: WorkId,
        /// The digest of the input.
        input: Digest,
    },
    /// The id belongs to a run that was started with something else.
    #[error("{}", different(run, differences, *ended))]
    Different {
        run: CoordinationId,
        /// What is not the same.
        differences: Differences,
        /// Whether that run has ended.
        ended: bool,
    },
    /// Nobody handed in what says where the run is started from.
    #[error("the run names origin {origin}, which was not supplied; submit it with the run")]
    OriginMissing {
        /// Its digest.
        origin: Digest,
    },
    /// The description of the command for the end was not handed in.
    #[error(
        "the run names {digest} as the command for its end, which was not supplied; submit it too"
    )]
    OnEndMissing { digest: Digest },
    /// The schemas of its signals were not handed in.
    #[error(
        "the run names {digest} as the schemas of its signals, which were not supplied; submit them too"
    )]
    SchemasMissing { digest: Digest },
    /// The run that is to be retried is not there, has not ended, or is not the one that was meant.
    #[error(
        "run {run}, which is to be retried, has not ended as was said; wait for its end, or continue \
         it with `antiphon resume {run}`"
    )]
    NoForerunner { run: CoordinationId },
    /// What an item put out in the run that is retried is gone.
    #[error("item {work} is taken over with output {output}, which is gone; let it run again")]
    OutputMissing {
        work: WorkId,
        /// The digest of the output.
        output: Digest,
    },
    /// The id belongs to a run whose head row is not what this version writes, so that nobody can
    /// say whether it was started with the same.
    #[error("the head row of run {run} cannot be read ({reason}); run `antiphon verify`")]
    HeadRow { run: CoordinationId, reason: String },
    /// The id of the session that adds the work is too long to be recorded as whose work it is.
    #[error(transparent)]
    Session(IdError),
    /// The engine takes in nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl SubmitError {
    /// As [`Unavailable::shortage`].
    pub(crate) fn shortage(&self) -> Option<String> {
        match self {
            Self::Unavailable(unavailable) => unavailable.shortage(),
            _ => None,
        }
    }
}

impl From<AskError> for SubmitError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Rejected(rejection) => Self::Rejected(rejection),
            AskError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            error @ (AskError::Mismatch(_) | AskError::Schemas { .. }) => {
                panic!("BUG: nothing that is submitted sends a signal: {error}")
            }
        }
    }
}

impl From<ReadError> for SubmitError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a live run did not do what was asked of it, or has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The run is not live, has no such item, or may not do it in the state that it is in.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The engine takes in nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The data of a signal does not fit the schema of its type.
    #[error(transparent)]
    Mismatch(#[from] SchemaMismatch),
    /// The schemas of the run's signals cannot be read, so that none of its own types can be sent.
    #[error("the schemas of the signals of run {run} cannot be read: {problem}")]
    Schemas {
        /// The run.
        run: CoordinationId,
        /// What is in the way.
        problem: String,
    },
}

impl AskError {
    /// What is in the way, if that is the machine and not what was asked for.
    pub(crate) fn shortage(&self) -> Option<String> {
        match self {
            Self::Unavailable(unavailable) => unavailable.shortage(),
            Self::Rejected(_) | Self::Mismatch(_) | Self::Schemas { .. } => None,
        }
    }
}

/// Why the ledger does not tell of a run, be it live or ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum QueryError {
    /// No run of this id was ever submitted.
    #[error("there is no run {run}; `antiphon list` shows the runs there are")]
    UnknownRun { run: CoordinationId },
    /// Its head row is not what this version writes.
    #[error("the head row of run {run} cannot be read ({reason}); run `antiphon verify`")]
    HeadRow { run: CoordinationId, reason: String },
    /// What it was started with, or what its items were, was erased.
    #[error(
        "what was recorded of run {run} was erased, so that it cannot be retried; the command that started it runs all of it again, with `--id {run} --again`"
    )]
    Erased { run: CoordinationId },
    /// Its events cannot be read, or cannot follow each other.
    #[error("the events of run {run} cannot be read ({reason}); run `antiphon verify`")]
    Events { run: CoordinationId, reason: String },
    /// The ledger cannot be read, or an end that is waited for will not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<ReportError> for QueryError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Read(error) => error.into(),
            ReportError::Unreadable { run, reason } => Self::Events { run, reason },
        }
    }
}

impl From<ReadError> for QueryError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why the receipt of a run is not given out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum ReceiptError {
    /// It is not where the last event of the run says, or is not what it was.
    #[error("the receipt of run {run} cannot be read ({reason}); run `antiphon verify`")]
    Damaged { run: CoordinationId, reason: String },
    /// Nothing is told of the run.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Why the receipt of a run is not given out with its evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// There is none, or what it rests on is gone or damaged.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The engine has stopped.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a run cannot be followed under a name.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum ReaderError {
    /// A name cannot be that of a cursor.
    #[error("the name of a cursor has 1 to {MAX_CURSOR_NAME_BYTES} bytes, not {length}")]
    Name {
        /// How long it is.
        length: usize,
    },
    /// The cursor of this name is in another stream.
    #[error("the cursor {name:?} reads `{stream}`; choose another name for another run")]
    Taken { name: String, stream: StreamName },
    /// Nothing is told of the run.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Why nothing was erased.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum EraseError {
    /// No run of this id was ever submitted.
    #[error("there is no run {run}; `antiphon list` shows the runs there are")]
    UnknownRun { run: CoordinationId },
    /// The event does not exist, or ends its run.
    #[error(
        "event {version} of run {run} cannot be erased; only versions from 1 to below {last}, its end, can be"
    )]
    NotErasable {
        run: CoordinationId,
        version: Version,
        /// The version of its terminal event.
        last: Version,
    },
    /// It is erased and recorded, but its bytes are still in a file of the ledger.
    #[error(
        "the erasure is recorded, but what was erased is still in the files of the ledger: {reason}; it goes with the next append or start after that"
    )]
    NotGone {
        /// What is in the way.
        reason: String,
    },
    /// The run has not ended, or the request names nothing or too much.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The engine takes in nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<ReadError> for EraseError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why an engine could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum StartError {
    /// The ledger could not be taken over.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The ledger could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The record of a stream does not hold together.
    #[error("`{stream}` cannot be replayed: {error}; run `antiphon verify`")]
    Replay { stream: StreamName, error: ApplyError },
    /// An event's bytes are not those that were hashed.
    #[error("`{stream}` is damaged at version {version}; run `antiphon verify`")]
    Damaged { stream: StreamName, version: antiphon_core::id::Version },
    /// Verification after an error of a sync found the ledger damaged.
    #[error("the previous engine hit an fsync error, and the ledger does not verify: {finding}")]
    NotVerified { finding: String },
    /// The ledger was verified, but the note that it must be could not be taken back.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The system refused something that the engine needs.
    #[error("the system refused {what}: {}", with_shortage(error))]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why it was refused.
        error: std::io::Error,
    },
    /// The system's clock went back behind the ledger's time.
    #[error(transparent)]
    Clock(#[from] EmitError),
}

fn with_shortage(error: &std::io::Error) -> String {
    let text = error.to_string();
    room::explained(&text).unwrap_or(text)
}

impl StartError {
    /// The trouble of the surroundings that it is, if it is one: the same may work in a while.
    pub(crate) fn passing(&self) -> Option<&Fault> {
        match self {
            Self::Read(ReadError::Fault(fault)) if fault.passing => Some(fault),
            _ => None,
        }
    }
}
