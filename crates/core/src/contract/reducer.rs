//! Replay: the same `apply` as live, over many coordinations, with bounded maps.

use std::collections::BTreeMap;

use crate::coordination::{ApplyError, Coordination, MAX_HASHMAP_SIZE};
use crate::envelope::Recorded;
use crate::id::{CoordinationId, StreamName, Version};
use crate::replay::Replay;

/// Where an event comes from while it is reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReducerContext {
    /// Address of the event in the ledger.
    pub seq_id: u64,
    /// Whether history is replayed.
    pub is_replay: bool,
}

impl ReducerContext {
    /// An event of the past.
    #[must_use]
    pub fn replay(seq_id: u64) -> Self {
        Self { seq_id, is_replay: true }
    }
}

/// Something that events are folded into, deterministically and without I/O.
pub trait Reducer {
    /// What they are folded into.
    type State;
    /// Why an event cannot be.
    type Error;

    /// A name, for checkpoints.
    fn name(&self) -> &'static str;

    /// Folds in one event. One that was folded in before changes nothing.
    ///
    /// # Errors
    /// The event cannot follow; the state is as before.
    fn apply(&mut self, event: &Recorded, context: &ReducerContext) -> Result<(), Self::Error>;

    /// What there is so far.
    fn state(&self) -> &Self::State;

    /// Forgets everything.
    fn reset(&mut self);
}

/// All coordinations that were replayed.
#[derive(Debug, Clone, Default)]
pub struct CoordinationState {
    coordinations: BTreeMap<CoordinationId, Replay<Coordination>>,
}

impl CoordinationState {
    /// One coordination.
    #[must_use]
    pub fn get(&self, id: &CoordinationId) -> Option<&Coordination> {
        self.coordinations.get(id)?.state()
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Coordination> {
        self.coordinations.values().filter_map(Replay::state)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.coordinations.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.coordinations.is_empty()
    }

    /// Live sessions of all of them.
    #[must_use]
    pub fn binding_count(&self) -> usize {
        self.iter().map(|session| session.bindings().len()).sum()
    }
}

/// Folds coordination events into a [`CoordinationState`].
#[derive(Debug, Clone, Default)]
pub struct CoordinationReducer {
    state: CoordinationState,
}

impl CoordinationReducer {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets go of a coordination that has ended, to make room; returns it.
    pub fn forget(&mut self, id: &CoordinationId) -> Option<Coordination> {
        Some(self.state.coordinations.remove(id)?.into_state()?.0)
    }
}

impl Reducer for CoordinationReducer {
    type State = CoordinationState;
    type Error = ApplyError;

    fn name(&self) -> &'static str {
        "coordination-lifecycle"
    }

    /// Events of other streams are left alone; those of a coordination must come in order, repeats
    /// are ignored.
    fn apply(&mut self, recorded: &Recorded, _context: &ReducerContext) -> Result<(), ApplyError> {
        let StreamName::Coordination(id) = &recorded.stream else { return Ok(()) };
        if let Some(known) = self.state.coordinations.get_mut(id) {
            if recorded.version > known.tip().version {
                known.take(recorded)?;
            }
            return Ok(());
        }
        if recorded.version != Version(1) {
            return Err(ApplyError::CoordinationNotFound { coordination_id: id.clone() });
        }
        if self.state.coordinations.len() == MAX_HASHMAP_SIZE {
            return Err(ApplyError::LimitExceeded { what: "coordinations", max: MAX_HASHMAP_SIZE });
        }
        let mut replay = Replay::of(recorded.stream.clone());
        replay.take(recorded)?;
        self.state.coordinations.insert(id.clone(), replay);
        Ok(())
    }

    fn state(&self) -> &CoordinationState {
        &self.state
    }

    fn reset(&mut self) {
        self.state = CoordinationState::default();
    }
}
