//! What the record of a run says of its items: how each came to where it is, what it runs, the value
//! that it puts out, and what its sessions printed.
//!
//! One projection of the stream, for an engine that runs and for a ledger at rest: all of it reads a
//! [`Store`](crate::ledger::Store).

mod command;
mod details;
mod error;
mod last_end;
mod last_read;
mod printed;
mod record;
mod session;
mod value;

pub use command::ShownCommand;
pub use details::{ItemDetails, MetNeed};
pub use error::ItemError;
pub(crate) use last_end::{LastEnd, last_end};
pub(crate) use last_read::LastRead;
pub use printed::{Piece, PrintedReader};
pub use record::{Attempt, AttemptEnd, ItemRecord, Moment, RunItems};
pub use session::{Printed, PrintedQuery, PrintedTo};
pub use value::{ShownValue, Value, ValueSource};
