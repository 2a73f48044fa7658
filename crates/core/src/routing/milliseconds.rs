//! Durations as stored JSON has them: milliseconds with a fraction.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// A number of milliseconds is negative, not a number, or more than any clock counts.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0} is no duration; give milliseconds that are not negative")]
pub struct DurationError(f64);

pub(super) fn of(milliseconds: f64) -> Result<Duration, DurationError> {
    Duration::try_from_secs_f64(milliseconds / 1e3).map_err(|_| DurationError(milliseconds))
}

pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1e3)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    of(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
