//! Times and durations as people read them; wall-clock times are in UTC.

use antiphon::time::Wall;
use jiff::Timestamp;

/// A wall-clock time to the millisecond.
pub(crate) fn millis(wall: Wall) -> String {
    timestamp(wall).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A wall-clock time to the second.
pub(crate) fn seconds(wall: Wall) -> String {
    timestamp(wall).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A wall-clock time to the nanosecond.
pub(crate) fn exact(wall: Wall) -> String {
    timestamp(wall).strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

/// How long ago a time was, in its largest unit.
pub(crate) fn age(since: Wall) -> String {
    match now().0.saturating_sub(since.0) / 1_000_000_000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A duration in seconds, to the millisecond.
pub(crate) fn span(nanos: u64) -> String {
    format!("{}.{:03} s", nanos / 1_000_000_000, nanos / 1_000_000 % 1_000)
}

/// A duration as people say it, in its two largest units.
pub(crate) fn elapsed(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        0..60 => format!("{}.{}s", seconds, nanos / 100_000_000 % 10),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

/// The wall clock now.
pub(crate) fn now() -> Wall {
    Wall(u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0))
}

/// Every 64-bit number of nanoseconds lies within the years that a timestamp has.
fn timestamp(wall: Wall) -> Timestamp {
    Timestamp::from_nanosecond(wall.0.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_utc() {
        let wall = Wall(1_763_694_960_123_456_789);
        assert_eq!(millis(wall), "2025-11-21T03:16:00.123Z");
        assert_eq!(seconds(wall), "2025-11-21T03:16:00Z");
        assert_eq!(exact(wall), "2025-11-21T03:16:00.123456789Z");
        assert_eq!(seconds(Wall(u64::MAX)), "2554-07-21T23:34:33Z");
    }

    #[test]
    fn durations_keep_their_milliseconds() {
        assert_eq!(span(1_234_567_890), "1.234 s");
        assert_eq!(span(999_999), "0.000 s");
    }
}
