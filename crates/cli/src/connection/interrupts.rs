//! Signals that ask this process to stop.

use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command_error::CommandError;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C: what is done is to stop.
    CtrlC,
    /// A service manager: this process is to stop.
    Terminate,
    /// A terminal that closes: this process is to stop.
    HangUp,
}

impl Interrupt {
    /// The name of its signal.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HangUp => "SIGHUP",
            Self::CtrlC => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The number of its signal.
    pub(crate) fn signal(self) -> u8 {
        match self {
            Self::HangUp => 1,
            Self::CtrlC => 2,
            Self::Terminate => 15,
        }
    }
}

/// The signals, caught from here on. One that was ignored when this process was started (by `nohup`,
/// or for the background of a script) stays ignored.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Interrupts {
    pub(crate) fn catch() -> Result<Self, CommandError> {
        let ignored = ignored_at_start();
        let caught = |kind: SignalKind| {
            if ignored & 1 << (kind.as_raw_value() - 1) != 0 {
                return Ok(None);
            }
            signal(kind)
                .map(Some)
                .map_err(|error| CommandError::internal(format!("cannot catch signals: {error}")))
        };
        Ok(Self {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
            hang_up: caught(SignalKind::hangup())?,
        })
    }

    /// Has the processes that this one starts heed these signals, even if this one was started to
    /// ignore them: what a process catches, its children do not ignore.
    pub(crate) fn heed_in_children() -> Result<(), CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.map_err(CommandError::internal)?;
        let _inside = runtime.enter();
        let ignored = ignored_at_start();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            if ignored & 1 << (kind.as_raw_value() - 1) != 0 {
                // It stays caught, and nobody here listens.
                drop(signal(kind).map_err(CommandError::internal)?);
            }
        }
        Ok(())
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            () = heard(&mut self.interrupt) => Interrupt::CtrlC,
            () = heard(&mut self.terminate) => Interrupt::Terminate,
            () = heard(&mut self.hang_up) => Interrupt::HangUp,
        }
    }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// The signals that this process ignores, a bit for each from the first on. What is caught is not
/// among them, so the answer stays the same. Only Linux tells it.
fn ignored_at_start() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
