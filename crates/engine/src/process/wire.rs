//! What engine and warden say to each other: frames of a length and JSON over a socket that no
//! other process has.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::descriptors::Descriptors;
use super::identity::ProcessIdentity;
use super::launch::{Guard, Launch, Limits, StopReason};
use super::mark::Mark;
use super::redaction::Secret;
use super::setup::WardenSetup;
use super::tree_end::TreeEnd;

/// Longest frame that is accepted, in bytes: arguments and environment fit twice over.
pub(super) const MAX_FRAME: usize = 16 * 1024 * 1024;
/// The name under which a warden is started, and its first argument.
pub(super) const WARDEN_NAME: &str = "antiphon-warden";
pub(super) const WARDEN_WORD: &str = "__session";
/// What a warden must be to be understood.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToWarden {
    Prepare(Box<Order>),
    /// What was prepared is written down: it may run.
    Go,
    Stop(StopReason),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWarden {
    Hello {
        version: String,
    },
    /// The program's process is there and waits.
    Forked(ProcessIdentity),
    Unprepared(String),
    Beat,
    Ended(Box<TreeEnd>),
}

/// All that a warden needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The path of the state directory, for people; the warden has it open.
    pub(super) state: OsText,
    /// The name of the session's folder in it.
    pub(super) folder: OsText,
    pub(super) engine: i32,
    pub(super) mark: Mark,
    pub(super) command: Vec<OsText>,
    pub(super) directory: OsText,
    pub(super) environment: Vec<(OsText, OsText)>,
    pub(super) secrets: Vec<Secret>,
    pub(super) has_stdin: bool,
    pub(super) limits: Limits,
    /// The limits of open files that the engine was started with, lower and upper; its own, which
    /// the warden has from it, are higher.
    pub(super) open_files: (Option<u64>, Option<u64>),
    pub(super) time_limit_ms: Option<u64>,
    pub(super) grace_ms: u64,
    pub(super) output_cap: u64,
    pub(super) check: Option<(Vec<OsText>, u64)>,
    pub(super) scratch: Option<(OsText, u64)>,
    pub(super) guard: Guard,
    pub(super) beat_ms: u64,
    pub(super) end_within_ms: u64,
}

impl Order {
    /// From the engine that asks to the warden of a session with this folder in this state
    /// directory.
    pub(super) fn new(
        (state, folder): (&Path, &OsStr),
        mark: Mark,
        launch: Launch,
        setup: &WardenSetup,
    ) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let text = |text: &OsString| OsText::from(text.as_os_str());
        let texts = |texts: &[OsString]| texts.iter().map(text).collect::<Vec<_>>();
        let environment = launch.environment.iter();
        Self {
            state: state.into(),
            folder: folder.into(),
            engine: rustix::process::getpid().as_raw_nonzero().get(),
            mark,
            command: texts(&launch.command),
            directory: launch.directory.as_path().into(),
            environment: environment.map(|(name, value)| (text(name), text(value))).collect(),
            has_stdin: launch.stdin.is_some(),
            limits: launch.limits,
            open_files: Descriptors::raise().given(),
            time_limit_ms: launch.time_limit.map(ms),
            grace_ms: ms(launch.grace),
            output_cap: launch.output_cap,
            check: launch.check.as_ref().map(|check| (texts(&check.command), ms(check.time_limit))),
            scratch: launch
                .scratch
                .as_ref()
                .map(|scratch| (scratch.directory().into(), scratch.result_cap)),
            secrets: launch.secrets,
            guard: setup.guard,
            beat_ms: ms(setup.beat).max(1),
            end_within_ms: ms(setup.end_within),
        }
    }
}

/// Text of the operating system, which need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum OsText {
    Unicode(String),
    Bytes(Vec<u8>),
}

impl OsText {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Unicode(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.bytes().to_vec()))
    }

    pub(super) fn lossy(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

impl From<&OsStr> for OsText {
    fn from(text: &OsStr) -> Self {
        text.to_str().map_or_else(
            || Self::Bytes(text.as_bytes().to_vec()),
            |text| Self::Unicode(text.to_owned()),
        )
    }
}

impl From<&Path> for OsText {
    fn from(path: &Path) -> Self {
        path.as_os_str().into()
    }
}

/// A message as a frame.
pub(super) fn frame(message: &impl Serialize) -> Vec<u8> {
    let body = serde_json::to_vec(message)
        .unwrap_or_else(|error| panic!("BUG: a message does not serialise: {error}"));
    let mut frame = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Bytes on their way to become messages.
#[derive(Debug, Default)]
pub(super) struct Inbox(Vec<u8>);

/// The other side does not speak as we do.
#[derive(Debug, thiserror::Error)]
#[error("what came over the control socket is not a message")]
pub(super) struct Garbled;

impl Inbox {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message, once it is complete.
    pub(super) fn next<M: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<M>, Garbled> {
        let Some((length, rest)) = self.0.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(Garbled);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(body).map_err(|_| Garbled)?;
        self.0.drain(..4 + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let mut bytes = frame(&ToWarden::Go);
        bytes.extend(frame(&ToWarden::Stop(StopReason::TimedOut)));
        let mut inbox = Inbox::default();
        let mut heard = Vec::new();
        for byte in bytes {
            inbox.push(&[byte]);
            if let Some(message) = inbox.next::<ToWarden>().unwrap() {
                heard.push(format!("{message:?}"));
            }
        }
        assert_eq!(heard, ["Go", "Stop(TimedOut)"]);
    }

    #[test]
    fn noise_is_refused_before_it_is_kept() {
        let mut inbox = Inbox::default();
        inbox.push(b"\x7fELF, not a frame");
        assert!(inbox.next::<FromWarden>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_arrives_is_a_message_or_refused(chunks in proptest::collection::vec(proptest::collection::vec(0_u8.., 0..40), 0..20)) {
            let mut inbox = Inbox::default();
            for chunk in chunks {
                inbox.push(&chunk);
                while let Ok(Some(_)) = inbox.next::<ToWarden>() {}
            }
        }
    }

    #[test]
    fn a_path_that_is_no_unicode_survives() {
        let path = Path::new(OsStr::from_bytes(b"/tmp/\xff\xfe"));
        let text: OsText =
            serde_json::from_slice(&serde_json::to_vec(&OsText::from(path)).unwrap()).unwrap();
        assert_eq!(text.path(), path);
    }
}
