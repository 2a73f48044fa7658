//! A warden's tie to its engine: what the engine orders, and what is reported to it.
//!
//! Nothing here ever waits for the engine once an order is taken: it may be stopped.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::clock::now_ms;
use crate::process::launch::StopReason;
use crate::process::tree_end::TreeEnd;
use crate::process::wire::{FromWarden, Inbox, Order, ToWarden, frame};

/// How long an engine that does not read may keep a warden that has nothing else to do.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct EngineLink {
    control: UnixStream,
    inbox: Inbox,
    is_gone: bool,
    stop: Option<StopReason>,
    gate_is_open: bool,
    next_beat_ms: u64,
    beat_ms: u64,
}

impl EngineLink {
    pub(super) fn new(control: UnixStream) -> Self {
        Self {
            control,
            inbox: Inbox::default(),
            is_gone: false,
            stop: None,
            gate_is_open: false,
            next_beat_ms: u64::MAX,
            beat_ms: 0,
        }
    }

    /// Waits for what is to be done; `None` from an engine that went away before it said it.
    pub(super) fn take_order(&mut self) -> io::Result<Option<Order>> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match self.inbox.next().map_err(io::Error::other)? {
                Some(ToWarden::Prepare(order)) => {
                    self.control.set_nonblocking(true)?;
                    self.beat_ms = order.beat_ms;
                    self.next_beat_ms = now_ms() + order.beat_ms;
                    return Ok(Some(*order));
                }
                Some(_) => return Ok(None),
                None => match self.control.read(&mut chunk)? {
                    0 => return Ok(None),
                    length => self.inbox.push(&chunk[..length]),
                },
            }
        }
    }

    /// Says something, or as much of it as goes without waiting.
    pub(super) fn say(&mut self, message: &FromWarden) {
        let _ = self.control.write_all(&frame(message));
    }

    /// Reports the end, the only message worth a wait.
    pub(super) fn report(mut self, end: TreeEnd) {
        let _ = self.control.set_nonblocking(false);
        let _ = self.control.set_write_timeout(Some(LAST_WORD_WITHIN));
        self.say(&FromWarden::Ended(Box::new(end)));
    }

    /// Says that the warden lives, if it is time to.
    pub(super) fn beat(&mut self) {
        if now_ms() >= self.next_beat_ms {
            self.next_beat_ms = now_ms() + self.beat_ms;
            self.say(&FromWarden::Beat);
        }
    }

    pub(super) fn next_beat_ms(&self) -> u64 {
        self.next_beat_ms
    }

    /// Takes what the engine has said by now.
    pub(super) fn listen(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            match self.control.read(&mut chunk) {
                Ok(0) => self.is_gone = true,
                Ok(length) => {
                    self.inbox.push(&chunk[..length]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.is_gone = true,
            }
            break;
        }
        loop {
            match self.inbox.next() {
                Ok(Some(ToWarden::Go)) => self.gate_is_open = true,
                Ok(Some(ToWarden::Stop(stop))) => self.stop(stop),
                Ok(Some(ToWarden::Prepare(_)) | None) => return,
                // What speaks another language is not to be trusted with a session.
                Err(_) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
    }

    /// Asks for a stop; the first reason counts.
    pub(super) fn stop(&mut self, reason: StopReason) {
        self.stop = self.stop.or(Some(reason));
    }

    /// Why the session was asked to stop, if it was.
    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        self.stop
    }

    /// Whether the session is written down, so that its program may run.
    pub(super) fn gate_is_open(&self) -> bool {
        self.gate_is_open
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.control.as_raw_fd()
    }
}

impl AsFd for EngineLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}
