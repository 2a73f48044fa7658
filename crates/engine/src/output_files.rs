//! The files that sessions are to make: what is in their places before a session starts, and what it
//! left there.
//!
//! A program that ends well may have written nothing, and what an earlier run made lies where it
//! was to write. Inode, size and times from before and after tell; the digest tells a later retry
//! whether a file is still what its item made.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use antiphon_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::file_content::hash;
pub use crate::file_content::{FileState, MAX_HASHED};
use crate::outside;

/// Up to this size a file is read again rather than believed to be the same by its times: a write
/// right after it was looked at may leave them as they were.
const ALWAYS_READ: u64 = 16 << 20;

/// A file that a session is to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Declared<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: &'a Path,
    /// Whether one that was there before and was not written is a failure.
    pub(crate) fresh: bool,
    /// Whether its content is read whatever its size.
    pub(crate) hash: bool,
}

impl<'a> Declared<'a> {
    pub(crate) fn new(name: &'a str, path: &'a Path) -> Self {
        Self { name, path, fresh: false, hash: false }
    }

    /// The same where it has to be written.
    pub(crate) fn to_be_written(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    /// The same whose content is read whatever its size.
    pub(crate) fn read_at_any_size(self, hash: bool) -> Self {
        Self { hash, ..self }
    }
}

/// What is in the places of declared files before a session starts, by name; `None` where nothing
/// is. What could not be looked at is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilesBefore(BTreeMap<String, Option<FileState>>);

impl FilesBefore {
    /// Looks at the files. Blocks.
    ///
    /// # Errors
    /// The machine's own trouble; that a file may not be looked at is none.
    pub(crate) fn look<'a>(files: impl Iterator<Item = Declared<'a>>) -> io::Result<Self> {
        let mut before = BTreeMap::new();
        for Declared { name, path, .. } in files {
            match std::fs::metadata(path) {
                Ok(found) => drop(before.insert(name.to_owned(), Some(FileState::of(&found)))),
                Err(error) => match error.kind() {
                    ErrorKind::NotFound | ErrorKind::NotADirectory => {
                        before.insert(name.to_owned(), None);
                    }
                    ErrorKind::PermissionDenied => {}
                    _ => {
                        let text = format!("cannot look at {}: {error}", path.display());
                        return Err(io::Error::new(error.kind(), text));
                    }
                },
            }
        }
        Ok(Self(before))
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is now in the place of a file that a session left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileNow {
    /// What the session left.
    AsLeft,
    /// Something else, or what cannot be read.
    Changed,
    /// Nothing.
    Missing,
}

/// What a session left in the place of a declared file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its state; none of a directory, of which only that it is there is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileState>,
    /// Digest of its content, unless it is larger than [`MAX_HASHED`] and the plan does not say
    /// `hash: true`, or it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Whether the session has written it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<bool>,
}

/// What a session left of its declared files, by name; a blob that the end of the session names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutputFiles(BTreeMap<String, OutputFile>);

impl OutputFiles {
    /// Looks at what is there after a session, and reads it as long as that is wanted. Blocks.
    pub(crate) fn left<'a>(
        files: impl Iterator<Item = Declared<'a>>,
        before: &FilesBefore,
        is_wanted: &dyn Fn() -> bool,
    ) -> Self {
        let left = files.filter_map(|declared| {
            let then = before.0.get(declared.name).copied();
            OutputFile::look(declared, then, is_wanted).map(|file| (declared.name.to_owned(), file))
        });
        Self(left.collect())
    }

    /// What is now in the place of each. Reads files, and blocks.
    pub(crate) fn now(&self) -> BTreeMap<String, FileNow> {
        self.0.iter().map(|(name, file)| (name.clone(), file.now())).collect()
    }

    /// Each file with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &OutputFile)> {
        self.0.iter()
    }

    /// Whether the file of this name was there before and was not written.
    pub(crate) fn is_untouched(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|file| file.written == Some(false))
    }

    /// Whether no file was declared.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes that are recorded.
    ///
    /// # Panics
    /// Never for values that exist: paths of plans are text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: paths of plans are text")
    }

    /// Reads recorded bytes.
    ///
    /// # Errors
    /// If they are not what a session left.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

impl OutputFile {
    /// `then` is what was there before, where that is known.
    fn look(
        declared: Declared<'_>,
        then: Option<Option<FileState>>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let path = declared.path.to_owned();
        let found = std::fs::metadata(declared.path).ok()?;
        if !found.is_file() {
            return Some(Self { path, state: None, sha256: None, written: None });
        }
        let mut state = FileState::of(&found);
        let mut sha256 = None;
        if (state.size <= MAX_HASHED || declared.hash)
            && let Ok((digest, read)) =
                outside::open(declared.path).and_then(|file| Ok(hash(file, is_wanted)?))
        {
            sha256 = digest;
            state = read;
        }
        let written = then.map(|then| then != Some(state));
        Some(Self { path, state: Some(state), sha256, written })
    }

    /// What is in its place now, told by its content, else by its size and times. Blocks.
    pub(crate) fn now(&self) -> FileNow {
        match std::fs::metadata(&self.path) {
            Ok(found) if self.is_unchanged(&found) => FileNow::AsLeft,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                FileNow::Missing
            }
            _ => FileNow::Changed,
        }
    }

    fn is_unchanged(&self, found: &std::fs::Metadata) -> bool {
        let Some(state) = self.state else { return found.is_dir() };
        if !found.is_file() || found.len() != state.size {
            return false;
        }
        let now = FileState::of(found);
        match self.sha256 {
            None => (now.modified, now.changed) == (state.modified, state.changed),
            Some(_) if now == state && state.size > ALWAYS_READ => true,
            Some(digest) => outside::open(&self.path)
                .and_then(|file| Ok(hash(file, &|| true)?))
                .is_ok_and(|(found, _)| found == Some(digest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(path: &Path) -> Declared<'_> {
        Declared::new("model", path)
    }

    /// What a session that does this leaves in a file.
    fn left(path: &Path, session: impl FnOnce()) -> Option<OutputFile> {
        let before = FilesBefore::look([declared(path)].into_iter()).unwrap();
        session();
        let files = OutputFiles::left([declared(path)].into_iter(), &before, &|| true);
        let read = OutputFiles::from_bytes(&files.to_bytes()).unwrap();
        assert_eq!(read, files);
        files.0.into_values().next()
    }

    #[test]
    fn what_was_written_is_told_from_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.bin");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let written = |file: Option<OutputFile>| file.and_then(|file| file.written);

        assert_eq!(left(&path, || ()), None);
        assert_eq!(written(left(&path, || write("one"))), Some(true));
        assert_eq!(written(left(&path, || ())), Some(false));
        // The same bytes again were written all the same.
        let other = dir.path().join("other");
        std::fs::write(&other, "one").unwrap();
        assert_eq!(written(left(&path, || std::fs::rename(&other, &path).unwrap())), Some(true));
        let unknown =
            OutputFiles::left([declared(&path)].into_iter(), &FilesBefore::default(), &|| true);
        assert_eq!(written(unknown.0.into_values().next()), None);
    }

    #[test]
    fn a_file_is_the_same_as_long_as_its_content_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.bin");
        std::fs::write(&path, "one").unwrap();
        let file = left(&path, || ()).unwrap();
        assert_eq!(file.sha256, Some(Digest::of(b"one")));
        assert_eq!(file.now(), FileNow::AsLeft);
        std::fs::write(&path, "two").unwrap();
        assert_eq!(file.now(), FileNow::Changed);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.now(), FileNow::Missing);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(file.now(), FileNow::AsLeft);

        // Without a digest, its times must be the same as well.
        let of_times = OutputFile { sha256: None, ..left(&path, || ()).unwrap() };
        assert_eq!(of_times.now(), FileNow::AsLeft);
        std::fs::rename(&path, dir.path().join("aside")).unwrap();
        std::fs::write(&path, "one").unwrap();
        assert_eq!(of_times.now(), FileNow::Changed);
    }

    #[test]
    fn of_a_directory_only_that_it_is_there_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("models");
        std::fs::create_dir(&path).unwrap();
        let file = left(&path, || ()).unwrap();
        assert_eq!((file.state, file.written), (None, None));
        std::fs::write(path.join("a"), "1").unwrap();
        assert_eq!(file.now(), FileNow::AsLeft);
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::write(&path, "1").unwrap();
        assert_eq!(file.now(), FileNow::Changed);
    }

    #[test]
    fn reading_stops_when_it_is_not_wanted_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.bin");
        std::fs::write(&path, "one").unwrap();
        let files =
            OutputFiles::left([declared(&path)].into_iter(), &FilesBefore::default(), &|| false);
        assert_eq!(files.0["model"].sha256, None);
    }
}
