//! How a signal that is sent again is known.

use serde::{Deserialize, Serialize};

use crate::coordination::limits::{MAX_DEDUP_KEYS, MAX_DEDUP_WINDOW_NS};

/// A signal that its sender has sent before under the same type and key is not recorded again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// What tells the message: 1 to 256 bytes.
    pub key: String,
    /// Nanoseconds of ledger time for which the key is kept: at most 24 hours.
    pub window: u64,
    /// Keys that are kept of this sender, at most 10,000; the oldest goes first.
    pub cap: u32,
}

impl Dedup {
    /// Kept for as long, and beside as many others, as can be.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        let (window, cap) = (MAX_DEDUP_WINDOW_NS, MAX_DEDUP_KEYS as u32);
        Self { key: key.into(), window, cap }
    }
}
