//! How a session's processes ended, and whether any of them is left.

use serde::{Deserialize, Serialize};

/// The end of a session's processes, as far as it could be established.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct TreeEnd {
    pub cause: Cause,
    /// How the session's own program ended; `None` if it never ran or its end was not seen.
    pub status: Option<ExitStatus>,
    /// Whether it is established that nothing of it runs any more. Without this, an end is no
    /// success.
    pub clean: bool,
    /// What kept the tree together.
    pub containment: Containment,
    /// What kept the session from signalling its warden.
    pub protection: Protection,
    /// Processes that were killed, apart from the program that was asked to stop and did.
    pub killed: u64,
    /// Those that could not be ended, as far as they are known.
    pub leftovers: Vec<Leftover>,
    pub stdout: Captured,
    pub stderr: Captured,
    /// The result of the check; `None` if there was none or it was not run, because the session did
    /// not end by itself and clean.
    pub check: Option<Checked>,
    /// What it left as result file.
    pub result: ResultFile,
    /// What it used, as far as the warden saw.
    pub used: Resources,
}

impl TreeEnd {
    /// Whether the program ended by itself, and left nothing.
    #[must_use]
    pub fn ended_by_itself_and_clean(&self) -> bool {
        self.cause == Cause::Exited && self.clean
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its program ended by itself.
    Exited,
    /// Its program could not be started.
    NotStarted(StartFailure),
    /// It was over its time.
    TimedOut,
    /// It was asked to stop.
    Cancelled,
    /// It was over a limit of the whole tree.
    OverLimit(Limit),
    /// Its engine went away.
    EngineLost,
    /// Its warden went away or fell silent.
    WardenLost,
}

/// Why a program did not start; an exit with code 127 is something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// Whether it is the program itself that cannot be started, and not what comes before it. An end
    /// that an earlier version left does not tell.
    #[serde(default)]
    pub is_of_program: bool,
    /// The number of the error.
    pub errno: i32,
    /// The whole of it, for people.
    pub text: String,
}

/// A limit of the whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Limit {
    /// Resident memory, in bytes.
    Memory {
        found: u64,
    },
    Processes {
        found: u64,
    },
    /// Processor time, in milliseconds.
    Cpu {
        found: u64,
    },
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ExitStatus {
    Code(i32),
    /// By a signal, which is not the same as a code of 128 and more.
    Signal {
        signal: i32,
        /// Whether it left a core.
        core: bool,
    },
}

impl ExitStatus {
    /// Whether it is a code of 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::Code(0)
    }
}

/// What kept the processes of a session together until their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Containment {
    /// Its warden: the kernel says that it has no descendants left.
    Warden,
    /// Its warden was lost; all that it left came to the subreaper, of which the kernel says that
    /// nothing is left.
    Subreaper,
    /// Its warden was lost, or gave up; what carried its mark was ended. A process that deliberately
    /// washed off both marks is not seen, so such an end is not clean.
    BestEffort,
}

/// What keeps a session from signalling its warden and engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Landlock's scope for signals.
    Landlock,
    /// A filter of system calls.
    Seccomp,
    /// Nothing: a session that kills its warden is ended by the engine or the next start.
    None,
}

/// A process that could not be ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Leftover {
    pub pid: i32,
    pub user: Option<u32>,
    /// The name it gave itself.
    pub name: String,
    /// Its state, as a letter of proc(5).
    pub state: char,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, user, name, state } = self;
        match user {
            Some(user) => write!(f, "pid {pid} ({name}) of user {user} in state {state}"),
            None => write!(f, "pid {pid} ({name}) in state {state}"),
        }
    }
}

/// One output of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Bytes that are kept, after redaction.
    pub kept: u64,
    /// Bytes that were put out.
    pub seen: u64,
    /// Whether something was dropped, because of the cap or because the disk refused it.
    pub cut: bool,
    /// How many of the bytes kept are the last that were put out. They follow a line that says how
    /// many were left out; none is there if all is kept, or only the beginning.
    #[serde(default)]
    pub tail: u64,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Checked {
    pub cause: Cause,
    pub status: Option<ExitStatus>,
    pub stdout: Captured,
    pub stderr: Captured,
}

/// What a session left as result file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum ResultFile {
    Absent,
    Kept,
    /// One of this size, which is over the cap and was not read.
    TooLarge(u64),
    /// Something that is no regular file, or changes while it is read.
    Unreadable,
    /// One that the system refuses to read, with the number of its error.
    Failing(i32),
}

impl ResultFile {
    pub(super) fn failing(error: &std::io::Error) -> Self {
        Self::Failing(error.raw_os_error().unwrap_or(0))
    }
}

/// What a session used, as far as its warden saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Milliseconds from the start of the program to the end of the tree.
    pub time_ms: u64,
    /// Processor time of everything that the warden reaped, in milliseconds.
    pub cpu_ms: u64,
}
