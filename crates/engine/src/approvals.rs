//! Approvals: questions of a run that a person answers, once, with yes or no.
//!
//! Sessions and programs ask; sessions never answer. Asking again under the same id finds the question,
//! with its answer if it has one. A question that nobody answers in its time is answered by the engine:
//! no.
//!
//! ```
//! use antiphon::approvals::{Answer, Question};
//! use antiphon::{Budget, CoordinationConfig, Engine};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("state")).await?;
//! let budget = Budget::sessions(10).within(std::time::Duration::from_secs(60)).build()?;
//! let run = engine.submit(CoordinationConfig::open(Vec::new(), budget)?).await?;
//!
//! let deploy = Question::new("Deploy to production?")?.with_id("deploy".parse()?)?;
//! let asked = run.ask(deploy.clone()).await?;
//! assert_eq!(asked.answer, None);
//! run.answer(asked.question, Answer::Yes, Some("tested".to_owned())).await?;
//! let given = run.ask(deploy).await?.answer.expect("it was just answered");
//! assert_eq!((given.answer, given.reason.as_deref()), (Answer::Yes, Some("tested")));
//! engine.close().await?;
//! # Ok(())
//! # }
//! ```

mod asking;
mod found;
mod reading;
mod recorded;

pub use antiphon_core::coordination::{
    Answer, ApprovalError, Approvals, ApprovedQuestion, GivenAnswer, Question, QuestionState,
};
pub use antiphon_core::id::QuestionId;
pub use antiphon_core::world::{AskedQuestion, SessionQuestion};

pub use found::{FoundQuestion, OpenQuestion};
pub use recorded::RecordedQuestions;
