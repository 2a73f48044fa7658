//! How one program of a session went: the session's own, or its check.

use std::io;

use super::guard::Prepared;
use crate::process::session_processes::EndedProcesses;
use crate::process::tree_end::{
    Captured, Cause, Checked, Containment, ExitStatus, Leftover, Protection, Resources, ResultFile,
    StartFailure, TreeEnd,
};

/// How one program went.
pub(super) struct ProgramEnd {
    cause: Cause,
    status: Option<ExitStatus>,
    clean: bool,
    killed: u64,
    leftovers: Vec<Leftover>,
    stdout: Captured,
    stderr: Captured,
    is_guarded: bool,
    time_ms: u64,
}

impl ProgramEnd {
    pub(super) fn new(
        cause: Cause,
        status: Option<ExitStatus>,
        ended: EndedProcesses,
        [stdout, stderr]: [Captured; 2],
        is_guarded: bool,
        time_ms: u64,
    ) -> Self {
        let EndedProcesses { clean, killed, leftovers } = ended;
        Self { cause, status, clean, killed, leftovers, stdout, stderr, is_guarded, time_ms }
    }

    pub(super) fn not_started(step: &str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        let text = format!("cannot {step}: {error}");
        let failure = StartFailure { is_of_program: false, errno, text };
        Self {
            cause: Cause::NotStarted(failure),
            status: None,
            clean: true,
            killed: 0,
            leftovers: Vec::new(),
            stdout: Captured::default(),
            stderr: Captured::default(),
            is_guarded: true,
            time_ms: 0,
        }
    }

    pub(super) fn end(self, guard: &Prepared) -> TreeEnd {
        TreeEnd {
            cause: self.cause,
            status: self.status,
            clean: self.clean,
            containment: Containment::Warden,
            protection: if self.is_guarded { guard.protection() } else { Protection::None },
            killed: self.killed,
            leftovers: self.leftovers,
            stdout: self.stdout,
            stderr: self.stderr,
            check: None,
            result: ResultFile::Absent,
            used: Resources { time_ms: self.time_ms, cpu_ms: 0 },
        }
    }
}

impl TreeEnd {
    /// The same with a check. What ended the check by force ended the session too.
    pub(super) fn with_check(mut self, check: ProgramEnd) -> Self {
        self.clean &= check.clean;
        self.killed += check.killed;
        self.leftovers.extend(check.leftovers);
        self.used.time_ms += check.time_ms;
        if matches!(check.cause, Cause::Cancelled | Cause::EngineLost) {
            self.cause = check.cause.clone();
        }
        self.check = Some(Checked {
            cause: check.cause,
            status: check.status,
            stdout: check.stdout,
            stderr: check.stderr,
        });
        self
    }
}
