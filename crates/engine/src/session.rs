//! Sessions carried out by asynchronous functions of the host program.

mod context;
mod running;
mod spawner;

pub(crate) use context::{ContextParts, RunnerFn, boxed};
pub use context::{Failed, Output, SessionContext, SessionResult};
pub(crate) use running::{Ending, Running};
pub(crate) use spawner::adapted;
