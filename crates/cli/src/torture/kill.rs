//! When a victim is killed and who goes with it: at random moments and at named crash points in
//! turn, so that every point has its turn.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use antiphon::crash;
use antiphon::random::Random;

/// Whether named points can be reached at all.
pub(super) const HAS_POINTS: bool = cfg!(feature = "crash-points");

/// How one victim meets its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kill {
    pub(super) when: When,
    pub(super) whom: Whom,
    /// The moments at which single wardens are killed or stopped while the engine lives, one after
    /// the other.
    pub(super) wardens_every: Option<Random>,
}

/// When a victim is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// By its parent, so long after it was started.
    After(Duration),
    /// By itself, when it passes a point for the n-th time.
    At(&'static str, u64),
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whom {
    /// The engine. Its wardens end their sessions.
    Engine,
    /// All wardens with their subreaper and then the engine, which was stopped before: whatever
    /// their sessions run survives.
    WardensThenEngine,
    /// The engine and then all wardens, of which some have ended their sessions by then.
    EngineThenWardens,
    /// The engine, while all its wardens are stopped: the next start has to continue them.
    EngineOfStoppedWardens,
}

impl Whom {
    const ALL: [Self; 4] = [
        Self::Engine,
        Self::WardensThenEngine,
        Self::EngineThenWardens,
        Self::EngineOfStoppedWardens,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Engine => "the engine alone",
            Self::WardensThenEngine => "all wardens with their subreaper, then the engine",
            Self::EngineThenWardens => "the engine, then all wardens",
            Self::EngineOfStoppedWardens => "the engine, its wardens stopped",
        }
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::After(delay) => write!(f, "{:.1} ms after its start", delay.as_secs_f64() * 1e3)?,
            When::At(point, count) => write!(f, "at {point}:{count}")?,
        }
        write!(f, " ({}", self.whom.as_str())?;
        let single = if self.wardens_every.is_some() { ", single wardens before" } else { "" };
        write!(f, "{single})")
    }
}

/// The kills of a whole run.
#[derive(Debug)]
pub(super) struct Kills {
    random: Random,
    left: u64,
    last_was_at_point: bool,
    /// How often each point was hit.
    at_points: BTreeMap<&'static str, u64>,
    /// How many were at random moments.
    at_random: u64,
}

impl Kills {
    pub(super) fn new(seed: u64, rounds: u64) -> Self {
        let points = if HAS_POINTS { crash::POINTS.as_slice() } else { &[] };
        Self {
            random: Random::of(&[seed, rounds]),
            left: rounds,
            last_was_at_point: true,
            at_points: points.iter().map(|point| (*point, 0)).collect(),
            at_random: 0,
        }
    }

    /// How many were at random moments, and how many at each point.
    pub(super) fn into_counts(self) -> (u64, BTreeMap<&'static str, u64>) {
        (self.at_random, self.at_points)
    }

    /// The next one, if there are any left.
    pub(super) fn next(&mut self) -> Option<Kill> {
        if self.left == 0 {
            return None;
        }
        let (when, whom) = self.when_and_whom();
        let wardens_every = self.random.one_in(3).then(|| Random::of(&[self.random.next()]));
        Some(Kill { when, whom, wardens_every })
    }

    fn when_and_whom(&mut self) -> (When, Whom) {
        let missing = self.at_points.values().filter(|hits| **hits == 0).count() as u64;
        let is_due = missing >= self.left || !self.last_was_at_point;
        self.left -= 1;
        self.last_was_at_point = HAS_POINTS && is_due;
        if let Some((point, hits)) =
            self.at_points.iter_mut().min_by_key(|(_, hits)| **hits).filter(|_| is_due)
        {
            *hits += 1;
            // Turns are many, marks are few, and most runs have ended before a snapshot is due.
            let most = match point.split('.').next() {
                Some("append" | "release") => 250,
                Some("receipt") => 60,
                Some("snapshot") => 1,
                _ => 8,
            };
            // At a crash point a victim kills itself, so the moment to kill its wardens is unknown.
            return (When::At(point, self.random.between(1, most)), Whom::Engine);
        }
        let whom = Whom::ALL[usize::try_from(self.at_random % 4).unwrap_or(0)];
        self.at_random += 1;
        // Some while it recovers, most while it works.
        let most = if self.random.one_in(4) { 30_000 } else { 500_000 };
        (When::After(Duration::from_micros(self.random.between(500, most))), whom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_its_turn_even_when_there_are_only_as_many_rounds() {
        let mut kills = Kills::new(7, crash::POINTS.len() as u64);
        while kills.next().is_some() {}
        let hits: Vec<u64> = kills.at_points.into_values().collect();
        assert_eq!(hits, vec![1; if HAS_POINTS { crash::POINTS.len() } else { 0 }]);
    }

    #[test]
    fn both_kinds_take_turns() {
        let mut kills = Kills::new(7, 100);
        while kills.next().is_some() {}
        let at_points: u64 = kills.at_points.values().sum();
        assert_eq!((kills.at_random, at_points), if HAS_POINTS { (50, 50) } else { (100, 0) });
    }

    #[test]
    fn wardens_are_killed_in_every_way() {
        let mut kills = Kills::new(7, 40);
        let (mut whom, mut single) = (BTreeMap::new(), 0);
        while let Some(kill) = kills.next() {
            *whom.entry(kill.whom).or_insert(0) += 1;
            single += usize::from(kill.wardens_every.is_some());
        }
        let least = if HAS_POINTS { 5 } else { 10 };
        assert!(
            Whom::ALL.iter().all(|kind| whom[kind] >= least) && single >= 5,
            "{whom:?}, {single} with single wardens"
        );
    }
}
