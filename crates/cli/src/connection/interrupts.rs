//! Signals that ask this process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command_error::CommandError;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C: what is done is to stop.
    CtrlC,
    /// A service manager, or a terminal that closes: this process is to stop.
    Terminate,
}

/// The signals, caught from here on.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    pub(crate) fn catch() -> Result<Self, CommandError> {
        let caught = |kind| {
            signal(kind)
                .map_err(|error| CommandError::internal(format!("cannot catch signals: {error}")))
        };
        Ok(Self {
            interrupt: caught(SignalKind::interrupt())?,
            terminate: caught(SignalKind::terminate())?,
            hang_up: caught(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupt::CtrlC,
            _ = self.terminate.recv() => Interrupt::Terminate,
            _ = self.hang_up.recv() => Interrupt::Terminate,
        }
    }
}
