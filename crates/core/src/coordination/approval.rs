//! Approvals: questions that a person answers, once, with yes or no.
//!
//! A question that nobody answers in its time is answered by the engine: no. Sessions ask and never
//! answer.

mod answer;
mod illegal;
mod question;
mod questions;

pub use answer::Answer;
pub(super) use illegal::IllegalAnswer;
pub use question::Question;
pub(super) use questions::Questions;
pub use questions::{GivenAnswer, QuestionState};
