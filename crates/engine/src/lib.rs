//! A coordination engine for workers that are expensive, forgetful and cannot be trusted.
//!
//! [`Engine`] owns a state directory, carries out sessions by registered functions, and leaves a ledger and one receipt for each
//! coordination. What it decides is in the pure core, re-exported here as [`coordination`], [`event`], [`id`] and [`time`].
//!
//! ```
//! use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
//! use antiphon::{Engine, Output, SessionContext};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let state_dir = dir.path().join("state");
//! let mut setup = Engine::open(&state_dir)?;
//! setup.register("greet", |session: SessionContext| async move {
//!     Ok(Output::text(format!("hello from {}", session.work())))
//! });
//! let engine = setup.start().await?;
//!
//! let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?; // 10 sessions, one minute
//! let work = vec![WorkSpec::function("first", "greet")?, WorkSpec::function("second", "greet")?.needs_work("first")?];
//! let id = engine.submit(CoordinationConfig::of_work(work, budget)?).await?;
//! let ended = engine.wait(&id).await?;
//! assert_eq!(ended.verdict, Verdict::Succeeded);
//! engine.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })
//! # }
//! ```
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
mod engine;
pub mod ledger;
mod session;

pub use antiphon_core::{append, coordination, digest, envelope, event, id, time, world};

pub use engine::{Ended, Engine, EngineError, Setup, StartError, Status, Subscription};
pub use session::{Failed, Output, SessionContext, SessionResult};
