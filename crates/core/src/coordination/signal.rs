//! Signals: typed messages in a coordination's stream, and what the state keeps of them.
//!
//! The stream is the history; the state keeps how many there were of each type, the last of each that
//! somebody may wait for, and the keys that tell a repeated one. Data is never read here: who a signal
//! is about and whether it tells of a failure is said beside it.

mod data;
mod dedup;
mod dedup_keys;
mod illegal;
mod latest;
mod sent;
mod signal_type;
mod signals;

pub use dedup::Dedup;
pub(super) use illegal::IllegalSignal;
pub use latest::{About, Latest};
pub use sent::Signal;
pub use signal_type::{NotASignalType, SignalType};
pub(super) use signals::Signals;
