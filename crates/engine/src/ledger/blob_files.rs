//! Blobs that are too large for the database: one file each, named by its digest, durable before
//! any row names it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;

use super::durable;
use super::fault::Fault;
use crate::hand_over;

/// The folder `blobs` of a state directory: `blobs/<first two digits>/<all 64 digits>`.
#[derive(Debug)]
pub(super) struct BlobFiles(PathBuf);

impl BlobFiles {
    pub(super) fn of(state: &Path) -> Self {
        Self(state.join("blobs"))
    }

    /// Every blob that has a file now.
    pub(super) fn all(&self) -> Result<Vec<Digest>, Fault> {
        let mut found = Vec::new();
        for folder in list(&self.0)? {
            let names = list(&folder)?;
            found.extend(
                names.iter().filter_map(|file| file.file_name()?.to_str()?.parse::<Digest>().ok()),
            );
        }
        Ok(found)
    }

    /// Whether a blob has a file.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Where the file of a blob is, or would be.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.0.join(&name[..2]).join(name)
    }

    /// Makes a blob durable. Returns whether it was not there before.
    ///
    /// One that is there is written again unless it is whole, so that a blob that was damaged or
    /// lost heals.
    pub(super) fn write(&self, blob: &Blob) -> Result<bool, Fault> {
        let path = self.path(&blob.digest);
        if std::fs::read(&path).is_ok_and(|bytes| bytes == blob.bytes) {
            return Ok(false);
        }
        let folder = path.parent().unwrap_or(&self.0);
        if !folder.exists() {
            // One that is there counts as durable, so what is not is taken back.
            self.make_folder(folder).inspect_err(|_| drop(std::fs::remove_dir(folder)))?;
        }
        durable::replace(&path, &blob.bytes).inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        Ok(true)
    }

    fn make_folder(&self, folder: &Path) -> Result<(), Fault> {
        hand_over::create_directories(folder, 0o700)
            .map_err(|error| Fault::io(format!("create {}", folder.display()), error))?;
        durable::sync_directory(&self.0)?;
        durable::sync_directory(self.0.parent().unwrap_or(&self.0))
    }

    /// The bytes, unchecked.
    pub(super) fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.path(digest);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::io(format!("read {}", path.display()), error)),
        }
    }

    /// Removes a blob for good; one that is not there is no error.
    pub(super) fn remove(&self, digest: &Digest) -> Result<(), Fault> {
        let path = self.path(digest);
        match std::fs::remove_file(&path) {
            // Also one that is not there any more may have gone only a moment ago.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Fault::io(format!("remove {}", path.display()), error))
            }
            _ if path.parent().is_some_and(|folder| !folder.exists()) => Ok(()),
            _ => durable::sync_directory(path.parent().unwrap_or(&self.0)),
        }
    }

    /// Removes the files that no row names: a crash left them between the file and the row, or
    /// between the end of the row and that of the file. `named` tells whether a row names a blob.
    pub(super) fn sweep<E: From<Fault>>(
        &self,
        mut named: impl FnMut(&Digest) -> Result<bool, E>,
    ) -> Result<(), E> {
        for folder in list(&self.0)? {
            for file in list(&folder)? {
                let digest = file
                    .file_name()
                    .and_then(|name| name.to_str())
                    .and_then(|name| name.parse::<Digest>().ok());
                let orphaned = match &digest {
                    Some(digest) => !named(digest)?,
                    None => file.extension().is_some_and(|extension| extension == "tmp"),
                };
                if orphaned {
                    std::fs::remove_file(&file)
                        .map_err(|error| Fault::io(format!("remove {}", file.display()), error))?;
                }
            }
        }
        Ok(())
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fault = |error| Fault::io(format!("list {}", folder.display()), error);
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path()).map_err(fault)).collect()
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(fault(error)),
    }
}
