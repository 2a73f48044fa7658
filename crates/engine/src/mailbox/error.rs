//! What can go wrong with a running engine, and with starting one.
//!
//! An error that says its cause in its own sentence has no source, so that no report says it twice.

use std::sync::Arc;

use antiphon_core::coordination::{ApplyError, ControllerError};
use antiphon_core::digest::Digest;
use antiphon_core::event::Unreadable;
use antiphon_core::id::{CoordinationId, IdError, StreamName, Version, WorkId};
use antiphon_core::live::EmitError;
use antiphon_core::world::Rejection;

use crate::ledger::{AppendError, MAX_CURSOR_NAME_BYTES, OpenError, ReadError, WriteError};

/// Why the engine did not do what it was asked. Unless it says so, nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum EngineError {
    /// The command is against the rules.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// An identifier is not one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// There is no such coordination, neither running nor ended.
    #[error("there is no run {coordination}; `antiphon list` shows the runs there are")]
    UnknownCoordination { coordination: CoordinationId },
    /// An event cannot be erased: it does not exist, or ends its coordination.
    #[error(
        "event {version} of run {coordination} cannot be erased; only versions from 1 to below {last}, its end, can be"
    )]
    NotErasable {
        coordination: CoordinationId,
        version: Version,
        /// The version of its terminal event.
        last: Version,
    },
    /// An item names an input that nobody handed in.
    #[error("item {work} names input {input}, which was not supplied; submit it with the work")]
    InputMissing {
        work: WorkId,
        /// The digest of the input.
        input: Digest,
    },
    /// A name cannot be that of a cursor.
    #[error("the name of a cursor has 1 to {MAX_CURSOR_NAME_BYTES} bytes, not {length}")]
    CursorName {
        /// How long it is.
        length: usize,
    },
    /// The cursor of this name is in another stream.
    #[error("the cursor {name:?} reads `{stream}`; choose another name for another run")]
    CursorTaken { name: String, stream: StreamName },
    /// The ledger takes in nothing for now: the disk is full, or something else keeps it from
    /// writing.
    #[error(
        "the ledger is read-only until a write succeeds again ({reason}); make room and repeat the command"
    )]
    ReadOnly { reason: String },
    /// The ledger holds an event that this version does not know: it can be read, but whatever this
    /// version wrote would rest on a state that leaves something out.
    #[error("the ledger is read-only for this version of antiphon: {event}")]
    Newer {
        /// The event: its stream, version, type and schema.
        event: Unreadable,
    },
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
    /// The ledger could not be read.
    #[error("the ledger could not be read: {error}")]
    Read { error: Arc<ReadError> },
    /// The head row of a run is not what this version writes.
    #[error("the head row of run {coordination} cannot be read ({reason}); run `antiphon verify`")]
    HeadRow { coordination: CoordinationId, reason: String },
    /// The receipt of a run is not where its last event says, or is not what it was.
    #[error("the receipt of run {coordination} cannot be read ({reason}); run `antiphon verify`")]
    Receipt { coordination: CoordinationId, reason: String },
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

impl From<ReadError> for EngineError {
    fn from(error: ReadError) -> Self {
        Self::Read { error: Arc::new(error) }
    }
}

impl From<&AppendError> for EngineError {
    fn from(error: &AppendError) -> Self {
        match error {
            AppendError::NotWritten { source } => Self::ReadOnly { reason: source.to_string() },
            AppendError::Refused(refusal) if !refusal.is_final() => {
                Self::NotTaken { reason: refusal.to_string() }
            }
            AppendError::Refused(_) | AppendError::Unknown { .. } => {
                Self::Poisoned { reason: error.to_string() }
            }
        }
    }
}

impl From<ControllerError> for EngineError {
    fn from(error: ControllerError) -> Self {
        Self::Rejected(error.into())
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
    #[error("the system refused {what}: {error}")]
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
