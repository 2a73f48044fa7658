//! The coordination kernel: bounded runs over work, with budgets, a circuit breaker and receipts.
//!
//! [`Coordination`] is the aggregate and owns `apply`. [`CoordinationController`] is one of
//! them live, with an outbox; [`CoordinationReducer`] is replay through the same `apply`;
//! [`ReceiptBuilder`] is fed by it.
//!
//! # A whole run
//!
//! ```
//! use antiphon_core::coordination::{
//!     CoordinationBudget, CoordinationConfig, CoordinationController, CoordinationReducer, Reducer, ReducerContext,
//!     SessionOutcome, SessionSpawner, SessionTerminationInfo, SpawnError, StopCondition,
//! };
//!
//! struct LocalSpawner;
//!
//! impl SessionSpawner for LocalSpawner {
//!     fn spawn(&self, _session_id: &str, _work_id: &str) -> Result<(), SpawnError> {
//!         Ok(())
//!     }
//!     fn observe_termination(&self, session_id: &str) -> Result<SessionTerminationInfo, SpawnError> {
//!         Ok(SessionTerminationInfo::success(session_id, 1000))
//!     }
//! }
//!
//! let budget = CoordinationBudget::new(10, 5_000_000, 1_000_000, Some(100_000))?;
//! let config = CoordinationConfig::new(vec!["work-1".to_string(), "work-2".to_string()], budget, 3)?;
//! let mut controller = CoordinationController::new(config);
//! let spawner = LocalSpawner;
//! let mut time = 1_700_000_000_000_000_000;
//!
//! controller.start(time)?;
//! let mut seen = controller.take_events(); // append them to a ledger before going on
//! while controller.check_stop_condition().is_none() {
//!     time += 1_000_000;
//!     let work_id = controller.current_work_id().expect("work is left").to_string();
//!     let fresh = controller.check_work_freshness(&work_id, controller.version().0, true)?;
//!     assert!(fresh.is_eligible);
//!     let bound = controller.prepare_session_spawn(&work_id, fresh.seq_id, time)?;
//!     seen.extend(controller.take_events()); // durable before the session starts
//!     let (session_id, work_id) = (bound.session_id.to_string(), bound.work_id.as_str());
//!     let (outcome, tokens) = match spawner.spawn(&session_id, work_id) {
//!         Ok(()) => {
//!             let ended = spawner.observe_termination(&session_id)?;
//!             (ended.outcome, ended.tokens_consumed)
//!         }
//!         Err(_) => (SessionOutcome::SpawnFailed, 0),
//!     };
//!     time += 1_000_000;
//!     controller.record_session_termination(&session_id, work_id, outcome, tokens, time)?;
//! }
//! let stop = controller.check_stop_condition().expect("the loop ended");
//! assert_eq!(stop, StopCondition::AllWorkCompleted);
//! let end = controller.complete(stop, time)?;
//! seen.extend(controller.take_events());
//! assert_eq!(end.receipt.successful_sessions(), 2);
//! assert!(end.receipt.verify(&end.receipt_hash).is_ok());
//!
//! // Replay gives the same state.
//! let mut reducer = CoordinationReducer::new();
//! for (index, event) in seen.iter().enumerate() {
//!     reducer.apply(event, &ReducerContext::replay(index as u64 + 1))?;
//! }
//! let replayed = reducer.state().get(&end.receipt.coordination_id).expect("it was replayed");
//! assert_eq!(replayed.snapshot(), controller.session().expect("it was started").snapshot());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod apply;
mod archive;
mod asked;
mod budget;
mod check;
mod config;
mod decide;
mod error;
pub mod event;
mod index;
mod live;
mod needs;
mod outcome;
mod paged;
mod planner;
mod raise;
mod receipt;
mod runners;
mod session;
mod start;
mod stop;
mod why;
mod work;

pub use crate::contract::{
    CoordinationController, CoordinationReducer, CoordinationState, FreshnessCheck, Reducer,
    ReducerContext, SessionSpawner, SessionTerminationInfo, SpawnError, SpawnResult, Start,
    TerminationResult,
};
pub use crate::envelope::Meta;
pub use crate::head::{Stage, UnknownStage};
pub(crate) use admission::events as work_events;
pub use archive::{Finished, Recalled, archived_items};
pub use budget::{BudgetUsage, CoordinationBudget, Grant, Usage};
pub use config::CoordinationConfig;
pub(crate) use config::StartFacts;
pub(crate) use decide::shortened;
pub use decide::{Proposal, StopCause};
pub use error::{ApplyError, ControllerError, CoordinationError};
pub use live::End;
pub use outcome::{NextStep, Report, SessionEnd, SessionOutcome, TreeReport};
pub use planner::{
    CoordinationObjectiveReceiptV1, EfeComponents, EfeObjective, EfeWeights, PlannerError,
};
pub use raise::Raise;
pub use receipt::{
    ContentStore, CoordinationReceipt, Counts, Ending, Evidence, HashMismatch, ReceiptBuilder,
    ReceiptError, WorkOutcome,
};
pub use runners::{Capability, Runners};
pub use session::Coordination;
pub use stop::{AbortReason, BudgetType, CoordinationStatus, ParentStop, StopCondition, Verdict};
pub use why::Blocked;
pub use work::{
    Backoff, Binding, FailurePolicy, Need, Runner, SkipReason, WorkItemOutcome, WorkItemTracking,
    WorkSpec, WorkState,
};

/// Most items that a configuration takes, unless it says otherwise.
pub const MAX_WORK_QUEUE_SIZE: usize = 1_000;
/// Most entries of a reducer's maps.
pub const MAX_HASHMAP_SIZE: usize = 10_000;
/// Most session numbers kept for an item; older ones are in the ledger.
pub const MAX_SESSION_IDS_PER_WORK: usize = 100;
/// Items failed for good in a row that trip the breaker, unless the configuration says otherwise.
pub const CIRCUIT_BREAKER_THRESHOLD: u32 = 3;
/// Attempts of an item, unless the configuration says otherwise.
pub const DEFAULT_MAX_ATTEMPTS_PER_WORK: u32 = 3;
/// Most attempts that an item can be given.
pub const MAX_ATTEMPTS_LIMIT: u32 = 100;
/// Most items that a receipt spells out; each full thousand before them is a digest.
pub const MAX_WORK_OUTCOMES: usize = 1_000;
/// Most session numbers of an item in a receipt.
pub const MAX_SESSION_IDS_PER_OUTCOME: usize = 100;
/// Most objectives that a controller keeps for the planner.
pub const MAX_TRACKED_OBJECTIVES: usize = 1_000;
/// Attempts from which a planner decision leaves a receipt.
pub const TIER3_ESCALATION_THRESHOLD: u32 = 3;
/// Most items in one event.
pub const MAX_ITEMS_PER_EVENT: usize = 1_000;
/// Deepest nesting of coordinations.
pub const MAX_DEPTH: u8 = 8;
/// Longest text that a session leaves, in bytes; the rest is cut off.
pub const MAX_TEXT_BYTES: usize = 4_096;
/// Most scores that a session may give; further ones are left out.
pub const MAX_SCORES: usize = 100;
/// Longest name of a score, in bytes; scores with a longer one, or with control characters in it,
/// are left out.
pub const MAX_SCORE_NAME_BYTES: usize = 128;
/// Finished items of an open coordination that stay in memory whatever happens; older ones do while
/// unfinished work needs them. May be raised, never lowered: replay would miss what it then needs.
pub const MAX_FINISHED_IN_MEMORY: usize = 10_000;
/// Most archives that one command may need looked into.
pub const MAX_RECALLED_ARCHIVES: usize = 1_000;
/// Most sessions at a time.
pub const MAX_CONCURRENCY: u32 = 10_000;
/// Commands of a stream whose ids are remembered.
pub const MAX_REMEMBERED_COMMANDS: usize = 10_000;
