//! The mark that a session's processes cannot wash off: a limit on the resident set that no other
//! process has.
//!
//! The limit has had no effect since Linux 2.4. It survives fork, exec, a new session and an
//! emptied environment; any process may read it, and none may raise it again without privileges.

use std::io;

use serde::{Deserialize, Serialize};

use super::proc_table;

/// No real limit is as large, and "unlimited" has the bit above.
const MARKED: u64 = 1 << 62;
/// The random bits that each depth of nesting draws, from the top. What is left below is all ones.
const DEPTHS: [u64; 3] = [((1 << 30) - 1) << 32, ((1 << 20) - 1) << 12, (1 << 12) - 1];
/// The variable of the environment that carries the mark once more, for processes whose limit was
/// changed.
pub(super) const VARIABLE: &str = "ANTIPHON_TREE";

/// Whether a limit is the mark of some session.
pub(super) fn is_mark(limit: u64) -> bool {
    limit & (3 << 62) == MARKED
}

/// The mark of one session's processes. Sessions of an engine that runs inside a session have marks
/// that begin like that session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Recorded")]
pub(super) struct Mark {
    pub(super) value: u64,
    depth: usize,
}

/// A mark as it is written down, perhaps by others.
#[derive(Deserialize)]
struct Recorded {
    value: u64,
    depth: usize,
}

impl TryFrom<Recorded> for Mark {
    type Error = &'static str;

    fn try_from(Recorded { value, depth }: Recorded) -> Result<Self, Self::Error> {
        if depth < DEPTHS.len() && is_mark(value) {
            Ok(Self { value, depth })
        } else {
            Err("no session has such a mark")
        }
    }
}

impl Mark {
    /// A fresh mark for a session of this process; `None` if this process is itself too deep inside
    /// of sessions.
    pub(super) fn fresh() -> io::Result<Option<Self>> {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let own = rustix::process::getrlimit(rustix::process::Resource::Rss).maximum;
        Ok(Self::below(own, u64::from_le_bytes(random)))
    }

    fn below(own: Option<u64>, random: u64) -> Option<Self> {
        let outer = own.filter(|limit| is_mark(*limit));
        let depth = match outer {
            None => 0,
            Some(outer) if outer & (DEPTHS[1] | DEPTHS[2]) == DEPTHS[1] | DEPTHS[2] => 1,
            Some(outer) if outer & DEPTHS[2] == DEPTHS[2] => 2,
            Some(_) => return None,
        };
        let kept = outer.unwrap_or(MARKED) & (MARKED | DEPTHS[..depth].iter().sum::<u64>());
        // All ones would be the mark of the outer session itself, which a limit must stay below.
        let lowest_bit = DEPTHS[depth] & DEPTHS[depth].wrapping_neg();
        let drawn = match random & DEPTHS[depth] {
            all if all == DEPTHS[depth] => all - lowest_bit,
            drawn => drawn,
        };
        Some(Self { value: kept | drawn | DEPTHS[depth + 1..].iter().sum::<u64>(), depth })
    }

    /// Whether a limit is this mark, or that of a session inside of this one.
    pub(super) fn covers(self, limit: u64) -> bool {
        let prefix = MARKED | 1 << 63 | DEPTHS[..=self.depth].iter().sum::<u64>();
        limit & prefix == self.value & prefix
    }

    /// Whether a process carries the mark.
    pub(super) fn is_on(self, pid: i32) -> bool {
        proc_table::resident_limit(pid).is_some_and(|limit| self.covers(limit))
    }

    /// The mark as a variable of the environment.
    pub(super) fn pair(self) -> Vec<u8> {
        format!("{VARIABLE}={self}").into_bytes()
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_session_covers_the_sessions_inside_of_it_and_no_others() {
        let outer = Mark::below(None, 0x1234_5678_9abc_def0).unwrap();
        let middle = Mark::below(Some(outer.value), 0x0fed_cba9_8765_4321).unwrap();
        let inner = Mark::below(Some(middle.value), u64::MAX).unwrap();
        let other = Mark::below(None, 1).unwrap();
        assert!(
            outer.value > middle.value && middle.value > inner.value,
            "a limit can only be lowered"
        );
        assert!(
            outer.covers(outer.value) && outer.covers(middle.value) && outer.covers(inner.value)
        );
        assert!(
            middle.covers(inner.value)
                && !middle.covers(outer.value)
                && !inner.covers(middle.value)
        );
        assert!(
            !outer.covers(other.value) && !other.covers(outer.value) && !outer.covers(u64::MAX)
        );
        assert_eq!(Mark::below(Some(inner.value), 5), None, "no room for a fourth depth");
    }

    #[test]
    fn what_is_recorded_is_a_mark_or_refused() {
        let mark = Mark::below(None, 7).unwrap();
        let recorded = serde_json::to_string(&mark).unwrap();
        assert_eq!(serde_json::from_str::<Mark>(&recorded).unwrap(), mark);
        for forged in [r#"{"value":4611686018427387904,"depth":3}"#, r#"{"value":1024,"depth":0}"#]
        {
            assert!(serde_json::from_str::<Mark>(forged).is_err(), "{forged}");
        }
    }

    #[test]
    fn an_ordinary_limit_is_no_mark() {
        let fresh = Mark::below(Some(1 << 40), 7).unwrap();
        assert_eq!(fresh.depth, 0);
        assert!(!fresh.covers(1 << 40));
    }
}
