//! Sessions carried out by asynchronous functions of the host program.

mod context;
mod running;

pub use context::{Failed, Output, SessionContext, SessionResult};
pub(crate) use context::{ContextParts, RunnerFn, boxed};
pub(crate) use running::{Ending, Running};
