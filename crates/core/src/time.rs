//! Time as the core sees it: always handed in, never read.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Ledger time in nanoseconds: passes only while an engine owns the ledger and never goes back.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LedgerTime(pub u64);

/// Ledger time went back, which it never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock went back from {last} ns to {current} ns")]
pub struct ClockRegression {
    /// The last time seen.
    pub last: u64,
    /// The time offered, which is before that.
    pub current: u64,
}

impl LedgerTime {
    /// Refuses a time before the last one that was seen.
    ///
    /// # Errors
    /// [`ClockRegression`].
    pub fn not_before(self, last: Self) -> Result<(), ClockRegression> {
        if self < last {
            return Err(ClockRegression { last: last.0, current: self.0 });
        }
        Ok(())
    }

    /// This time and a number of nanoseconds more; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// How long an engine has owned the ledger by then.
    #[must_use]
    pub fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Nanoseconds since an earlier time, 0 if that is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall-clock time in nanoseconds since 1970, UTC. Data; it decides only calendar matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallTime(pub u64);

impl WallTime {
    /// How long after the beginning of 1970, UTC.
    #[must_use]
    pub fn since_1970(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl fmt::Display for WallTime {
    /// To the second, in UTC: `2026-11-21T08:30:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000_000_000;
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Days are counted in years that begin in March, so that a leap day ends one, and in eras
        // of 400 years, which are all alike.
        let (era, day) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) =
            (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
        let year = era * 400 + year + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A moment on one of the two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// When ledger time reaches this. The name in JSON is older than the variant's: recorded events
    /// hold it.
    #[serde(rename = "at")]
    Ledger(LedgerTime),
    /// When the wall clock reaches this.
    Wall(WallTime),
}

/// For people: `12.000s of ledger time`, or the moment in UTC.
impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger(LedgerTime(nanos)) => {
                let (seconds, millis) = (nanos / 1_000_000_000, nanos / 1_000_000 % 1000);
                write!(f, "{seconds}.{millis:03}s of ledger time")
            }
            Self::Wall(wall) => wall.fmt(f),
        }
    }
}

impl Deadline {
    /// Whether the moment has come.
    #[must_use]
    pub fn has_come(self, now: &Now) -> bool {
        match self {
            Self::Ledger(at) => at <= now.at,
            Self::Wall(wall) => wall <= now.wall,
        }
    }
}

/// The present, as the shell hands it to the core: both clocks and fresh randomness.
///
/// A bare `u64` (the seed's `timestamp_ns`) converts: it serves as both clocks, and brings no
/// randomness.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Now {
    pub at: LedgerTime,
    pub wall: WallTime,
    /// Fresh random bytes, for tokens and jitter.
    pub random: [u8; 32],
}

impl From<u64> for Now {
    fn from(timestamp_ns: u64) -> Self {
        Self { at: LedgerTime(timestamp_ns), wall: WallTime(timestamp_ns), random: [0; 32] }
    }
}

impl fmt::Debug for Now {
    /// Leaves out the random bytes: tokens are made of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Now")
            .field("at", &self.at)
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}

/// Converts nanoseconds to ticks of the given rate, rounding down; saturates.
#[must_use]
pub fn ticks(nanos: u64, rate_hz: u64) -> u64 {
    let ticks = u128::from(nanos) * u128::from(rate_hz) / u128::from(NANOS_PER_SECOND);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Converts ticks of the given rate to nanoseconds, rounding up, so that as many ticks have passed
/// by then; saturates. At a rate of 0 they never do.
#[must_use]
pub fn nanos(ticks: u64, rate_hz: u64) -> u64 {
    if rate_hz == 0 {
        return u64::MAX;
    }
    let nanos = (u128::from(ticks) * u128::from(NANOS_PER_SECOND)).div_ceil(u128::from(rate_hz));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_shown_as_people_write_it() {
        let shown = [
            0,
            951_782_399,
            951_782_400,
            1_709_251_199,
            1_795_269_600,
            4_107_542_400,
            18_446_744_073,
        ]
        .map(|seconds| WallTime(seconds * 1_000_000_000).to_string());
        let expected = [
            "1970-01-01T00:00:00Z",
            "2000-02-28T23:59:59Z",
            "2000-02-29T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2026-11-21T14:00:00Z",
            "2100-03-01T00:00:00Z",
            "2554-07-21T23:34:33Z",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn ticks_and_nanos_round_so_that_a_deadline_is_never_early() {
        for rate in [1, 3, 1000, 1_000_000, 7_777_777] {
            for count in [0, 1, 2, 999, 1_000_003] {
                assert_eq!(
                    ticks(nanos(count, rate), rate),
                    count.max(ticks(nanos(count, rate), rate))
                );
                assert!(ticks(nanos(count, rate), rate) >= count, "{count} ticks at {rate} Hz");
            }
        }
        assert_eq!(nanos(u64::MAX, 1), u64::MAX);
        assert_eq!(ticks(1_500_000_000, 1_000_000), 1_500_000);
    }
}
