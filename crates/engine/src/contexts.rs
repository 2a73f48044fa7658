//! Contexts of the agents of a run: what each of them is given to go by.
//!
//! A context is the key `context/<agent>`; a session finds it in its context file as it was when it was
//! bound.
//!
//! ```
//! use antiphon::contexts::IntelligenceUpdate;
//! use antiphon::{Budget, CoordinationConfig, Engine};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("state")).await?;
//! let budget = Budget::sessions(10).within(std::time::Duration::from_secs(60)).build()?;
//! let run = engine.submit(CoordinationConfig::open(Vec::new(), budget)?).await?;
//!
//! let contexts = run.contexts();
//! let assignment = json!({ "agent_assignment": { "objective": "write the models" } });
//! contexts.distribute([("models".parse()?, assignment), ("tests".parse()?, json!({}))]).await?;
//! let update = IntelligenceUpdate {
//!     field: "naming_conventions".to_owned(),
//!     data: [("class".to_owned(), json!("PascalCase"))].into_iter().collect(),
//!     agents: None,
//!     counts: true,
//! };
//! contexts.update(&update).await?;
//! let models = contexts.get(&"models".parse()?).await?.expect("it was just given");
//! assert_eq!(models.members()["shared_intelligence"]["naming_conventions"]["class"], "PascalCase");
//! assert_eq!((models.version(), contexts.agents().await?.len()), (2, 2));
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```

mod distributing;
mod error;
mod fault;
mod limits;
mod package;

pub use distributing::{Contexts, IntelligenceUpdate};
pub use error::ContextError;
pub use fault::ContextFault;
pub use limits::ContextLimits;
pub use package::AgentContext;
