//! How fast one session may write to its run: send signals and change keys.

use std::time::Duration;

use crate::coordination::limits::{SESSION_WRITE_BURST, SESSION_WRITES_PER_SECOND};
use crate::time::LedgerTime;

/// What a session that writes evenly leaves between two writes, in nanoseconds.
const INTERVAL: u64 = 1_000_000_000 / SESSION_WRITES_PER_SECOND;

/// A bucket of writes that fills evenly, told by the moment at which it will be full again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WriteRate {
    full_at: LedgerTime,
}

impl WriteRate {
    /// Takes one write out of the bucket; otherwise says for how long there is none.
    pub(crate) fn take(&mut self, at: LedgerTime) -> Result<(), Duration> {
        let full_at = self.full_at.max(at).after(INTERVAL);
        let missing = full_at.since(at).saturating_sub(SESSION_WRITE_BURST * INTERVAL);
        if missing > 0 {
            return Err(Duration::from_nanos(missing));
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// How many of so many tries at a moment are let through.
    fn taken(rate: &mut WriteRate, at: u64, tries: u64) -> u64 {
        (0..tries).filter(|_| rate.take(LedgerTime(at)).is_ok()).count() as u64
    }

    #[test]
    fn a_burst_is_let_through_and_then_as_many_as_fit_the_time() {
        let mut rate = WriteRate::default();
        assert_eq!(taken(&mut rate, SECOND, 5_000), 1_000);
        assert_eq!(rate.take(LedgerTime(SECOND)), Err(Duration::from_millis(10)));
        assert_eq!(taken(&mut rate, 2 * SECOND, 5_000), 100);
        assert_eq!(taken(&mut rate, 2 * SECOND + SECOND / 200, 5_000), 0, "not in 5 ms");
        assert_eq!(taken(&mut rate, 3_600 * SECOND, 5_000), 1_000, "no more are saved up");
    }
}
