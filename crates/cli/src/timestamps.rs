//! Times and durations as people read them; wall-clock times are in UTC.

use antiphon::time::WallTime;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A wall-clock time to the millisecond.
pub(crate) fn millis(wall: WallTime) -> String {
    timestamp(wall).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A wall-clock time to the second.
pub(crate) fn seconds(wall: WallTime) -> String {
    timestamp(wall).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A wall-clock time to the nanosecond.
pub(crate) fn exact(wall: WallTime) -> String {
    timestamp(wall).strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

/// How long ago a time was, in its largest unit.
pub(crate) fn age(since: WallTime) -> String {
    match now().0.saturating_sub(since.0) / 1_000_000_000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Reads a time, or how long ago it was. A time that does not say of which zone it is, is in UTC,
/// as all times here are.
pub(crate) fn since(text: &str) -> Result<WallTime, String> {
    ago(text, Timestamp::now()).ok_or_else(|| {
        "expected how long ago, such as `10m`, `1h30m` or `2d`, or a time, such as `2026-11-21T08:30`".to_owned()
    })
}

fn ago(text: &str, now: Timestamp) -> Option<WallTime> {
    let civil = |time: DateTime| time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let time = (text.parse::<Timestamp>().ok())
        .or_else(|| civil(text.parse::<DateTime>().ok()?))
        .or_else(|| civil(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())))
        .or_else(|| {
            let ago =
                text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
            (!ago.is_negative()).then(|| now.checked_sub(ago).ok()).flatten()
        })?;
    // What is before 1970 is before everything.
    Some(WallTime(u64::try_from(time.as_nanosecond()).unwrap_or(0)))
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
pub(crate) fn now() -> WallTime {
    WallTime(u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0))
}

/// Every 64-bit number of nanoseconds lies within the years that a timestamp has.
fn timestamp(wall: WallTime) -> Timestamp {
    Timestamp::from_nanosecond(wall.0.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_utc() {
        let wall = WallTime(1_763_694_960_123_456_789);
        assert_eq!(millis(wall), "2025-11-21T03:16:00.123Z");
        assert_eq!(seconds(wall), "2025-11-21T03:16:00Z");
        assert_eq!(exact(wall), "2025-11-21T03:16:00.123456789Z");
        assert_eq!(seconds(WallTime(u64::MAX)), "2554-07-21T23:34:33Z");
    }

    #[test]
    fn times_are_read_as_written_and_durations_count_back() {
        let now = "2026-11-21T08:30:00Z".parse().unwrap();
        let read = |text: &str| ago(text, now).map(seconds);
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(read("10m"), at("2026-11-21T08:20:00Z"));
        assert_eq!(read("1h30m"), at("2026-11-21T07:00:00Z"));
        assert_eq!(read("2d"), at("2026-11-19T08:30:00Z"));
        assert_eq!(read("2026-11-20"), at("2026-11-20T00:00:00Z"));
        assert_eq!(read("2026-11-20T10:00"), at("2026-11-20T10:00:00Z"));
        assert_eq!(read("2026-11-20T10:00:00+02:00"), at("2026-11-20T08:00:00Z"));
        assert_eq!(read("1960-01-01"), at("1970-01-01T00:00:00Z"));
        for wrong in ["", "soon", "-5m", "10", "2026-13-01"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn durations_keep_their_milliseconds() {
        assert_eq!(span(1_234_567_890), "1.234 s");
        assert_eq!(span(999_999), "0.000 s");
    }
}
