//! What a session runs, within which limits, and why that may be refused.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_core::id::SessionId;
use serde::{Deserialize, Serialize};

use super::redaction::{MIN_SECRET_BYTES, Secret};
use crate::output_files::FilesBefore;

/// The name of the result file in a scratch directory.
pub(super) const RESULT_FILE: &str = "result.json";

/// A session as a process: what to run, and within which limits. Nothing passes through a shell.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of
    /// `env`.
    pub command: Vec<OsString>,
    /// Where it runs; a relative program starts from here.
    pub directory: PathBuf,
    /// Its whole environment. Only the variable that marks its processes is added.
    pub environment: Vec<(OsString, OsString)>,
    /// What is replaced by `[secret NAME]` in everything that is kept. To be used they have to be
    /// in `environment` too.
    pub secrets: Vec<Secret>,
    /// Its standard input; closed if there is none.
    pub stdin: Option<Vec<u8>>,
    /// What it may use.
    pub limits: Limits,
    /// When it is asked to stop.
    pub time_limit: Option<Duration>,
    /// How long it has to stop after it was asked, before it is killed.
    pub grace: Duration,
    /// How much of each output is kept, in bytes.
    pub output_cap: u64,
    /// A command that judges the work: run in the same directory and environment after the
    /// session's own processes are gone.
    pub check: Option<Check>,
    /// A directory for this session alone, removed after its end.
    pub scratch: Option<Scratch>,
    /// What is in the places of the files that it is to make; written down with its start.
    pub files: FilesBefore,
}

impl Launch {
    /// A command in a directory, with an empty environment, no limits, ten seconds of grace and 10
    /// MiB of each output.
    #[must_use]
    pub fn new(
        command: impl IntoIterator<Item = impl Into<OsString>>,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            directory: directory.into(),
            environment: Vec::new(),
            secrets: Vec::new(),
            stdin: None,
            limits: Limits::default(),
            time_limit: None,
            grace: Duration::from_secs(10),
            output_cap: 10 * 1024 * 1024,
            check: None,
            scratch: None,
            files: FilesBefore::default(),
        }
    }

    /// The same for a session that is to make files.
    #[must_use]
    pub(crate) fn making(self, files: FilesBefore) -> Self {
        Self { files, ..self }
    }

    /// What can be refused before anything is touched.
    pub(super) fn validate(&self, state_directory: &Path) -> Result<(), LaunchError> {
        for command in
            std::iter::once(&self.command).chain(self.check.iter().map(|check| &check.command))
        {
            if command.first().is_none_or(|program| program.is_empty()) {
                return Err(LaunchError::NoProgram);
            }
        }
        for secret in &self.secrets {
            if secret.is_too_short() {
                return Err(LaunchError::ShortSecret { name: secret.name.clone() });
            }
        }
        let texts = self.command.iter().chain(self.check.iter().flat_map(|check| &check.command));
        let pairs = self.environment.iter();
        let has_nul = |text: &OsStr| text.as_encoded_bytes().contains(&0);
        if texts.map(OsString::as_os_str).any(has_nul)
            || pairs.clone().any(|(name, value)| has_nul(name) || has_nul(value))
        {
            return Err(LaunchError::Nul);
        }
        for (name, _) in pairs {
            if name.is_empty() || name.as_encoded_bytes().contains(&b'=') {
                return Err(LaunchError::BadVariable { name: name.to_string_lossy().into_owned() });
            }
        }
        if !self.directory.is_absolute() {
            return Err(LaunchError::RelativeDirectory { directory: self.directory.clone() });
        }
        match &self.scratch {
            Some(scratch) if scratch.directory.starts_with(state_directory) => {
                Err(LaunchError::ScratchInside { scratch: scratch.directory.clone() })
            }
            Some(scratch)
                if scratch.files.iter().any(|(name, _)| {
                    name.is_empty() || name.contains('/') || name.starts_with('.')
                }) =>
            {
                Err(LaunchError::BadScratchFile)
            }
            _ => Ok(()),
        }
    }
}

/// A command that judges a session's work.
#[derive(Debug, Clone)]
pub struct Check {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// When it is ended.
    pub time_limit: Duration,
}

/// What a session may use; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Resident memory of the whole tree, in bytes. Sampled: what is over it at a sample ends the
    /// session.
    pub memory: Option<u64>,
    /// Processes of the whole tree. Sampled.
    pub processes: Option<u64>,
    /// Processor time of the whole tree. Sampled.
    pub cpu: Option<Duration>,
    /// Files that each process may have open. Enforced by the system.
    pub open_files: Option<u64>,
    /// Size of each file that is written, in bytes. Enforced by the system.
    pub file_size: Option<u64>,
}

impl Limits {
    /// Whether the warden has to sample the tree.
    pub(super) fn are_sampled(&self) -> bool {
        self.memory.is_some() || self.processes.is_some() || self.cpu.is_some()
    }
}

/// A directory for one session, outside of the state directory. It is made when the session starts
/// and removed after its end or by the next start's sweep.
#[derive(Debug, Clone)]
pub struct Scratch {
    directory: PathBuf,
    /// Files that are put into it before the session starts, by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// How much of the result file is read, in bytes; one that is larger is not read at all.
    pub result_cap: u64,
}

/// How the names of scratch directories begin.
pub(super) const SCRATCH_NAME: &str = "antiphon-";

impl Scratch {
    /// Chooses a name that nothing else has, and touches nothing. `root` is a directory such as the
    /// system's temporary one.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn below(root: &Path) -> io::Result<Self> {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        // Whether a root that is not there comes back is seen when the directory is made.
        let root = root.canonicalize().or_else(|_| std::path::absolute(root))?;
        let directory = root.join(format!("{SCRATCH_NAME}{:032x}", u128::from_le_bytes(random)));
        Ok(Self { directory, files: Vec::new(), result_cap: 1024 * 1024 })
    }

    /// Where it will be.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the session may leave its result file.
    #[must_use]
    pub fn result_file(&self) -> PathBuf {
        self.directory.join(RESULT_FILE)
    }
}

/// Why a session is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// A user wants it, or the run is over.
    Cancelled,
    /// It is over its time.
    TimedOut,
}

/// Which protection against signals from inside a session is tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Guard {
    /// The best that the kernel has.
    #[default]
    Best,
    /// The filter of system calls, also where the kernel has better.
    Seccomp,
    Off,
}

/// Why processes cannot be run here at all.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum WardensError {
    /// The operating system has none of what the promise needs.
    #[error(
        "sessions as processes need Linux; this system offers no way to prove that a session left \
        nothing running"
    )]
    Unsupported,
    /// The program did not call [`enter`](super::enter) first, and named no other program as
    /// warden.
    #[error(
        "this program cannot run sessions as processes, because it would have to run itself as \
        their warden; call antiphon::process::enter() first in main, or name the antiphon \
        executable as warden"
    )]
    NotEntered,
    /// The ledger is not in a directory, so what runs could not be found again after a crash.
    #[error("sessions as processes need a ledger in a directory; open one there")]
    NoDirectory,
    /// The folder of the sessions cannot be made.
    #[error("cannot prepare {}: {error}", path.display())]
    Folder {
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Why a session did not get as far as its own program. Whether that program starts is seen from
/// its end.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LaunchError {
    /// There is nothing to run.
    #[error("the command is empty; add a program")]
    NoProgram,
    /// A secret is too short to be replaced.
    #[error(
        "the secret {name} has fewer than {MIN_SECRET_BYTES} bytes, or hardly any but backslashes; \
         replacing it would garble ordinary text, so it is refused"
    )]
    ShortSecret { name: String },
    /// An argument or a variable holds a NUL byte, which the system takes as its end.
    #[error("an argument or a variable contains a NUL byte; remove it")]
    Nul,
    /// The name of a variable is empty or holds `=`.
    #[error("the environment has a variable named {name:?}; names cannot be empty or contain `=`")]
    BadVariable { name: String },
    /// The directory is not absolute.
    #[error("the directory {} is relative; use an absolute path", directory.display())]
    RelativeDirectory { directory: PathBuf },
    /// The scratch directory lies inside the state directory.
    #[error("the scratch directory {} is inside the state directory, where no secret may be; \
        choose another root", scratch.display())]
    ScratchInside { scratch: PathBuf },
    /// The name of a file for the scratch directory is not a plain one.
    #[error(
        "a file for the scratch directory has a name that is empty, hidden or a path; use a \
        plain name"
    )]
    BadScratchFile,
    /// This process is itself inside of sessions, three deep.
    #[error(
        "sessions cannot be nested more than three deep; this program runs inside of the third"
    )]
    TooDeep,
    /// A session of this id is still written down: it runs, or its end has not been recorded.
    #[error(
        "session {0} is still in the sessions folder; sweep and record its end before it is \
        started again"
    )]
    StillThere(SessionId),
    /// A file, a socket or a process could not be had. Nothing of the session has run.
    #[error("session {session}: cannot {doing}: {error}")]
    System {
        session: SessionId,
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The program that was named as warden does not behave as this version's.
    #[error(
        "session {session}: the warden is not one of this version of antiphon ({found}); name the \
        executable of version {expected}"
    )]
    NotAWarden { session: SessionId, found: String, expected: &'static str },
    /// The warden could not prepare the session.
    #[error("session {session}: the warden could not prepare it: {problem}")]
    Unprepared { session: SessionId, problem: String },
}
