//! The items that failed for good in a row, which the breaker counts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::WorkId;

/// Items of a streak that are named; the rest is counted.
const NAMED: usize = 10;

/// Items that failed for good with no success between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureStreak {
    failures: u32,
    /// The last of them, the oldest first.
    last: Vec<WorkId>,
}

impl FailureStreak {
    /// How many there are.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The last few of them, the oldest first.
    #[must_use]
    pub fn last(&self) -> &[WorkId] {
        &self.last
    }

    pub(super) fn add(&mut self, work: WorkId) {
        self.failures = self.failures.saturating_add(1);
        if self.last.len() == NAMED {
            self.last.remove(0);
        }
        self.last.push(work);
    }

    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether what is stored twice agrees.
    pub(super) fn is_coherent(&self) -> bool {
        self.last.len() == NAMED.min(self.failures as usize)
    }
}

/// Why the breaker tripped, as a sentence for people without its end.
impl fmt::Display for FailureStreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.last.iter().map(WorkId::as_str).collect();
        let names = names.join(", ");
        match self.failures {
            1 => write!(f, "the breaker tripped after 1 item failed: {names}"),
            all if all as usize == self.last.len() => {
                write!(f, "the breaker tripped after {all} items in a row failed: {names}")
            }
            all => write!(
                f,
                "the breaker tripped after {all} items in a row failed, the last of them {names}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_names_its_last_items_and_counts_all() {
        let streak = |count: u32| {
            let mut streak = FailureStreak::default();
            (1..=count).for_each(|n| streak.add(WorkId::new(format!("i{n}")).unwrap()));
            assert!(streak.is_coherent());
            streak
        };
        assert_eq!(streak(1).to_string(), "the breaker tripped after 1 item failed: i1");
        assert_eq!(
            streak(3).to_string(),
            "the breaker tripped after 3 items in a row failed: i1, i2, i3"
        );
        assert_eq!(
            streak(12).to_string(),
            "the breaker tripped after 12 items in a row failed, the last of them \
             i3, i4, i5, i6, i7, i8, i9, i10, i11, i12"
        );
        assert_eq!(streak(12).last().len(), NAMED);
    }
}
