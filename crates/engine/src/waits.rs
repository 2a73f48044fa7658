//! Callers that wait for something in a run: a signal, a key, the outcome of an item.
//!
//! A wait is state of the running engine and never recorded: it costs no append, and is gone with
//! its caller. It is met by what items are met by; only that an item failed is told, too.
//!
//! ```
//! use std::time::Duration;
//!
//! use antiphon::signals::Signal;
//! use antiphon::waits::{Met, SignalNeed, Waited};
//! use antiphon::{Budget, CoordinationConfig, Engine, Need};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("state")).await?;
//! let budget = Budget::sessions(10).within(Duration::from_secs(60)).build()?;
//! let run = engine.submit(CoordinationConfig::open(Vec::new(), budget)?).await?;
//!
//! let built = Need::from(SignalNeed::new("built".parse()?));
//! let early = run.wait_for([built.clone()], Some(Duration::from_millis(1))).await?;
//! assert_eq!(early, Waited::TimedOut { unmet: vec![built.clone()] });
//!
//! let version = run.signal(Signal::new("built".parse()?)).await?;
//! let met = Met::Signal { version: Some(version) };
//! assert_eq!(run.wait_for([built], None).await?, Waited::Met(vec![met]));
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```

mod cycle;
mod recorded;
mod registry;
mod subject;
mod wait;
mod waiting;

pub use antiphon_core::coordination::{KeyCondition, KeyNeed, Met, SignalNeed};

pub use crate::mailbox::WaitError;
pub(crate) use registry::{Due, Waits};
pub use waiting::Waited;

/// Most callers that wait in one run.
pub const MAX_WAITS: usize = 10_000;

/// Most needs of one wait.
pub const MAX_NEEDS_OF_WAIT: usize = 100;
