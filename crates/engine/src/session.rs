//! Sessions: carried out by asynchronous functions of the host program, or by processes.

mod command_end;
mod context;
mod process;
mod running;
mod spawner;

pub use command_end::CommandEnd;
pub use context::{Failed, Output, OutputError, SessionContext, SessionResult};
pub(crate) use context::{RunnerFn, boxed};
pub(crate) use process::{Attempt, Processes, inherited, result_of, used_by_lost};
pub(crate) use running::{CLOSED, Patience, ReportedEnd, RunningSessions, end_of};
pub(crate) use spawner::adapted;
