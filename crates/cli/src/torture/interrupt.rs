//! How a run that commands carry out is interrupted: who carries it out, and what asks that process
//! to stop.

use std::fmt;
use std::time::Duration;

use antiphon::random::Random;
use rustix::process::Signal;

/// How one run is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interrupt {
    pub(super) carrier: Carrier,
    pub(super) asks: Asks,
    /// When, counted from the start of the command.
    pub(super) after: Duration,
    /// Of the run's items, and of all later moments.
    pub(super) seed: u64,
}

impl Interrupt {
    /// The n-th of a torture, so that everything has its turn in every combination.
    pub(super) fn nth(n: u64, random: &mut Random) -> Self {
        Self {
            carrier: Carrier::ALL[usize::try_from(n % 3).unwrap_or(0)],
            asks: Asks::ALL[usize::try_from(n % 4).unwrap_or(0)],
            after: Duration::from_millis(random.between(20, 700)),
            seed: random.next(),
        }
    }
}

/// Who carries the run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Carrier {
    /// The command that starts it.
    Run,
    /// An engine that stays. Who attached to the run detaches.
    Serve,
    /// The command that another run was started with; who submitted the run detaches.
    Host,
}

impl Carrier {
    const ALL: [Self; 3] = [Self::Run, Self::Serve, Self::Host];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Run => "carried out by `run`",
            Self::Serve => "by an engine that stays",
            Self::Host => "by the `run` of another run",
        }
    }
}

/// What asks a process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asks {
    CtrlC,
    CtrlCTwice,
    Terminate,
    HangUp,
}

impl Asks {
    const ALL: [Self; 4] = [Self::CtrlC, Self::Terminate, Self::CtrlCTwice, Self::HangUp];

    /// The signal, and how many times it is sent.
    pub(super) fn signal(self) -> (Signal, u32) {
        match self {
            Self::CtrlC => (Signal::INT, 1),
            Self::CtrlCTwice => (Signal::INT, 2),
            Self::Terminate => (Signal::TERM, 1),
            Self::HangUp => (Signal::HUP, 1),
        }
    }
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CtrlC => "SIGINT",
            Self::CtrlCTwice => "SIGINT twice",
            Self::Terminate => "SIGTERM",
            Self::HangUp => "SIGHUP",
        })
    }
}

impl fmt::Display for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.as_millis();
        write!(f, "{} after {after} ms, {}", self.asks, self.carrier.as_str())
    }
}
