//! A coordination engine for workers that are expensive, forgetful and cannot be trusted.
//!
//! [`Engine`] owns a state directory, carries out sessions by registered functions, and leaves a
//! ledger and one receipt for each run. Every step is in the ledger before it has an effect, so
//! after a crash it continues where it stopped.
//!
//! ```
//! use std::time::Duration;
//!
//! use antiphon::{
//!     Budget, CoordinationConfig, Engine, Failed, Output, SessionContext, Verdict, WorkSpec,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let state = dir.path().join("state");
//! let mut builder = Engine::builder(state)?; // takes over what an earlier run left
//! builder.register("download", |session: SessionContext| async move {
//!     match session.attempt() {
//!         1 => Err(Failed::because("the connection was reset")), // retried, up to three attempts
//!         _ => Ok(Output::of_json(&[40, 2])?),
//!     }
//! })?;
//! builder.register("report", |session: SessionContext| async move {
//!     let rows = session.output_of("download").await?.unwrap_or_default();
//!     let total: u32 = rows.json::<Vec<u32>>()?.iter().sum();
//!     Ok(Output::text(format!("{total} rows")))
//! })?;
//! let engine = builder.start().await?;
//!
//! let work = vec![
//!     WorkSpec::function("download", "download")?,
//!     WorkSpec::function("report", "report")?.needs_work("download")?,
//! ];
//! let budget = Budget::sessions(10).within(Duration::from_secs(60)).build()?;
//! let run = engine.submit(CoordinationConfig::of_work(work, budget)?.with_id("nightly")?).await?;
//!
//! let ended = run.wait().await?;
//! assert_eq!((ended.verdict, ended.usage.consumed_episodes()), (Verdict::Succeeded, 3));
//! assert_eq!(run.output("report").await?, Some(Output::text("42 rows")));
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The examples beside this crate show one thing each: `shared_state`, `signals`, `routing`,
//! `contexts` and `needs`; `generators` has all of it in one run.
//!
//! A run is what the kernel, its events and the names of types call a *coordination*. The kernel by
//! itself, as its seed has it, is [`coordination`]; plan files are read by [`plan`], sessions as
//! processes are owned by [`process`], and [`ledger`] reads, verifies and copies a ledger without an
//! engine.

pub mod approvals;
mod clock;
pub mod contexts;
pub mod coordination;
#[doc(hidden)]
pub mod crash;
mod decider;
mod engine;
pub mod expression;
mod feed;
mod file_content;
mod folder;
mod hand_over;
mod hex;
mod identity;
mod incidents;
pub mod items;
pub mod keys;
pub mod ledger;
mod locked;
mod mailbox;
mod on_end;
mod orphans;
pub mod output_files;
mod outside;
pub mod plan;
pub mod process;
pub mod prune;
#[doc(hidden)]
pub mod random;
pub mod report;
pub mod retry;
mod room;
pub mod routing;
mod secrets;
mod session;
mod shortages;
mod signal_schemas;
pub mod signals;
pub mod stats;
mod submission;
mod subscription;
mod tagged;
pub mod usage;
pub mod waits;

pub use antiphon_core::event;

pub use engine::{
    Engine, EngineBuilder, Once, PrintedStream, Reader, RegisterError, Run, Submitted,
};
pub use identity::{Difference, Differences, origin_of};
pub use incidents::Incident;
pub use mailbox::{
    AskError, EraseError, EvidenceError, QueryError, ReaderError, ReceiptError, StartError,
    SubmitError, Unavailable,
};
pub use mailbox::{Ended, OnEnd, Status};
pub use session::{CommandEnd, Failed, Output, OutputError, SessionContext, SessionResult};
pub use submission::{Addition, Submission};
pub use subscription::Subscription;

// What a run is made of.
pub use antiphon_core::coordination::{
    Backoff, Budget, Capability, ControllerError, CoordinationBudget, CoordinationConfig,
    CoordinationError, EfeWeights, FailurePolicy, Forerunner, Grant, Need, Raise, Reused, Runner,
    SessionSpawner, WorkSpec,
};
// Why one does not take a command.
pub use antiphon_core::coordination::{
    AddError, ArchiveDamaged, BindError, ConfigError, NotNow, RaiseError, SkipError, StateError,
    TerminationError, WorkError,
};
// What is known of one.
pub use antiphon_core::coordination::{
    AbortReason, Blocked, BudgetUsage, CoordinationReceipt, Counts, Ending, SessionOutcome,
    SkipReason, StopCondition, Verdict, WorkItemOutcome, WorkOutcome,
};
pub use antiphon_core::event::{CoordinationEvent, Event, StopKind};
pub use antiphon_core::head::{RunSummary, Stage};
// Ids, times, and what the ledger holds.
pub use antiphon_core::digest::Digest;
pub use antiphon_core::envelope::Recorded;
pub use antiphon_core::id::{
    AgentId, CommandId, CoordinationId, Fence, GroupName, IdError, RunnerName, SessionId,
    StreamName, Version, WorkId,
};
pub use antiphon_core::time::{Deadline, LedgerTime, WallTime};
pub use antiphon_core::world::{EraseRequest, Rejection, TakenUp};

// Seams of the kernel for the other crates of this workspace and for tests; no part of the API.
#[doc(hidden)]
pub use antiphon_core::{append, digest, envelope, head, id, live, replay, time, world};

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
