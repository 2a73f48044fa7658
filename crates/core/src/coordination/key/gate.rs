//! Which keys are scores of gates.

use crate::id::KeyName;

/// Below it are scores of gates, in millionths.
pub(super) const GATES: &str = "gate/";

/// What a whole score is in the value of a gate's key.
pub const GATE_SCALE: i64 = 1_000_000;

/// The gate that a key is the score of, if it is one.
pub(in crate::coordination) fn gate_of(key: &KeyName) -> Option<&str> {
    key.as_str().strip_prefix(GATES)
}
