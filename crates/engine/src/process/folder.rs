//! What is written down of a session before it exists, so that the next start finds what this one
//! left running.
//!
//! Each session has a folder under `sessions/` in the state directory. Its `open` file has a first
//! line from before the warden is spawned and a second from before the session's program may run;
//! the warden leaves its `end` there. It is no evidence and is removed once the end is recorded.
//!
//! Engine and warden reach it from the state directory that they hold open, and by no path: one of
//! the same name may be in another directory by now.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_core::digest::Digest;
use antiphon_core::id::SessionId;
use serde::{Deserialize, Serialize};

use super::emptying::empty;
use super::identity::{ProcessIdentity, Where, ticks_now};
use super::mark::Mark;
use super::outlast::outlast;
use super::tree_end::TreeEnd;
use super::wire::OsText;
use crate::clock;
use crate::folder::{Entry, Folder};
use crate::output_files::FilesBefore;

/// The folder of the sessions in a state directory.
pub(super) const SESSIONS: &str = "sessions";
const OPEN: &str = "open";
const END: &str = "end";
/// What goes last: without it, what is left of a folder might speak of a session that runs.
const LAST: &CStr = c"end";
const RAN: &str = "ran";
/// Largest record that is read; a warden's end names processes that are left.
const MAX_RECORD: u64 = 16 << 20;
/// Largest output that is read; a plan cannot ask for as much.
const MAX_KEPT: u64 = 1 << 30;
/// What is said of a path that is no folder of a session.
pub(super) const STRAY: &str = "this in the folder of the sessions is of no session";
/// Longest name that is used as it is.
const MAX_NAME: usize = 120;

/// The first line: enough to find whatever may have come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenRecord {
    pub(super) session: SessionId,
    /// Under the name that it has in folders of every version.
    #[serde(rename = "tattoo")]
    pub(super) mark: Mark,
    pub(super) place: Where,
    pub(super) user: u32,
    pub(super) engine: Option<ProcessIdentity>,
    /// Nothing of the session started before, in clock ticks since boot.
    pub(super) since: u64,
    /// The wall clock, in nanoseconds; for people.
    pub(super) wall: u64,
    pub(super) scratch: Option<OsText>,
    /// What is in the places of the files that it is to make.
    #[serde(default, skip_serializing_if = "FilesBefore::is_empty")]
    pub(super) files: FilesBefore,
}

impl OpenRecord {
    /// That a session of this engine is about to start.
    pub(super) fn now(
        session: SessionId,
        mark: Mark,
        scratch: Option<OsText>,
        files: FilesBefore,
    ) -> Self {
        Self {
            session,
            mark,
            place: Where::here(),
            user: rustix::process::geteuid().as_raw(),
            engine: ProcessIdentity::of(rustix::process::getpid().as_raw_nonzero().get()),
            since: ticks_now(),
            wall: clock::wall().0,
            scratch,
            files,
        }
    }

    /// The same seen from where clock ticks do not count from the same boot: any process may be
    /// of the session.
    pub(super) fn at_any_time(&self) -> Self {
        Self { since: 0, ..self.clone() }
    }
}

/// The second line: who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) warden: Option<ProcessIdentity>,
    pub(super) agent: ProcessIdentity,
}

impl Begun {
    /// `warden` is a process id.
    pub(super) fn of(warden: i32, agent: ProcessIdentity) -> Self {
        Self { warden: ProcessIdentity::of(warden), agent }
    }
}

/// What a session has under the state directory.
#[derive(Debug, Clone)]
pub struct SessionFolder {
    /// The state directory. No folder is held for longer than it takes to do something in it, so a
    /// session costs its engine no descriptor.
    state: Folder,
    name: OsString,
}

/// One of the things that are kept of a session until its end is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kept {
    /// Standard output of its program.
    Stdout,
    /// Standard error of its program.
    Stderr,
    /// Standard output of its check.
    CheckStdout,
    /// Standard error of its check.
    CheckStderr,
    Result,
}

impl Kept {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::CheckStdout => "check-stdout",
            Self::CheckStderr => "check-stderr",
            Self::Result => "result",
        }
    }
}

/// What is in the folder of the sessions.
#[derive(Debug)]
pub(super) enum Listed {
    Folder(SessionFolder),
    /// Something that no engine has put there.
    Stray(PathBuf),
}

impl SessionFolder {
    /// The folders of the sessions in a state directory, and what else is among them.
    pub(super) fn list(state: &Folder) -> io::Result<Vec<Listed>> {
        let sessions = match state.below(SESSIONS) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            sessions => sessions?,
        };
        let listed = sessions.entries()?.into_iter().map(|entry| {
            // Of one that cannot be looked into, its record will say so.
            let is_folder = entry.is_folder()
                && sessions.below(&entry.name).and_then(|it| is_of_session(&it)).unwrap_or(true);
            match is_folder {
                true => Listed::Folder(Self::at(state, entry.name)),
                false => Listed::Stray(sessions.shown_of(entry.name)),
            }
        });
        Ok(listed.collect())
    }

    pub(super) fn at(state: &Folder, name: OsString) -> Self {
        Self { state: state.clone(), name }
    }

    pub(crate) fn of(state: &Folder, session: &SessionId) -> Self {
        Self::at(state, name_of(session).into())
    }

    /// What is kept of a session in the state directory that a path names now.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn in_state_directory(state_directory: &Path, session: &SessionId) -> io::Result<Self> {
        Ok(Self::of(&Folder::open(state_directory)?, session))
    }

    /// The path of the state directory, for people, and its own name in it.
    pub(super) fn place(&self) -> (&Path, &OsStr) {
        (self.state.shown(), &self.name)
    }

    /// Where the folders of all sessions are, for people.
    pub(super) fn shown_parent(&self) -> PathBuf {
        self.state.shown_of(SESSIONS)
    }

    /// Where it is, for people.
    pub(super) fn shown(&self) -> PathBuf {
        self.shown_parent().join(&self.name)
    }

    fn parent(&self) -> io::Result<Folder> {
        self.state.below(SESSIONS)
    }

    fn folder(&self) -> io::Result<Folder> {
        self.parent()?.below(&self.name)
    }

    /// Opens something that is kept. Output can be followed there while the session runs: it is
    /// redacted before it is written.
    ///
    /// # Errors
    /// If it cannot be opened, as where it is not there yet or not any more.
    pub fn open_kept(&self, kept: Kept) -> io::Result<File> {
        Ok(self.folder()?.open_file(kept.name())?)
    }

    /// What is kept; empty if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, kept: Kept) -> io::Result<Vec<u8>> {
        Ok(self.read_file(kept.name(), MAX_KEPT)?.unwrap_or_default())
    }

    /// How long something is that is kept.
    pub(super) fn length(&self, kept: Kept) -> u64 {
        let found = self.folder().and_then(|folder| folder.stat(kept.name()));
        found.map_or(0, |found| u64::try_from(found.st_size).unwrap_or(0))
    }

    /// A file in it; `None` if it is not there.
    fn read_file(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        outlast(|| match self.folder().and_then(|folder| Ok(folder.read(name, max)?)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        })
    }

    /// Makes the folder of all sessions anew, in a state directory that is there.
    pub(super) fn make_parent(&self) -> io::Result<()> {
        self.state.create_folder(SESSIONS).map(drop)
    }

    /// Writes the first line, and makes it durable together with the folder.
    pub(super) fn open(&self, opened: &OpenRecord) -> io::Result<()> {
        let parent = self.parent()?;
        let folder = parent.create_folder(&self.name)?;
        let mut file = folder.create(OPEN)?;
        file.write_all(&line_of(opened))?;
        file.sync_all()?;
        folder.sync()?;
        parent.sync()
    }

    /// Adds the second line. A torn one counts for none, and then nothing has run.
    pub(super) fn begin(&self, begun: &Begun) -> io::Result<()> {
        let mut file = self.folder()?.append_to(OPEN)?;
        file.write_all(&line_of(begun))?;
        file.sync_data()
    }

    /// What the lines say; `None` for the first when it was torn, and then nothing was spawned.
    ///
    /// A line that is whole and not understood is an error: what it speaks of may be running.
    pub(super) fn lines(&self) -> io::Result<(Option<OpenRecord>, Option<Begun>)> {
        let Some(bytes) = self.read_file(OPEN, MAX_RECORD)? else { return Ok((None, None)) };
        let foreign = |error: serde_json::Error| {
            let problem = format!(
                "{} is not understood ({error}); an engine of its own version has to sweep it",
                self.shown().join(OPEN).display()
            );
            io::Error::new(ErrorKind::InvalidData, problem)
        };
        let mut lines =
            bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let opened = lines.next().map(serde_json::from_slice).transpose().map_err(foreign)?;
        let begun = lines.next().map(serde_json::from_slice).transpose().map_err(foreign)?;
        Ok((opened, begun))
    }

    /// Keeps something whole and private.
    pub(super) fn keep(&self, name: Kept, bytes: &[u8]) -> io::Result<()> {
        self.put(name.name(), bytes)
    }

    /// Leaves the end for the next engine.
    pub(super) fn leave_end(&self, end: &TreeEnd) -> io::Result<()> {
        self.put(END, &line_of(end))
    }

    /// The end that a warden left, if it is whole.
    pub(super) fn end(&self) -> Option<TreeEnd> {
        let bytes = self.read_file(END, MAX_RECORD).ok()??;
        serde_json::from_slice(&bytes).ok()
    }

    /// Leaves for how long the session has run so far.
    pub(super) fn leave_time(&self, ran: Duration) -> io::Result<()> {
        self.put(RAN, &line_of(&u64::try_from(ran.as_millis()).unwrap_or(u64::MAX)))
    }

    /// For how long the session had run when its warden last left that.
    pub(super) fn time(&self) -> Option<Duration> {
        let bytes = self.read_file(RAN, MAX_RECORD).ok()??;
        serde_json::from_slice(&bytes).ok().map(Duration::from_millis)
    }

    /// Makes the file for an output.
    pub(super) fn create_kept(&self, kept: Kept) -> io::Result<File> {
        self.folder().and_then(|folder| folder.create_anew(kept.name())).map_err(|error| {
            let path = self.shown().join(kept.name());
            io::Error::new(error.kind(), format!("cannot make {}: {error}", path.display()))
        })
    }

    /// Whole or not at all. Not synced: only a process of this boot asks for it, and after a power
    /// cut it is not believed.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (folder, temporary) = (self.folder()?, format!("{name}.tmp"));
        folder.create_anew(&temporary)?.write_all(bytes)?;
        folder.rename(&temporary, name)
    }

    /// Removes the folder and all that is in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let removed = outlast(|| {
            let parent = self.parent()?;
            match parent.below(&self.name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                folder => {
                    empty(folder?.as_fd(), LAST)?;
                    parent.remove_empty(&self.name)?;
                }
            }
            parent.sync()
        });
        match removed {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// Whether a folder holds nothing but what an engine puts into one, and its record is a file.
fn is_of_session(folder: &Folder) -> io::Result<bool> {
    const OURS: [&str; 8] =
        [OPEN, END, RAN, "stdout", "stderr", "check-stdout", "check-stderr", "result"];
    let is_ours = |entry: &Entry| {
        let name = entry.name.to_string_lossy();
        entry.is_file() && OURS.contains(&name.strip_suffix(".tmp").unwrap_or(&name))
    };
    Ok(folder.entries()?.iter().all(is_ours))
}

fn line_of(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value)
        .unwrap_or_else(|error| panic!("BUG: a line does not serialise: {error}"));
    line.push(b'\n');
    line
}

/// A file name for a session: its id where that is one, otherwise as much of it as people need and
/// a digest.
pub(super) fn name_of(session: &SessionId) -> String {
    let text = session.to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() <= MAX_NAME && text.chars().all(is_plain) && !text.starts_with('.') {
        return text;
    }
    let readable: String = text.chars().filter(|&c| is_plain(c)).take(40).collect();
    // A tilde is in no plain name, so the two kinds cannot meet.
    format!("~{readable}~{}", Digest::of(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_id_has_a_file_name_of_its_own() {
        let long = format!("{}.1", "x".repeat(200));
        let ids = ["build.1", "build.2", "a:b.1", "..x.1", "ä.1", "ö.1", &long];
        let names: std::collections::BTreeSet<String> =
            ids.iter().map(|id| name_of(&id.parse().unwrap())).collect();
        assert_eq!(names.len(), ids.len());
        assert_eq!(name_of(&"build.1".parse().unwrap()), "build.1");
        assert!(
            names.iter().all(|name| !name.contains('/') && name.len() < 255 && name != ".."),
            "{names:?}"
        );
    }
}
