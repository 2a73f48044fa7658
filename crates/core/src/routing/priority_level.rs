//! How urgent something is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How urgent something is, from 0 to 100; higher is more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Priority(u8);

/// A priority is above 100.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the priority {0} is above 100; choose one from 0 to 100")]
pub struct PriorityError(u8);

impl Priority {
    /// The middle: 50.
    pub const MEDIUM: Self = Self(50);
    pub(super) const LOW: Self = Self(20);
    pub(super) const HIGH: Self = Self(80);

    /// It as a number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::MEDIUM
    }
}

impl TryFrom<u8> for Priority {
    type Error = PriorityError;
    fn try_from(number: u8) -> Result<Self, PriorityError> {
        if number <= 100 { Ok(Self(number)) } else { Err(PriorityError(number)) }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
