//! Sessions: carried out by asynchronous functions of the host program, or by processes.

mod context;
mod process;
mod running;
mod spawner;

pub(crate) use context::{ContextParts, RunnerFn, boxed};
pub use context::{Failed, Output, OutputError, SessionContext, SessionResult};
pub(crate) use process::{Processes, Secrets, result_of};
pub(crate) use running::{CLOSED, Patience, ReportedEnd, RunningSessions, end_of};
pub(crate) use spawner::adapted;
