//! What is timed one after the other, in rounds.

use std::time::Duration;

use super::report::Measured;

/// Rounds; the first is not counted.
pub(super) const ROUNDS: usize = 6;

/// Times of single things, and how many there were a second in each round.
#[derive(Default)]
pub(super) struct Rounds {
    times: Vec<Duration>,
    rates: Vec<f64>,
    warm: bool,
}

impl Rounds {
    /// Adds a round of things that were timed one by one.
    pub(super) fn add(&mut self, times: Vec<Duration>, took: Duration) {
        if std::mem::replace(&mut self.warm, true) {
            self.rates.push(times.len() as f64 / took.as_secs_f64());
            self.times.extend(times);
        }
    }

    /// Adds a round of so many things that were timed together.
    pub(super) fn add_all(&mut self, things: usize, took: Duration) {
        if std::mem::replace(&mut self.warm, true) {
            self.rates.push(things as f64 / took.as_secs_f64());
            self.times.push(took.div_f64(things as f64));
        }
    }

    /// All of it, in microseconds.
    pub(super) fn measured(mut self, name: &str) -> Measured {
        Measured::timed(name, "us", &mut self.times, &mut self.rates)
    }
}
