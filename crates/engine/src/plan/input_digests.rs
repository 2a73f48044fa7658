//! Digests of input files: each file is read once for a plan, and no more than fits into the time
//! that whoever submits one waits for an answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use antiphon_core::digest::Digest;

use crate::file_content::{MAX_HASHED, hash};
use crate::outside::{self, ReadError};

/// What the input files of a plan may have together, in bytes. It is a number of bytes and no time,
/// so that the same plan has the same digests again.
const MAX_TOGETHER: u64 = 4 << 30;

/// The digests of the input files of a plan.
#[derive(Debug)]
pub(crate) struct InputDigests {
    known: BTreeMap<PathBuf, Result<Option<Digest>, String>>,
    /// How many bytes may still be read.
    left: u64,
}

impl InputDigests {
    pub(crate) fn new() -> Self {
        Self { known: BTreeMap::new(), left: MAX_TOGETHER }
    }

    /// The digest of a file as it is now; none of one that is not there, is no file, is too large or
    /// changes while it is read, nor where it is not wanted any more. Blocks.
    ///
    /// # Errors
    /// What the system says if it cannot be read: a session of the same user could not, either.
    pub(crate) fn of(
        &mut self,
        path: &Path,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Option<Digest>, String> {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let digest = self.read(path, is_wanted).or_else(|error| match error {
            ReadError::System(_) if !error.is_absent() => Err(error.to_string()),
            _ => Ok(None),
        });
        self.known.insert(path.to_owned(), digest.clone());
        digest
    }

    fn read(
        &mut self,
        path: &Path,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Option<Digest>, ReadError> {
        let file = outside::open(path)?;
        let size = file.metadata()?.len();
        let left = self.left.checked_sub(size).filter(|_| size <= MAX_HASHED);
        let Some(left) = left else { return Ok(None) };
        self.left = left;
        Ok(hash(file, is_wanted)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_long_as_they_are_not_too_large_each_or_together() {
        let dir = tempfile::tempdir().unwrap();
        let sized = |name: &str, size: u64| {
            let path = dir.path().join(name);
            std::fs::File::create(&path).unwrap().set_len(size).unwrap();
            path
        };
        let mut digests = InputDigests { left: 40 << 20, ..InputDigests::new() };
        let mut is_known = |path: &Path| digests.of(path, &|| true).unwrap().is_some();
        let (first, second) = (sized("first", 30 << 20), sized("second", 30 << 20));
        let found = [
            is_known(&sized("too large", MAX_HASHED + 1)),
            is_known(&first),
            is_known(&second),
            is_known(&sized("small", 1 << 20)),
            // It is not read again.
            is_known(&first),
            is_known(&dir.path().join("none")),
        ];
        assert_eq!(found, [false, true, false, true, true, false]);
        assert_eq!(
            InputDigests::new().of(&first, &|| true).unwrap(),
            Some(Digest::of(&vec![0; 30 << 20]))
        );
        assert_eq!(InputDigests::new().of(&first, &|| false), Ok(None));
    }
}
