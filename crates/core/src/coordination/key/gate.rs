//! Which keys are scores of gates.

use crate::id::{IdError, KeyName};

/// Below it are scores of gates, in millionths.
pub(super) const GATES: &str = "gate/";

/// What a whole score is in the value of a gate's key.
pub const GATE_SCALE: i64 = 1_000_000;

/// The key that holds the score of a gate.
///
/// # Errors
/// [`IdError`] if it is no name of a key.
pub fn gate_key(gate: &str) -> Result<KeyName, IdError> {
    KeyName::new(format!("{GATES}{gate}"))
}

/// The gate that a key is the score of, if it is one.
#[must_use]
pub fn gate_of(key: &KeyName) -> Option<&str> {
    key.as_str().strip_prefix(GATES)
}
