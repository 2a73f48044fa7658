//! One output of a program: read from its pipe, redacted, and written to a file; of too much of it
//! the beginning and the end are kept.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::process::redaction::{Redactor, Secret};
use crate::process::tree_end::Captured;
use crate::room;

const CHUNK: usize = 64 * 1024;
/// How much is read before others get their turn.
const READS: usize = 16;
/// The most that a pipe may hold that no process writes to any more.
const LAST_READS: usize = 64;
/// How much of the end of an output is kept in memory, for when it is more than its cap. What
/// agents report of a run comes last.
const MAX_TAIL: u64 = 256 * 1024;
/// Of a cap that is smaller no end is kept, as telling what was left out would take more room than
/// is left for it.
const MIN_TAIL: u64 = 256;

pub(super) struct Capture<'a> {
    pipe: Option<OwnedFd>,
    file: File,
    /// What the disk has no room for now, in its order.
    waiting: Vec<u8>,
    redactor: Redactor<'a>,
    /// How much is written as it comes, in bytes.
    head: u64,
    /// The last of what came after that, up to a limit, and how much it was in all.
    tail: VecDeque<u8>,
    tail_cap: usize,
    beyond: u64,
    /// Where the end begins behind a cut, if one is kept.
    tail_from: Option<u64>,
    captured: Captured,
}

impl<'a> Capture<'a> {
    pub(super) fn new(pipe: Option<OwnedFd>, file: File, secrets: &'a [Secret], cap: u64) -> Self {
        let tail_cap = Some((cap / 2).min(MAX_TAIL)).filter(|&tail| tail >= MIN_TAIL).unwrap_or(0);
        Self {
            pipe,
            file,
            waiting: Vec::new(),
            redactor: Redactor::new(secrets),
            head: cap - tail_cap,
            tail: VecDeque::new(),
            tail_cap: usize::try_from(tail_cap).unwrap_or(0),
            beyond: 0,
            tail_from: None,
            captured: Captured::default(),
        }
    }

    /// The pipe, while a process may write to it and there is room for what it writes: while the
    /// disk is full, the program waits.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| !self.is_waiting()).map(|pipe| pipe.as_fd())
    }

    /// Whether the disk has no room for what was read.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes what is there, but not so much that others wait.
    pub(super) fn pump(&mut self) {
        self.read(READS);
    }

    fn read(&mut self, reads: usize) {
        let mut chunk = vec![0; CHUNK];
        for _ in 0..reads {
            let Some(pipe) = &self.pipe else { return };
            // At the end all of it is taken, so that it can be waited for.
            if self.is_waiting() && reads != LAST_READS {
                return;
            }
            match rustix::io::read(pipe, &mut chunk) {
                Ok(0) => self.pipe = None,
                Ok(length) => self.take(&chunk[..length]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    /// All of it passes the redaction, also what is dropped: a value may begin before a cut and end
    /// behind it.
    fn take(&mut self, chunk: &[u8]) {
        self.captured.seen += chunk.len() as u64;
        let certain = self.redactor.push(chunk);
        self.keep(&certain);
    }

    fn keep(&mut self, bytes: &[u8]) {
        // What the disk refused leaves no room: what comes later would not follow on it.
        let room = usize::try_from(self.head.saturating_sub(self.position())).unwrap_or(usize::MAX);
        let room = if self.captured.cut { 0 } else { room };
        let (now, later) = bytes.split_at(bytes.len().min(room));
        if self.beyond == 0 && !now.is_empty() {
            self.write(now);
        }
        self.beyond += later.len() as u64;
        let last = &later[later.len().saturating_sub(self.tail_cap)..];
        let excess = (self.tail.len() + last.len()).saturating_sub(self.tail_cap);
        self.tail.drain(..excess);
        self.tail.extend(last);
    }

    /// Where the next byte will be in the file.
    fn position(&self) -> u64 {
        self.captured.kept + self.waiting.len() as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        // The next try says whether there is room.
        let _ = self.write_waiting();
    }

    /// Writes what the disk had no room for.
    ///
    /// # Errors
    /// If it still has none.
    pub(super) fn write_waiting(&mut self) -> io::Result<()> {
        while self.is_waiting() {
            match self.file.write(&self.waiting) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.captured.kept += written as u64;
                    self.waiting.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if room::is_lacking(&error) => return Err(error),
                // The disk is gone. What a program says is not worth its end; that it was cut is
                // told.
                Err(_) => self.cut_here(),
            }
        }
        Ok(())
    }

    fn cut_here(&mut self) {
        self.waiting.clear();
        self.captured.cut = true;
    }

    /// Takes what is left in the pipe and closes it, even if a process still holds the other end.
    pub(super) fn close(&mut self) {
        self.read(LAST_READS);
        self.pipe = None;
        let rest = self.redactor.finish();
        self.keep(&rest);
        self.write_tail();
    }

    /// What was kept, once it is closed and no more room is waited for.
    pub(super) fn finish(mut self) -> Captured {
        if self.is_waiting() {
            self.cut_here();
        }
        self.captured.tail =
            self.tail_from.map_or(0, |from| self.captured.kept.saturating_sub(from));
        self.captured
    }

    /// Writes what is kept of the end, behind a line that says how much is missing.
    fn write_tail(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        let tail = Vec::from(tail);
        if !self.captured.cut && self.beyond == tail.len() as u64 {
            return self.write(&tail);
        }
        let has_head_only = self.captured.cut || self.tail_cap == 0;
        self.captured.cut = true;
        if has_head_only {
            return;
        }
        // The number can only become shorter by the room that the line takes.
        let room = self.tail_cap - left_out(self.beyond).len();
        let last = &tail[tail.len().saturating_sub(room)..];
        self.write(left_out(self.beyond - last.len() as u64).as_bytes());
        self.tail_from = Some(self.position());
        self.write(last);
    }
}

/// The line between the beginning and the end of what is kept.
fn left_out(bytes: u64) -> String {
    format!("\n[antiphon: {bytes} bytes were left out here]\n")
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    /// What is kept of an output that comes in chunks.
    fn kept(chunks: &[&[u8]], secrets: &[Secret], cap: u64) -> (Captured, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout");
        let mut capture = Capture::new(None, File::create(&path).unwrap(), secrets, cap);
        for chunk in chunks {
            capture.take(chunk);
        }
        capture.close();
        let captured = capture.finish();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(captured.kept, bytes.len() as u64);
        (captured, bytes)
    }

    #[test]
    fn what_is_not_over_the_cap_is_kept_whole() {
        for length in [0, 1, 511, 512, 513, 1_023, 1_024] {
            let bytes: Vec<u8> = (0..length).map(|index: u32| (index % 251) as u8).collect();
            let chunks: Vec<&[u8]> = bytes.chunks(100).collect();
            let captured =
                Captured { kept: u64::from(length), seen: u64::from(length), cut: false, tail: 0 };
            assert_eq!(kept(&chunks, &[], 1_024), (captured, bytes.clone()));
        }
    }

    #[test]
    fn of_what_is_over_the_cap_beginning_and_end_are_kept() {
        let text: String = (0..1_000).map(|number| format!("line {number:04}\n")).collect();
        for chunk in [7, 1_000, 100_000] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(chunk).collect();
            let (captured, bytes) = kept(&chunks, &[], 1_024);
            let bytes = String::from_utf8(bytes).unwrap();
            let (head, rest) =
                bytes.split_once("\n[antiphon: 9019 bytes were left out here]\n").unwrap();
            assert_eq!((head, rest), (&text[..512], &text[512 + 9_019..]));
            assert_eq!(captured, Captured { kept: 1_024, seen: 10_000, cut: true, tail: 469 });
        }
    }

    #[test]
    fn what_a_full_disk_has_no_room_for_waits_and_is_kept_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut capture = Capture::new(None, File::create(&path).unwrap(), &[], 1_024);
        capture.take(b"before, ");
        let disk = std::mem::replace(&mut capture.file, full);
        for chunk in 0..300 {
            capture.take(format!("line {chunk}\n").as_bytes());
        }
        assert!(capture.is_waiting());
        assert_eq!(capture.write_waiting().unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        capture.close();
        capture.file = disk;
        capture.write_waiting().unwrap();
        let (tail, captured) = (capture.tail_from, capture.finish());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before, line 0\nline 1\n") && text.ends_with("line 299\n"));
        assert_eq!((captured.kept, captured.cut), (text.len() as u64, true));
        assert_eq!(captured.tail, text.len() as u64 - tail.unwrap());
    }

    #[test]
    fn where_no_room_comes_the_output_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout");
        let mut capture = Capture::new(None, File::create(&path).unwrap(), &[], 1_024);
        capture.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        capture.take(b"nobody has room for this");
        capture.close();
        assert_eq!(capture.finish(), Captured { kept: 0, seen: 24, cut: true, tail: 0 });
    }

    #[test]
    fn of_a_small_cap_the_beginning_is_kept() {
        assert_eq!(
            kept(&[b"0123456789"], &[], 4),
            (Captured { kept: 4, seen: 10, cut: true, tail: 0 }, b"0123".to_vec())
        );
    }

    proptest::proptest! {
        #[test]
        fn no_cut_lets_a_value_through_or_more_than_the_cap(
            before in 0..3_000_usize,
            between in 0..3_000_usize,
            cap in 0..3_000_u64,
            chunk in 1..900_usize,
        ) {
            // A value whose end is not its beginning: two of it in a row do not overlap.
            let secrets = [Secret { name: "KEY".to_owned(), value: "hunter2hunter3".to_owned() }];
            let text = format!("{0}hunter2hunter3{1}hunter2hunter3", ".".repeat(before), "-".repeat(between));
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(chunk).collect();
            let (captured, bytes) = kept(&chunks, &secrets, cap);
            let bytes = String::from_utf8(bytes).unwrap();
            proptest::prop_assert!(captured.kept <= cap && !bytes.contains("hunter2"), "{}", bytes);
            let whole = text.replace("hunter2hunter3", "[secret KEY]");
            proptest::prop_assert_eq!(captured.cut, whole.len() as u64 > cap);
            let (head, tail) = bytes.split_at(bytes.len() - captured.tail as usize);
            proptest::prop_assert!(whole.ends_with(tail));
            let head = head.split("\n[antiphon").next().unwrap_or_default();
            proptest::prop_assert!(whole.starts_with(head));
        }
    }
}
