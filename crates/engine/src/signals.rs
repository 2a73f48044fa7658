//! Signals of a run: who sends them, who follows them, and which there were.
//!
//! What agents are known by is told as signals, too, without being recorded twice: a session that
//! begins is its agent's `agent_initialized`, and the end that gives an item its outcome is its
//! `agent_completed`.
//!
//! ```
//! use antiphon::signals::{From, JsonText, Signal, SignalFilter};
//! use antiphon::{Budget, CoordinationConfig, Engine};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("state")).await?;
//! let budget = Budget::sessions(10).within(std::time::Duration::from_secs(60)).build()?;
//! let run = engine.submit(CoordinationConfig::open(Vec::new(), budget)?).await?;
//!
//! let review = Signal::new("review.requested".parse()?).from("builder".parse()?);
//! run.signal(review.with_data(JsonText::new(r#"{"file": "src/lib.rs"}"#)?)?).await?;
//!
//! // Who comes late misses nothing.
//! let mut reviews = run.signals(SignalFilter::new().of_type("review.*")?, From::Beginning).await?;
//! let first = reviews.next().await?.expect("the run has not ended");
//! assert_eq!((first.from.as_str(), first.json()?["file"].as_str()), ("builder", Some("src/lib.rs")));
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```

mod checking;
mod filter;
mod following;
mod heard;
mod history;
mod recorded;
mod secrecy;
mod sending;
mod speakers;
mod told;
mod undeclared;

pub use antiphon_core::coordination::{Dedup, NotASignalType, Signal, SignalError, SignalType};

pub use antiphon_core::json_text::{JsonText, NotJson};

pub use crate::signal_schemas::{
    CompiledSchemas, MAX_SIGNAL_SCHEMA_BYTES, MAX_SIGNAL_SCHEMAS, SchemaError, SchemaMismatch,
    SignalSchemas,
};
pub use filter::{InvalidFilter, SignalFilter};
pub use following::{From, Signals};
pub use heard::HeardSignal;
pub use recorded::RecordedSignals;
pub use undeclared::UNDECLARED;
pub(crate) use undeclared::undeclared;
