//! The journal: what the victim saw, in a file outside the state directory, one line and one write
//! each.
//!
//! A line about an acknowledgement is written after the acknowledgement, so whatever is in the
//! journal must be in the ledger.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use antiphon::coordination::Verdict;
use antiphon::digest::Digest;
use antiphon::event::StopKind;
use antiphon::id::{AgentId, CommandId, CoordinationId, QuestionId, SessionId, Version, WorkId};
use serde::{Deserialize, Serialize};

/// Something that the victim saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
pub(super) enum Entry {
    Opened {
        pid: u32,
    },
    /// A coordination was accepted, or found.
    Submitted {
        id: CoordinationId,
    },
    /// Work was added under a command id.
    Added {
        id: CoordinationId,
        command: CommandId,
        version: Version,
    },
    /// A request to end was accepted.
    Stopped {
        id: CoordinationId,
        kind: StopKind,
    },
    /// A pause was accepted.
    Paused {
        id: CoordinationId,
    },
    /// A coordination went on.
    Continued {
        id: CoordinationId,
    },
    /// A command left a run unfinished because it was asked to stop.
    Interrupted {
        id: CoordinationId,
    },
    /// A wait ended.
    Ended {
        id: CoordinationId,
        verdict: Verdict,
        receipt: Digest,
    },
    /// A follower was given an event.
    Delivered {
        id: CoordinationId,
        version: Version,
        hash: Digest,
    },
    /// A signal was recorded, or found.
    Signalled {
        id: CoordinationId,
        from: AgentId,
        key: String,
        version: Version,
    },
    /// A signal was given to somebody.
    Heard {
        id: CoordinationId,
        version: Version,
    },
    /// The count of a run was counted on.
    Counted {
        id: CoordinationId,
        value: u64,
        version: Version,
    },
    /// A question was recorded, or found.
    Asked {
        id: CoordinationId,
        question: QuestionId,
        version: Version,
    },
    /// An answer was recorded, or found.
    Answered {
        id: CoordinationId,
        question: QuestionId,
        yes: bool,
        version: Version,
    },
    /// The engine was closed in order.
    Closed {
        pid: u32,
    },
    /// A function began. The time counts from boot.
    Began {
        session: SessionId,
        work: WorkId,
        fence: Version,
        attempt: u32,
        pid: u32,
        at_ns: u64,
    },
    /// A function returned or was dropped.
    Left {
        session: SessionId,
        work: WorkId,
        pid: u32,
        at_ns: u64,
    },
    /// Something was not as promised.
    Complained {
        about: String,
    },
}

/// The victim's end.
#[derive(Debug)]
pub(super) struct JournalWriter {
    file: File,
}

impl JournalWriter {
    pub(super) fn append_to(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().create(true).append(true).open(path)? })
    }

    /// Writes a line at once. Without its journal the victim is of no use, so it ends.
    pub(super) fn write(&self, entry: &Entry) {
        let line = serde_json::to_string(entry).map(|line| line + "\n");
        if let Err(error) =
            line.map_err(io::Error::from).and_then(|line| (&self.file).write_all(line.as_bytes()))
        {
            eprintln!("the journal cannot be written: {error}");
            std::process::exit(1);
        }
    }
}

/// The parent's end: everything read so far, by the run that wrote it.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    read: u64,
    pub(super) runs: Vec<Vec<Entry>>,
}

impl Journal {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, read: 0, runs: Vec::new() }
    }

    /// Takes in what the run that has just ended wrote. A kill may have cut its last line off; that
    /// line goes.
    pub(super) fn take_run(&mut self) -> io::Result<()> {
        let mut text = String::new();
        match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(self.read))?;
                file.read_to_string(&mut text)?;
                let whole = text.rfind('\n').map_or(0, |last| last + 1);
                text.truncate(whole);
                self.read += whole as u64;
                file.set_len(self.read)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let entries = text.lines().map(serde_json::from_str).collect::<Result<Vec<Entry>, _>>()?;
        self.runs.push(entries);
        Ok(())
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.runs.iter().flatten()
    }
}
