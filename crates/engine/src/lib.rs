//! A coordination engine for workers that are expensive, forgetful and cannot be trusted.
//!
//! [`Engine`] owns a state directory, carries out sessions by registered functions, and leaves a
//! ledger and one receipt for each coordination. What it decides is in the pure core, re-exported
//! here as [`coordination`], [`event`], [`id`] and [`time`].
//!
//! The README has a complete example.
//!
//! The seed of the kernel, as it was written:
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

mod clock;
pub mod crash;
mod decider;
mod engine;
mod incidents;
pub mod ledger;
mod locked;
mod mailbox;
mod orphans;
pub mod plan;
pub mod process;
mod session;
mod submission;
mod tagged;
pub mod usage;

pub use antiphon_core::{
    append, coordination, digest, envelope, event, head, id, live, replay, time, world,
};

pub use engine::{
    Engine, EngineBuilder, Once, Reader, RegisterError, Run, Submitted, Subscription,
};
pub use incidents::CaughtError;
pub use mailbox::{Ended, EngineError, StartError, Status};
pub use session::{Failed, Output, OutputError, SessionContext, SessionResult};
pub use submission::{Addition, Submission};

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
