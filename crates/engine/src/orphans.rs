//! What an earlier engine left running: ended before anything is bound, and what of it cannot be
//! ended watched until it is gone.

mod report;
mod sweep;
mod watch;

pub(crate) use report::Leftovers;
pub(crate) use sweep::{Orphans, sweep};
pub(crate) use watch::watch;
