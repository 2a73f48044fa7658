//! One output of a program: read from its pipe, redacted, capped, and written to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::process::redaction::{Redactor, Secret};
use crate::process::tree_end::Captured;

const CHUNK: usize = 64 * 1024;
/// How much is read before others get their turn.
const READS: usize = 16;
/// How much a pipe may hold that nobody writes to any more, at most.
const LAST_READS: usize = 64;

pub(super) struct Capture<'a> {
    pipe: Option<OwnedFd>,
    file: File,
    redactor: Redactor<'a>,
    cap: u64,
    captured: Captured,
}

impl<'a> Capture<'a> {
    pub(super) fn new(pipe: Option<OwnedFd>, file: &Path, secrets: &'a [Secret], cap: u64) -> io::Result<Self> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(file)?;
        Ok(Self { pipe, file, redactor: Redactor::new(secrets), cap, captured: Captured::default() })
    }

    /// The pipe, while somebody may write to it.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(|pipe| pipe.as_fd())
    }

    /// Takes what is there, but not so much that others wait.
    pub(super) fn pump(&mut self) {
        self.read(READS);
    }

    fn read(&mut self, reads: usize) {
        let mut chunk = vec![0; CHUNK];
        for _ in 0..reads {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(length) => self.take(&chunk[..length]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        self.captured.seen += chunk.len() as u64;
        if self.captured.kept >= self.cap {
            self.captured.cut = true;
            return;
        }
        let certain = self.redactor.push(chunk);
        self.write(&certain);
    }

    fn write(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.cap - self.captured.kept).unwrap_or(usize::MAX);
        let kept = &bytes[..bytes.len().min(room)];
        self.captured.cut |= kept.len() < bytes.len();
        match self.file.write_all(kept) {
            Ok(()) => self.captured.kept += kept.len() as u64,
            // The disk is full or gone. What a program says is not worth its end; that it was cut is told.
            Err(_) => self.captured.cut = true,
        }
    }

    /// Takes what is left in the pipe and closes it, whoever may still hold the other end.
    pub(super) fn finish(mut self) -> Captured {
        self.read(LAST_READS);
        self.pipe = None;
        let rest = self.redactor.finish();
        self.write(&rest);
        self.captured
    }
}
