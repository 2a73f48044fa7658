//! Wall-clock times as text.

use antiphon::time::WallTime;
use jiff::Timestamp;

/// A wall-clock time in UTC, to the nanosecond. Every 64-bit number of nanoseconds lies within the
/// years that a timestamp has.
pub(super) fn utc(wall: WallTime) -> String {
    let time = Timestamp::from_nanosecond(wall.0.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}
