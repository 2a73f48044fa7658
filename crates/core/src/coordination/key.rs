//! Keys: versioned values of a coordination that its sessions and callers share.
//!
//! The version of a key is that of the event that set it, so that whoever has read one can say what a
//! change rests on. Small values are in the state, larger ones are blobs.

mod change;
mod elsewhere;
mod expected;
mod gate;
mod illegal;
mod keys;
mod prefix;
mod scoring;
mod value;
mod write;

pub use change::KeyChange;
pub use elsewhere::MetElsewhere;
pub use expected::Expected;
pub use gate::{GATE_SCALE, gate_key, gate_of};
pub(super) use illegal::IllegalChange;
pub use keys::KeyState;
pub(super) use keys::Keys;
pub use value::KeyValue;
pub use write::KeyWrite;
