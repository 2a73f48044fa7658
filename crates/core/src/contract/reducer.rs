//! Replay: the same `apply` as live, over many coordinations, with bounded maps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::coordination::{ApplyError, Coordination, MAX_HASHMAP_SIZE};
use crate::digest::Digest;
use crate::envelope::{Recorded, StreamTip};
use crate::id::{CoordinationId, OutOfOrder, StreamName, Version};
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
    coordinations: BTreeMap<CoordinationId, Replayed>,
}

/// One coordination, and the hash of each of its events by version, to tell one that is offered
/// again from another in its place.
#[derive(Debug, Clone)]
struct Replayed {
    replay: Replay<Coordination>,
    seen: Vec<Digest>,
}

impl CoordinationState {
    /// One coordination.
    #[must_use]
    pub fn get(&self, id: &CoordinationId) -> Option<&Coordination> {
        self.coordinations.get(id)?.replay.state()
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Coordination> {
        self.coordinations.values().filter_map(|known| known.replay.state())
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

/// What a checkpoint's bytes begin with: they are a cache, and another shape has another name.
const CHECKPOINT: &str = "antiphon.reducer.1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    format: String,
    #[serde(deserialize_with = "crate::bounded::list::<MAX_HASHMAP_SIZE, _, _>")]
    coordinations: Vec<Kept>,
}

/// One coordination: its snapshot as text, and the hashes of its events.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    snapshot: String,
    seen: Vec<Digest>,
}

/// Why bytes are not a checkpoint. Replay the events instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum CheckpointError {
    /// They do not have the shape of one, or a state in them contradicts itself.
    #[error("the checkpoint cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// Another version of this library wrote them.
    #[error("the checkpoint is of format {found:?}, and this version reads {CHECKPOINT:?}")]
    Format { found: String },
    /// A coordination has not as many hashes as events, or is in it twice.
    #[error("the checkpoint contradicts itself about coordination {coordination_id}")]
    Contradiction { coordination_id: CoordinationId },
}

/// Folds coordination events into a [`CoordinationState`].
///
/// It goes by what events say and by their versions. **It checks no hashes**: whether the events
/// are those of an unbroken chain is for the caller to check before, with
/// [`Recorded::is_sound`](crate::envelope::Recorded::is_sound) and
/// [`Recorded::prev`](crate::envelope::Recorded::prev), or with `antiphon verify`. It only compares
/// the hash that an event has with that of the event that it has seen at the same version: the same
/// event again changes nothing, another one is refused. For that it keeps 32 bytes an event.
///
/// ```
/// use antiphon_core::coordination::{
///     CoordinationBudget, CoordinationConfig, CoordinationController, CoordinationReducer, Reducer,
///     ReducerContext,
/// };
/// let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
/// let config = CoordinationConfig::new(vec!["work-1".to_owned()], budget, 3)?;
/// let mut controller = CoordinationController::new(config);
/// controller.start(1)?;
/// let events = controller.take_events();
///
/// let mut reducer = CoordinationReducer::new();
/// reducer.apply(&events[0], &ReducerContext::replay(1))?;
/// let checkpoint = reducer.checkpoint(); // to be kept, and later:
/// let mut reducer = CoordinationReducer::from_checkpoint(&checkpoint)?;
/// for (seq_id, event) in (1..).zip(&events) {
///     reducer.apply(event, &ReducerContext::replay(seq_id))?; // the first is known already
/// }
/// assert_eq!(reducer.state().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        Some(self.state.coordinations.remove(id)?.replay.into_state()?.0)
    }

    /// What there is so far, as bytes; equal states give equal bytes. They are a cache: keep the
    /// events.
    ///
    /// # Panics
    /// Never for values that exist: a checkpoint is plain data with text keys.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        let kept = self.state.coordinations.values().filter_map(|known| {
            let snapshot = String::from_utf8(known.replay.state()?.snapshot());
            Some(Kept { snapshot: snapshot.expect("BUG: JSON is text"), seen: known.seen.clone() })
        });
        let checkpoint =
            Checkpoint { format: CHECKPOINT.to_owned(), coordinations: kept.collect() };
        serde_json::to_vec(&checkpoint).expect("BUG: a checkpoint is plain data with text keys")
    }

    /// Continues from [`CoordinationReducer::checkpoint`].
    ///
    /// # Errors
    /// A [`CheckpointError`]; replay the events instead.
    pub fn from_checkpoint(checkpoint: &[u8]) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Tag {
            format: String,
        }
        let Tag { format } = serde_json::from_slice(checkpoint)?;
        if format != CHECKPOINT {
            return Err(CheckpointError::Format { found: format });
        }
        let Checkpoint { coordinations, .. } = serde_json::from_slice(checkpoint)?;
        let mut state = CoordinationState::default();
        for Kept { snapshot, seen } in coordinations {
            let session = Coordination::restore(snapshot.as_bytes())?;
            let (id, version) = (session.coordination_id().clone(), session.version());
            let contradiction = || CheckpointError::Contradiction { coordination_id: id.clone() };
            let hash = *seen.last().ok_or_else(contradiction)?;
            let replay = Replay::behind(session, StreamTip { version, hash });
            let is_whole = seen.len() as u64 == version.0;
            let before = state.coordinations.insert(id.clone(), Replayed { replay, seen });
            if before.is_some() || !is_whole {
                return Err(contradiction());
            }
        }
        Ok(Self { state })
    }
}

impl Reducer for CoordinationReducer {
    type State = CoordinationState;
    type Error = ApplyError;

    fn name(&self) -> &'static str {
        "coordination-lifecycle"
    }

    /// Events of other streams are left alone; those of a coordination must come in order. One that
    /// was seen is ignored, another in its place is refused.
    fn apply(&mut self, recorded: &Recorded, _context: &ReducerContext) -> Result<(), ApplyError> {
        let StreamName::Coordination(id) = &recorded.stream else { return Ok(()) };
        if let Some(known) = self.state.coordinations.get_mut(id) {
            if recorded.version > known.replay.tip().version {
                known.replay.take(recorded)?;
                known.seen.push(recorded.hash);
                return Ok(());
            }
            let index = recorded.version.0.checked_sub(1).and_then(|index| index.try_into().ok());
            return match index.and_then(|index: usize| known.seen.get(index)) {
                Some(seen) if *seen == recorded.hash => Ok(()),
                Some(seen) => Err(ApplyError::AnotherEvent {
                    version: recorded.version,
                    known: *seen,
                    actual: recorded.hash,
                }),
                None => {
                    let (last, actual) = (known.replay.tip().version, recorded.version);
                    Err(OutOfOrder { last, actual }.into())
                }
            };
        }
        if recorded.version != Version(1) {
            return Err(ApplyError::CoordinationNotFound { coordination_id: id.clone() });
        }
        if self.state.coordinations.len() == MAX_HASHMAP_SIZE {
            return Err(ApplyError::LimitExceeded { what: "coordinations", max: MAX_HASHMAP_SIZE });
        }
        let mut replay = Replay::of(recorded.stream.clone());
        replay.take(recorded)?;
        self.state.coordinations.insert(id.clone(), Replayed { replay, seen: vec![recorded.hash] });
        Ok(())
    }

    fn state(&self) -> &CoordinationState {
        &self.state
    }

    fn reset(&mut self) {
        self.state = CoordinationState::default();
    }
}
