//! What `do` passes on of its own standard input: read before the run starts, and recorded with it,
//! so that each attempt gets all of it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::{Value, json};

use crate::command_error::{CommandError, Kind};
use crate::stderr;

/// Most bytes that are passed on: what a plan records of a file.
const MAX: usize = 16 << 20;

/// Most bytes of text that are written into the plan, as they are and as they are written. A plan has
/// at most a MiB.
const MAX_TEXT: usize = 512 << 10;
const MAX_WRITTEN: usize = 900 << 10;

/// How long a pipe may be silent from the beginning. One that nobody writes to may never end, as where
/// `ssh`, a CI runner or a service manager started this process.
const SILENT: Duration = Duration::from_secs(10);

/// After this long it is said what is waited for.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// What to do where it cannot be passed on.
const HINT: &str = "name a file with --stdin FILE (up to 64 MiB), let the command read one, or give it no \
                    input with `< /dev/null`";

/// What there is to be passed on.
pub(super) enum Input {
    /// A text, which is written into the plan.
    Text(String),
    /// Other bytes, or more, in a file that this process has open: the plan is to keep them.
    Bytes(File),
}

impl Input {
    fn of(bytes: Vec<u8>) -> io::Result<Self> {
        // A plan has no text with a NUL byte for a process.
        let is_written = |text: &str| {
            text.len() <= MAX_TEXT
                && !text.contains('\0')
                && text.escape_debug().count() <= MAX_WRITTEN
        };
        match String::from_utf8(bytes) {
            Ok(text) if is_written(&text) => Ok(Self::Text(text)),
            Ok(text) => Self::in_a_file(text.as_bytes()),
            Err(other) => Self::in_a_file(other.as_bytes()),
        }
    }

    /// The file is in memory only, and gone with this process.
    fn in_a_file(bytes: &[u8]) -> io::Result<Self> {
        let file = memfd_create("antiphon-stdin", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        Ok(Self::Bytes(file))
    }

    /// What the plan says of it, with a text as `literal` writes it.
    pub(super) fn in_plan(&self, literal: impl FnOnce(&str) -> String) -> Value {
        match self {
            Self::Text(text) => literal(text).into(),
            Self::Bytes(file) => {
                let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                json!({ "file": path, "keep": true })
            }
        }
    }
}

/// What there is to be passed on, unless it is empty. Its end is waited for as long as `limit` says.
///
/// A terminal is not read, nor what cannot be read, as `nohup` leaves it. A file is read from where
/// it stands, and its position stays.
pub(super) fn read(limit: Duration) -> Result<Option<Input>, CommandError> {
    let unread = |error: io::Error| refused(format!("standard input cannot be read: {error}"));
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let file = File::from(stdin.as_fd().try_clone_to_owned().map_err(unread)?);
    let bytes = match file.metadata().map_err(unread)?.is_file() {
        true => rest(file),
        false => piped(file, limit)?,
    };
    let bytes = match bytes {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error()) => {
            return Ok(None);
        }
        bytes => bytes.map_err(unread)?,
    };
    if bytes.len() > MAX {
        let mib = MAX >> 20;
        return Err(refused(format!("standard input has more than the {mib} MiB that are kept")));
    }
    match bytes.is_empty() {
        true => Ok(None),
        false => Input::of(bytes).map(Some).map_err(unread),
    }
}

fn refused(what: String) -> CommandError {
    CommandError::new(Kind::Usage, what).with_hint(HINT)
}

/// What is left of a file.
fn rest(mut file: File) -> io::Result<Vec<u8>> {
    let (mut at, mut bytes) = (file.stream_position()?, Vec::new());
    let mut piece = [0; 64 << 10];
    while bytes.len() <= MAX {
        match file.read_at(&mut piece, at) {
            Ok(0) => break,
            Ok(read) => {
                bytes.extend_from_slice(&piece[..read]);
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// What comes from a pipe until its end. One that stays silent is left alone, which is said: it
/// cannot be told from one that nobody will ever write to. A part is never taken for the whole.
fn piped(file: File, limit: Duration) -> Result<io::Result<Vec<u8>>, CommandError> {
    let (said, heard) = channel();
    // It stays behind where the pipe does not end, and ends with this process.
    let reader = std::thread::Builder::new().spawn(move || {
        let mut piece = [0; 64 << 10];
        loop {
            let read = match (&file).read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map(|read| piece[..read].to_vec()),
            };
            let is_last = !matches!(&read, Ok(bytes) if !bytes.is_empty());
            if said.send(read).is_err() || is_last {
                return;
            }
        }
    });
    if let Err(error) = reader {
        return Ok(Err(error));
    }
    let (begun, mut told, mut bytes) = (Instant::now(), false, Vec::new());
    while bytes.len() <= MAX {
        let until = if bytes.is_empty() { SILENT.min(limit) } else { limit };
        let wait = if told { until } else { TOLD_AFTER.min(until) };
        match heard.recv_timeout(wait.saturating_sub(begun.elapsed())) {
            Ok(Ok(piece)) if piece.is_empty() => break,
            Ok(Ok(piece)) => bytes.extend(piece),
            Ok(Err(error)) => return Ok(Err(error)),
            Err(RecvTimeoutError::Timeout) if begun.elapsed() < until => {
                stderr::say("waiting for the end of standard input; `< /dev/null` gives none");
                told = true;
            }
            Err(RecvTimeoutError::Timeout) if bytes.is_empty() => {
                stderr::say(format!(
                    "nothing came on standard input within {} s; the command runs without it",
                    until.as_secs()
                ));
                break;
            }
            Err(RecvTimeoutError::Timeout) => {
                let what = format!("standard input did not end within {} s", until.as_secs());
                return Err(refused(what));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(Ok(bytes))
}
