//! Where a program is: at its gate, running, or asked to stop.

use rustix::process::Signal;

use crate::process::launch::StopReason;
use crate::process::tree_end::{Cause, StartFailure};

/// Where a program is.
pub(super) enum ProgramStage {
    AtGate,
    Running { deadline_ms: u64 },
    Stopping { kill_at_ms: u64, cause: Cause },
}

impl ProgramStage {
    pub(super) fn deadline_ms(&self) -> u64 {
        match self {
            Self::AtGate => u64::MAX,
            Self::Running { deadline_ms } => *deadline_ms,
            Self::Stopping { kill_at_ms, .. } => *kill_at_ms,
        }
    }

    pub(super) fn cause_of_exit(self) -> Cause {
        match self {
            Self::Running { .. } => Cause::Exited,
            Self::Stopping { cause, .. } => cause,
            Self::AtGate => Cause::NotStarted(StartFailure {
                is_of_program: false,
                errno: 0,
                text: "the process was ended before its program was started".to_owned(),
            }),
        }
    }
}

impl From<StopReason> for Cause {
    fn from(stop: StopReason) -> Self {
        match stop {
            StopReason::Cancelled => Self::Cancelled,
            StopReason::TimedOut => Self::TimedOut,
        }
    }
}

/// Asks the program's group to end. A stopped process is continued, or the request would wait for
/// ever.
pub(super) fn ask_to_stop(program: i32, grace_ms: u64, cause: Cause, now: u64) -> ProgramStage {
    if let Some(group) = rustix::process::Pid::from_raw(program) {
        for signal in [Signal::TERM, Signal::CONT] {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
    ProgramStage::Stopping { kill_at_ms: now.saturating_add(grace_ms), cause }
}
