//! The seed's contract: one coordination driven by a caller, replay over many, and sessions behind
//! a trait. A facade over what decides elsewhere; it has no rules of its own.

mod controller;
mod reducer;
mod spawner;

pub use controller::{
    CoordinationController, FreshnessCheck, SpawnResult, Start, TerminationResult,
};
pub use reducer::{
    CheckpointError, CoordinationReducer, CoordinationState, Reducer, ReducerContext,
};
pub use spawner::{SessionSpawner, SessionTerminationInfo, SpawnError};
