//! The way to the decider: what is asked of it, how it answers, and what goes wrong on the way.
//!
//! It lies below the engine's methods and the sessions, which both send through it, and below the
//! decider, which receives.

mod archived_work;
mod asker;
mod erased;
mod error;
mod forerunner;
mod handle;
mod inputs;
mod on_end;
mod pruning;
mod request;
mod secrets;
mod status;
mod waiting;

pub(crate) use asker::operator;
pub use error::{
    AskError, EraseError, EvidenceError, QueryError, ReaderError, ReceiptError, StartError,
    SubmitError, Unavailable,
};
pub(crate) use handle::Handle;
pub(crate) use on_end::AttemptsEnd;
pub use on_end::OnEnd;
pub(crate) use request::{Release, Request};
pub(crate) use status::head_of;
pub use status::{Ended, Status};
pub use waiting::WaitError;
pub(crate) use waiting::{WaitAnswer, WaitReply, WaitRequest};
