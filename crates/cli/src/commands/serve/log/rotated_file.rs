//! A log file that is put aside when it is full, and a few older ones. No line is torn or lost over that.
//! What cannot be written is counted: the engine does not wait for its log.

use std::ffi::OsString;
use std::fs::{File, FileType, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use crate::stderr;

/// Size at which a file is put aside.
const MAX_BYTES: u64 = 10 * 1024 * 1024;

/// Older files that are kept.
const KEPT: u32 = 5;

/// A log file that is open. Each write is one line.
#[derive(Debug)]
pub(super) struct RotatedFile {
    path: PathBuf,
    file: File,
    /// Its size; `None` of what is no file that could be put aside, as a terminal.
    bytes: Option<u64>,
    max_bytes: u64,
    /// Lines that could not be written since the last one that could.
    lost: u64,
}

impl RotatedFile {
    /// Opens it to write at its end.
    ///
    /// # Errors
    /// When it cannot be written, or another process has it as its log.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_within(path, MAX_BYTES)
    }

    fn open_within(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let (file, bytes) = opened(&path)?;
        Ok(Self { path, file, bytes, max_bytes, lost: 0 })
    }

    fn aside(&self, nth: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{nth}"));
        name.into()
    }

    /// Puts the file aside and begins another one.
    fn rotate(&mut self) -> io::Result<()> {
        for nth in (1..KEPT).rev() {
            match std::fs::rename(self.aside(nth), self.aside(nth + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.aside(1))?;
        (self.file, self.bytes) = opened(&self.path)?;
        Ok(())
    }

    /// Writes a line whole, or nothing of it.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(bytes) = self.bytes else { return self.file.write_all(line) };
        if let Err(error) = self.file.write_all(line) {
            // A part of it may be there. That it stays torn is all that can come of a failure here.
            let _torn = self.file.set_len(bytes);
            return Err(error);
        }
        self.bytes = Some(bytes + line.len() as u64);
        Ok(())
    }

    fn note_lost(&mut self) -> io::Result<()> {
        let lost = self.lost;
        if lost == 0 {
            return Ok(());
        }
        let line = json!({
            "timestamp": Timestamp::now().to_string(),
            "level": "WARN",
            "message": "lines could not be written to the log",
            "lost": lost,
        });
        self.append(format!("{line}\n").as_bytes())?;
        self.lost = 0;
        Ok(())
    }
}

impl Write for RotatedFile {
    /// Takes a whole line, also where it cannot be written.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let size = line.len() as u64;
        if self.bytes.is_some_and(|bytes| bytes > 0 && bytes + size > self.max_bytes)
            && let Err(error) = self.rotate()
        {
            // The file grows on: better too large than without what happens now.
            stderr::say(format!("cannot put {} aside: {error}", self.path.display()));
            self.max_bytes = self.max_bytes.saturating_add(MAX_BYTES);
        }
        if let Err(error) = self.note_lost().and_then(|()| self.append(line)) {
            if self.lost == 0 {
                let path = self.path.display();
                stderr::say(format!(
                    "cannot write to the log {path}: {error}; the engine goes on, and the log counts \
                     the lines that it lacks"
                ));
            }
            self.lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file that no other process has as its log, and gives its size.
fn opened(path: &Path) -> io::Result<(File, Option<u64>)> {
    // To open a pipe would wait for whoever reads it, and to write to it too.
    if std::fs::metadata(path).is_ok_and(|found| !is_written_to(found.file_type())) {
        return Err(io::Error::other("it is neither a regular file nor a character device"));
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok((file, None));
    }
    match file.try_lock() {
        Ok(()) => Ok((file, Some(found.len()))),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another process writes to it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_written_to(found: FileType) -> bool {
    found.is_file() || found.is_char_device()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in the files of a log, the oldest first.
    fn kept(path: &Path) -> String {
        let aside = (1..=KEPT + 1).rev().map(|nth| format!("{}.{nth}", path.display()));
        let files = aside.chain([path.display().to_string()]);
        files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
    }

    fn lines(numbers: impl IntoIterator<Item = u32>) -> String {
        numbers.into_iter().map(|number| format!("line {number:04}\n")).collect()
    }

    #[test]
    fn no_line_is_lost_or_torn_when_a_file_is_put_aside_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = RotatedFile::open_within(&path, 100).unwrap();
        for number in 0..60 {
            file.write_all(lines([number]).as_bytes()).unwrap();
        }
        assert_eq!(kept(&path), lines(0..60), "ten lines a file, six files");
        assert_eq!(std::fs::read_to_string(dir.path().join("log.5")).unwrap(), lines(0..10));
        drop(file);
        // The next engine goes on where this one ended.
        let mut file = RotatedFile::open_within(&path, 100).unwrap();
        for number in 60..71 {
            file.write_all(lines([number]).as_bytes()).unwrap();
        }
        assert_eq!(kept(&path), lines(20..71));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 6);
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = RotatedFile::open_within(&path, 10).unwrap();
        let long = format!("{}\n", "x".repeat(50));
        for line in ["short\n", &long, "last\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(kept(&path), format!("short\n{long}last\n"));
        assert_eq!(std::fs::read_to_string(dir.path().join("log.1")).unwrap(), long);
    }

    #[test]
    fn two_do_not_write_the_same_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let first = RotatedFile::open(&path).unwrap();
        let second = RotatedFile::open(&path).unwrap_err();
        assert_eq!(second.to_string(), "another process writes to it");
        drop(first);
        RotatedFile::open(&path).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_cannot_be_written_is_counted_and_stops_nobody() {
        let mut full = RotatedFile::open(Path::new("/dev/full")).unwrap();
        for number in 0..3 {
            full.write_all(lines([number]).as_bytes()).unwrap();
        }
        assert_eq!(full.lost, 3);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        // There is room again.
        let RotatedFile { file, bytes, .. } = RotatedFile::open(&path).unwrap();
        (full.file, full.bytes) = (file, bytes);
        full.write_all(lines([3]).as_bytes()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (note, rest) = text.split_once('\n').unwrap();
        let mut note: serde_json::Value = serde_json::from_str(note).unwrap();
        assert!(note["timestamp"].take().is_string());
        let expected = json!({
            "timestamp": null, "level": "WARN", "message": "lines could not be written to the log",
            "lost": 3
        });
        assert_eq!((note, rest), (expected, lines([3]).as_str()));
        assert_eq!(full.lost, 0);
    }
}
