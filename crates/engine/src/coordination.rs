//! The kernel as its seed has it: one coordination driven by a caller, replay over many, sessions
//! behind a trait, receipts. It is re-exported from `antiphon-core`; a program that embeds the
//! engine needs none of it.
//!
//! ```
//! use antiphon::coordination::{
//!     CoordinationConfig, CoordinationController, CoordinationBudget,
//! };
//!
//! # let timestamp_ns = 1_700_000_000_000_000_000;
//! let budget = CoordinationBudget::new(
//!     10,           // max 10 episodes
//!     5_000_000,    // max 5M ticks
//!     1_000_000,    // 1MHz tick rate (5 seconds)
//!     Some(100_000) // max 100k tokens
//! ).unwrap();
//!
//! let config = CoordinationConfig::new(
//!     vec!["work-1".to_string(), "work-2".to_string()],
//!     budget,
//!     3, // max 3 attempts per work
//! ).unwrap();
//!
//! let mut controller = CoordinationController::new(config);
//! let started_event = controller.start(timestamp_ns).unwrap();
//! ```
//!
//! ```
//! use antiphon::coordination::{SessionSpawner, SessionTerminationInfo, SpawnError};
//!
//! struct LocalSpawner;
//!
//! impl SessionSpawner for LocalSpawner {
//!     fn spawn(&self, session_id: &str, work_id: &str) -> Result<(), SpawnError> {
//!         // Start session (implementation-specific)
//!         Ok(())
//!     }
//!
//!     fn observe_termination(
//!         &self,
//!         session_id: &str,
//!     ) -> Result<SessionTerminationInfo, SpawnError> {
//!         Ok(SessionTerminationInfo::success(session_id, 1000))
//!     }
//! }
//! ```

pub use antiphon_core::coordination::{
    AbortReason, BudgetType, BudgetUsage, CIRCUIT_BREAKER_THRESHOLD, ContentStore, ControllerError,
    CoordinationBudget, CoordinationConfig, CoordinationController, CoordinationError,
    CoordinationObjectiveReceiptV1, CoordinationReceipt, CoordinationReducer, CoordinationState,
    CoordinationStatus, DEFAULT_MAX_ATTEMPTS_PER_WORK, EfeComponents, EfeObjective, EfeWeights,
    FreshnessCheck, MAX_ATTEMPTS_LIMIT, MAX_HASHMAP_SIZE, MAX_SESSION_IDS_PER_OUTCOME,
    MAX_SESSION_IDS_PER_WORK, MAX_TRACKED_OBJECTIVES, MAX_WORK_OUTCOMES, MAX_WORK_QUEUE_SIZE,
    ReceiptBuilder, Reducer, ReducerContext, SessionOutcome, SessionSpawner,
    SessionTerminationInfo, SpawnError, SpawnResult, Start, StopCondition,
    TIER3_ESCALATION_THRESHOLD, TerminationResult, WorkItemOutcome, WorkItemTracking, WorkOutcome,
};

// What the other crates of this workspace read of a coordination; no part of the API.
#[doc(hidden)]
pub use antiphon_core::coordination::*;
