//! Times and durations as people read them. Wall-clock times are local ones with their offset, as
//! `TZ` or else the system says; programs get them in UTC.

use std::sync::OnceLock;

use antiphon::time::WallTime;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// The zone of the times that people read. It is that of the whole process, as the environment that
/// it comes from is.
static ZONE: OnceLock<TimeZone> = OnceLock::new();

/// Has all times shown and read in UTC from now on.
pub(crate) fn use_utc() {
    // Nothing was shown before the options were read, so there is no other zone yet.
    let _first = ZONE.set(TimeZone::UTC);
}

/// The zone of the user. UTC where that is not known: what `TZ` names may not be there, or be none.
fn zone() -> &'static TimeZone {
    ZONE.get_or_init(|| TimeZone::try_system().unwrap_or(TimeZone::UTC))
}

/// A wall-clock time to the millisecond, for people.
pub(crate) fn millis(wall: WallTime) -> String {
    local(wall, "%Y-%m-%dT%H:%M:%S%.3f", zone())
}

/// A wall-clock time to the second, for people.
pub(crate) fn seconds(wall: WallTime) -> String {
    local(wall, "%Y-%m-%dT%H:%M:%S", zone())
}

/// A wall-clock time to the nanosecond in UTC, for programs.
pub(crate) fn exact(wall: WallTime) -> String {
    timestamp(wall).strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}

/// A time with its offset from UTC, so that it means the same wherever it is read.
fn local(wall: WallTime, format: &str, zone: &TimeZone) -> String {
    let time = timestamp(wall).to_zoned(zone.clone());
    let offset = match time.offset().is_zero() {
        true => "Z".to_owned(),
        false => time.strftime("%:z").to_string(),
    };
    format!("{}{offset}", time.strftime(format))
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

/// A moment that a user names.
#[derive(Debug, Clone)]
pub(crate) enum Since {
    At(Timestamp),
    /// A time that does not say of which zone it is.
    Local(DateTime),
}

impl Since {
    /// The moment, where a time without a zone is of the zone in which times are shown.
    pub(crate) fn wall(self) -> WallTime {
        self.within(zone())
    }

    fn within(self, zone: &TimeZone) -> WallTime {
        let time = match self {
            Self::At(time) => time,
            Self::Local(time) => zone.to_timestamp(time).unwrap_or(if time.year() < 0 {
                Timestamp::MIN
            } else {
                Timestamp::MAX
            }),
        };
        wall(time)
    }
}

/// Reads a time, or how long ago it was.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    ago(text, Timestamp::now()).ok_or_else(|| {
        "expected how long ago, such as `10m`, `1h30m` or `2d`, or a time, such as `2026-11-21T08:30`".to_owned()
    })
}

fn ago(text: &str, now: Timestamp) -> Option<Since> {
    let date = || Some(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()));
    if let Ok(time) = text.parse() {
        return Some(Since::At(time));
    }
    if let Some(time) = text.parse().ok().or_else(date) {
        return Some(Since::Local(time));
    }
    let ago = text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (!ago.is_negative()).then(|| now.checked_sub(ago).ok().map(Since::At)).flatten()
}

/// A time as the API writes it.
pub(crate) fn of_api(text: &str) -> Option<WallTime> {
    text.parse().ok().map(wall)
}

/// What is before 1970 is before everything.
fn wall(time: Timestamp) -> WallTime {
    WallTime(u64::try_from(time.as_nanosecond()).unwrap_or(0))
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
    wall(Timestamp::now())
}

/// Every 64-bit number of nanoseconds lies within the years that a timestamp has.
fn timestamp(wall: WallTime) -> Timestamp {
    Timestamp::from_nanosecond(wall.0.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: WallTime = WallTime(1_763_694_960_123_456_789);

    #[test]
    fn times_say_how_far_from_utc_they_are() {
        let shown = |zone: &TimeZone| local(NIGHT, "%Y-%m-%dT%H:%M:%S%.3f", zone);
        assert_eq!(shown(&TimeZone::UTC), "2025-11-21T03:16:00.123Z");
        for (zone, expected) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2025-11-21T04:16:00.123+01:00"),
            ("EST5EDT,M3.2.0,M11.1.0", "2025-11-20T22:16:00.123-05:00"),
            ("<+0545>-5:45", "2025-11-21T09:01:00.123+05:45"),
            ("GMT0", "2025-11-21T03:16:00.123Z"),
        ] {
            assert_eq!(shown(&TimeZone::posix(zone).unwrap()), expected, "{zone}");
        }
        assert_eq!(exact(NIGHT), "2025-11-21T03:16:00.123456789Z");
        assert_eq!(local(WallTime(u64::MAX), "%F", &TimeZone::UTC), "2554-07-21Z");
    }

    #[test]
    fn times_are_read_as_written_and_durations_count_back() {
        let now = "2026-11-21T08:30:00Z".parse().unwrap();
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let read = |text: &str| ago(text, now).map(|since| since.within(&zone).to_string());
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(read("10m"), at("2026-11-21T08:20:00Z"));
        assert_eq!(read("1h30m"), at("2026-11-21T07:00:00Z"));
        assert_eq!(read("2d"), at("2026-11-19T08:30:00Z"));
        assert_eq!(read("2026-11-20"), at("2026-11-19T23:00:00Z"));
        assert_eq!(read("2026-07-20T10:00"), at("2026-07-20T08:00:00Z"));
        assert_eq!(read("2026-11-20T10:00Z"), at("2026-11-20T10:00:00Z"));
        assert_eq!(read("2026-11-20T10:00:00+02:00"), at("2026-11-20T08:00:00Z"));
        // What clocks skip in spring is read as if they had not been put forward.
        assert_eq!(read("2026-03-29T02:30"), at("2026-03-29T01:30:00Z"));
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
