//! Blobs that are too large for the database: one file each, named by its digest, durable before
//! any row names it.

use std::io::{self, Read as _};
use std::path::PathBuf;

use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;

use super::durable;
use super::error::ReadError;
use super::fault::Fault;
use crate::folder::{Entry, Folder, is_absent};
use crate::outside;

const BLOBS: &str = "blobs";

/// The folder `blobs` of a state directory: `blobs/<first two digits>/<all 64 digits>`.
#[derive(Debug, Clone)]
pub(super) struct BlobFiles {
    state: Folder,
}

impl BlobFiles {
    pub(super) fn of(state: Folder) -> Self {
        Self { state }
    }

    /// Every blob that has a file now.
    pub(super) fn all(&self) -> Result<Vec<Digest>, Fault> {
        let mut found = Vec::new();
        for folder in self.folders()? {
            let names = names(&folder)?;
            found.extend(names.iter().filter_map(|name| name.parse::<Digest>().ok()));
        }
        Ok(found)
    }

    /// Bytes that all of them take.
    pub(super) fn bytes(&self) -> Result<u64, Fault> {
        let mut bytes = 0;
        for folder in self.folders()? {
            for name in names(&folder)? {
                match folder.stat(&name) {
                    Ok(found) => bytes += u64::try_from(found.st_size).unwrap_or(0),
                    // It was erased just now.
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(self.fault("look at", &name, error)),
                }
            }
        }
        Ok(bytes)
    }

    /// Whether a blob has a file.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.folder_of(digest).is_ok_and(|folder| folder.has(digest.to_string()))
    }

    /// Where the file of a blob is, or would be, for people.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.state.shown_of(BLOBS).join(&name[..2]).join(name)
    }

    /// Makes a blob durable. Returns whether it was not there before.
    ///
    /// One that is there is written again unless it is whole, so that a blob that was damaged or
    /// lost heals.
    pub(super) fn write(&self, blob: &Blob) -> Result<bool, Fault> {
        if self.read(&blob.digest).is_ok_and(|bytes| bytes.is_some_and(|all| all == blob.bytes)) {
            return Ok(false);
        }
        let name = blob.digest.to_string();
        let folder = match self.folder_of(&blob.digest) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder(&name[..2])?
            }
            found => found.map_err(|error| self.fault("open the folder of", &name, error))?,
        };
        durable::replace(&folder, &name, &blob.bytes)
            .inspect_err(|_| drop(folder.remove_file(&name)))?;
        Ok(true)
    }

    fn make_folder(&self, name: &str) -> Result<Folder, Fault> {
        let fault = |error| self.fault("create the folder of", name, error);
        let blobs = match self.state.below(BLOBS) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.state.create_folder(BLOBS)
            }
            found => found,
        };
        let blobs = blobs.map_err(fault)?;
        let made = blobs.create_folder(name).map_err(fault)?;
        let synced = durable::sync(&blobs).and_then(|()| durable::sync(&self.state));
        // One that is there counts as durable, so what is not is taken back.
        synced.inspect_err(|_| drop(blobs.remove_empty(name)))?;
        Ok(made)
    }

    /// The bytes, unchecked. Nothing is waited for: what is no regular file is damaged.
    pub(super) fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        let name = digest.to_string();
        let mut bytes = Vec::new();
        let opened = self
            .folder_of(digest)
            .map_err(outside::ReadError::System)
            .and_then(|folder| folder.open_file(&name));
        let read = opened.and_then(|mut file| Ok(file.read_to_end(&mut bytes)?));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.is_absent() => Ok(None),
            Err(outside::ReadError::System(error)) => Err(self.fault("read", &name, error).into()),
            Err(other) => {
                let how = format!("at {}, {other}", self.path(digest).display());
                Err(ReadError::Damaged { what: format!("blob {digest}"), how })
            }
        }
    }

    /// Removes a blob for good; one that is not there is no error.
    pub(super) fn remove(&self, digest: &Digest) -> Result<(), Fault> {
        let name = digest.to_string();
        match self.folder_of(digest) {
            Ok(folder) => durable::remove(&folder, &name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.fault("open the folder of", &name, error)),
        }
    }

    /// Removes the files that no row names: a crash left them between the file and the row, or
    /// between the end of the row and that of the file. `named` tells whether a row names a blob.
    pub(super) fn sweep<E: From<Fault>>(
        &self,
        mut named: impl FnMut(&Digest) -> Result<bool, E>,
    ) -> Result<(), E> {
        for folder in self.folders()? {
            for name in names(&folder)? {
                let orphaned = match name.parse::<Digest>() {
                    Ok(digest) => !named(&digest)?,
                    Err(_) => name.ends_with(".tmp"),
                };
                if orphaned {
                    folder.remove_file(&name).map_err(|error| {
                        Fault::io(format!("remove {}", folder.shown_of(&name).display()), error)
                    })?;
                }
            }
        }
        Ok(())
    }

    fn folder_of(&self, digest: &Digest) -> io::Result<Folder> {
        self.state.below(BLOBS)?.below(&digest.to_string()[..2])
    }

    /// Folders with blobs. What is none of ours, a link for one, is passed over.
    fn folders(&self) -> Result<Vec<Folder>, Fault> {
        let listed = self.state.below(BLOBS).and_then(|blobs| {
            let folders = blobs.entries()?.into_iter().filter(Entry::is_folder);
            folders.map(|entry| blobs.below(entry.name)).collect()
        });
        match listed {
            // None of them goes away, so this is the folder of all.
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            listed => listed.map_err(|error| self.fault("list", BLOBS, error)),
        }
    }

    fn fault(&self, doing: &str, name: &str, error: io::Error) -> Fault {
        Fault::io(format!("{doing} {}", self.state.shown_of(BLOBS).join(name).display()), error)
    }
}

/// The names in a folder; ours are all text.
fn names(folder: &Folder) -> Result<Vec<String>, Fault> {
    let entries = folder
        .entries()
        .map_err(|error| Fault::io(format!("list {}", folder.shown().display()), error))?;
    Ok(entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect())
}
