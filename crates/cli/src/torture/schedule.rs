//! Which rounds there are and in which order: kills, and runs that are interrupted, in turn.

use std::collections::BTreeMap;
use std::fmt;

use antiphon::random::Random;

use super::interrupt::{Carrier, Interrupt};
use super::kill::{Kill, Kills};

/// Of so many rounds...
const OF: u64 = 5;

/// ...so many interrupt a run; the others kill.
const INTERRUPTS: u64 = 2;

/// What is done in one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Round {
    /// A victim is killed.
    Kill(Kill),
    /// A run that commands carry out is interrupted, resumed and retried.
    Interrupt(Interrupt),
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(kill) => write!(f, "a victim was killed {kill}"),
            Self::Interrupt(interrupt) => write!(f, "a run was interrupted: {interrupt}"),
        }
    }
}

/// The rounds of a whole torture.
#[derive(Debug)]
pub(super) struct Schedule {
    kills: Kills,
    random: Random,
    rounds: u64,
    done: u64,
    /// Whether runs are interrupted at all.
    interrupts: bool,
    interrupted: BTreeMap<Carrier, u64>,
}

impl Schedule {
    pub(super) fn new(seed: u64, rounds: u64, interrupts: bool) -> Self {
        let interrupted = if interrupts { rounds * INTERRUPTS / OF } else { 0 };
        Self {
            kills: Kills::new(seed, rounds - interrupted),
            random: Random::of(&[seed, rounds, 1]),
            rounds,
            done: 0,
            interrupts,
            interrupted: BTreeMap::new(),
        }
    }

    /// The next one, if there are any left.
    pub(super) fn next(&mut self) -> Option<Round> {
        if self.done == self.rounds {
            return None;
        }
        let number = self.done;
        self.done += 1;
        let is_due = (number + 1) * INTERRUPTS / OF > number * INTERRUPTS / OF;
        if !self.interrupts || !is_due {
            return self.kills.next().map(Round::Kill);
        }
        let before: u64 = self.interrupted.values().sum();
        let interrupt = Interrupt::nth(before, &mut self.random);
        *self.interrupted.entry(interrupt.carrier).or_insert(0) += 1;
        Some(Round::Interrupt(interrupt))
    }

    /// The kills, and how many runs of each kind were interrupted.
    pub(super) fn into_parts(self) -> (Kills, BTreeMap<Carrier, u64>) {
        (self.kills, self.interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rounds_in_five_interrupt_in_every_way_and_the_others_kill() {
        let mut schedule = Schedule::new(7, 60, true);
        let (mut kills, mut ways) = (0, BTreeMap::new());
        while let Some(round) = schedule.next() {
            match round {
                Round::Kill(_) => kills += 1,
                Round::Interrupt(Interrupt { carrier, asks, .. }) => {
                    *ways.entry((carrier, asks)).or_insert(0) += 1;
                }
            }
        }
        assert_eq!((kills, ways.len(), ways.values().sum::<u64>()), (36, 12, 24));
    }

    #[test]
    fn where_something_is_short_every_round_kills() {
        let mut schedule = Schedule::new(7, 10, false);
        let rounds: Vec<Round> = std::iter::from_fn(|| schedule.next()).collect();
        assert_eq!(rounds.len(), 10);
        assert!(rounds.iter().all(|round| matches!(round, Round::Kill(_))));
    }
}
