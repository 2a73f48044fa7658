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
//!     SessionSpawner, SessionTerminationInfo, SpawnError, StopCondition,
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
//! let config = CoordinationConfig::new(vec!["work-1".into(), "work-2".into()], budget, 3)?;
//! let mut controller = CoordinationController::new(config);
//! let spawner = LocalSpawner;
//! let mut time = 1_700_000_000_000_000_000;
//!
//! controller.start(time)?;
//! let mut seen = controller.take_events(); // append them to a ledger before going on
//! while controller.check_stop_condition().is_none() {
//!     time += 1_000_000;
//!     let work_id = controller.current_work_id().expect("work is left").clone();
//!     let fresh = controller.check_work_freshness(&work_id, controller.version().0, true)?;
//!     assert!(fresh.is_eligible);
//!     let bound = controller.prepare_session_spawn(&work_id, fresh.seq_id, time)?;
//!     seen.extend(controller.take_events()); // durable before the session starts
//!     let ended = spawner.carry_out(&bound)?;
//!     time += 1_000_000;
//!     let (outcome, tokens) = (ended.outcome, ended.tokens_consumed);
//!     controller.record_session_termination(&bound.session_id, &work_id, outcome, tokens, time)?;
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

mod age;
mod approval;
mod budget;
mod carried;
mod condition;
mod config;
mod ending;
mod error;
pub mod event;
mod failure_streak;
mod fault;
mod key;
mod life;
mod limits;
mod live;
mod named;
mod paged;
mod pause;
mod planner;
mod propose;
mod raise;
mod receipt;
mod remembered;
mod reused;
mod route;
mod runners;
mod session;
mod signal;
mod spent;
mod start;
mod started;
mod state;
mod stop;
mod why;
mod work;

pub use crate::contract::{
    CheckpointError, CoordinationController, CoordinationReducer, CoordinationState,
    FreshnessCheck, Reducer, ReducerContext, SessionSpawner, SessionTerminationInfo, SpawnError,
    SpawnResult, Start, TerminationResult,
};
pub use crate::envelope::Meta;
pub use crate::head::{Stage, UnknownStage};
pub use approval::{Answer, GivenAnswer, Question, QuestionState};
pub use budget::{Budget, BudgetUsage, CoordinationBudget, Grant, Usage};
pub use config::CoordinationConfig;
pub(crate) use config::StartFacts;
pub use error::{
    AddError, ApplyError, ApprovalError, ArchiveDamaged, BindError, ConfigError, ControllerError,
    KeyError, NeedError, NotNow, RaiseError, SignalError, SkipError, StateError, TerminationError,
    WorkError, WrongStopCondition,
};
pub(crate) use error::{RecordError, UnbindError};
pub use failure_streak::FailureStreak;
pub use fault::CoordinationError;
pub use key::{
    Expected, GATE_SCALE, KeyChange, KeyState, KeyValue, KeyWrite, MetElsewhere, gate_key, gate_of,
};
pub use life::{Change, LifeError};
pub use limits::{
    CIRCUIT_BREAKER_THRESHOLD, DEFAULT_MAX_ATTEMPTS_PER_WORK, DEFAULT_VISITS, MAX_ADDRESSEES,
    MAX_AGENT_NAME_BYTES, MAX_ANSWERED_QUESTIONS, MAX_ANSWERS_IN_RECEIPT, MAX_ARCHIVES_READ,
    MAX_ATTEMPTS_LIMIT, MAX_CAPABLE_RUNNERS, MAX_CHANGES_PER_EVENT, MAX_CONCURRENCY,
    MAX_COUNTED_SIGNAL_TYPES, MAX_DATA_IN_EVENT_BYTES, MAX_DEDUP_KEY_BYTES, MAX_DEDUP_KEYS,
    MAX_DEDUP_WINDOW_NS, MAX_DEPTH, MAX_FINISHED_IN_MEMORY, MAX_GATES_IN_RECEIPT, MAX_HASHMAP_SIZE,
    MAX_ITEMS_PER_EVENT, MAX_KEY_BYTES, MAX_KEY_BYTES_IN_STATE, MAX_KEYS, MAX_LATEST_SIGNALS,
    MAX_LENT_KEYS, MAX_OPEN_QUESTIONS, MAX_QUESTION_BYTES, MAX_REMEMBERED_COMMANDS, MAX_ROUTES,
    MAX_SCORE_NAME_BYTES, MAX_SCORES, MAX_SESSION_IDS_PER_OUTCOME, MAX_SESSION_IDS_PER_WORK,
    MAX_SHARED_NEEDS, MAX_SIGNAL_DATA_BYTES, MAX_SIGNAL_TYPE_BYTES, MAX_TEXT_BYTES,
    MAX_TRACKED_OBJECTIVES, MAX_VISITS, MAX_VOTE_TEXT_BYTES, MAX_VOTES, MAX_WANTED_CAPABILITIES,
    MAX_WORK_OUTCOMES, MAX_WORK_QUEUE_SIZE, SESSION_WRITE_BURST, SESSION_WRITES_PER_SECOND,
    TIER3_ESCALATION_THRESHOLD,
};
pub use live::End;
pub use pause::Pause;
pub use planner::{
    CoordinationObjectiveReceiptV1, EfeComponents, EfeObjective, EfeWeights, PlannerError,
};
pub use propose::Proposal;
pub use raise::Raise;
pub use receipt::{
    Approvals, ApprovedQuestion, CarriedOutItem, CarriedOutWork, ContentStore, CoordinationReceipt,
    Counts, Ending, Evidence, GateScore, GateScores, HashMismatch, ReceiptBuilder, ReceiptError,
    ReusedItem, ReusedWork, RouteTaken, RoutesTaken, SignalCounts, WorkOutcome,
};
#[doc(hidden)]
pub use remembered::Effect;
pub use reused::{Forerunner, Reused};
pub use route::{Route, RouteVote};
pub use runners::{Capability, Runners};
pub use session::{
    Binding, Charge, NextStep, ProgramFault, Report, SessionEnd, SessionOutcome, StopCause,
    TreeReport,
};
pub(crate) use session::{WriteRate, shortened};
pub use signal::{About, Dedup, Latest, NotASignalType, Signal, SignalType};
pub use spent::SpentCeiling;
pub use state::Coordination;
pub use stop::{AbortReason, BudgetType, CoordinationStatus, ParentStop, StopCondition, Verdict};
pub use why::Blocked;
pub(crate) use work::events as work_events;
pub use work::{
    ArchivedWork, Assigned, Backoff, CapableRunners, FailurePolicy, Finished, KeyCondition,
    KeyNeed, KeyOwner, Met, Need, NeedStanding, NeedTarget, Runner, SignalNeed, SkipReason,
    WorkItemOutcome, WorkItemTracking, WorkSpec, WorkStage, WorkState, archived_items,
};
