//! Why a coordination does not accept a command in its state.

use crate::coordination::life::LifeError;
use crate::id::CoordinationId;

/// Why a coordination does not take a command now. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum StateError {
    /// The coordination has ended.
    #[error("run {coordination_id} has ended; nothing can be added to its record")]
    CoordinationTerminal { coordination_id: CoordinationId },
    /// The coordination is not in the state that the command is for.
    #[error("run {coordination_id} {reason}")]
    NotInState { coordination_id: CoordinationId, reason: NotNow },
}

/// What is in the way of a command in the coordination's state: the rest of a sentence about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotNow {
    /// It is elsewhere in its life.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// Nobody carries it out.
    #[error("is interrupted; resume it first")]
    Interrupted,
    /// It keeps the keys that all may read, and is there for nothing else.
    #[error("keeps keys for all other runs; only keys can be set in it")]
    KeysAlone,
    /// It carries out a session of another run, with which it is interrupted and resumed.
    #[error("is nested in another run; give the id of that one")]
    Nested,
    /// The session is carried out by this coordination, so it cannot be ended by itself.
    #[error("carries this session out, which ends when it ends; stop it instead")]
    CarriesOutSession,
    /// Nothing carries the nested item out any more.
    #[error("has no plan for this item any more")]
    NoPlan,
    /// What needs a failed item is skipped without being asked for.
    #[error("skips dependents of failed work itself; give another reason")]
    SkipsDependents,
}
