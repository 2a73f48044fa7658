//! Keys of a run: versioned values that its sessions and callers share.
//!
//! Several keys are set together or not at all, and a change may say which versions it rests on.
//!
//! ```
//! use antiphon::keys::{Expected, JsonText, KeyWrite};
//! use antiphon::{Budget, CoordinationConfig, Engine};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("state")).await?;
//! let budget = Budget::sessions(10).within(std::time::Duration::from_secs(60)).build()?;
//! let run = engine.submit(CoordinationConfig::open(Vec::new(), budget)?).await?;
//!
//! let phase = KeyWrite::set("state/phase".parse()?, JsonText::new("\"build\"")?)?;
//! let version = run.set_keys([phase.expecting(Expected::Nothing)]).await?;
//! let found = run.key("state/phase").await?.expect("it was just set");
//! assert_eq!((found.value.as_str(), found.version), ("\"build\"", version));
//!
//! let late = KeyWrite::set("state/phase".parse()?, JsonText::new("\"test\"")?)?;
//! let refused = run.set_keys([late.expecting(Expected::Nothing)]).await.unwrap_err();
//! assert!(refused.to_string().contains("was expected not to be there"));
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```

mod found;
mod history;
mod reading;
mod recorded;
mod score;
mod setting;
mod watching;

pub use antiphon_core::coordination::{
    Expected, GATE_SCALE, KeyError, KeyWrite, gate_key, gate_of,
};
pub use antiphon_core::id::KeyName;
pub use antiphon_core::json_text::{JsonText, NotJson};

pub(crate) use found::read_value;
pub use found::{FoundKey, KeyRecord};
pub use recorded::RecordedKeys;
pub use score::millionths;
pub use watching::KeyChanges;
