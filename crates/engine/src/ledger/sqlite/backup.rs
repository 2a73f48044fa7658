//! A copy of a ledger, made while its engine appends or while none has it open.
//!
//! The database is copied inside of one read transaction: appends continue meanwhile and never make
//! it begin again, and what it copies is the ledger as of one commit. The files of blobs come
//! before and after: most are copied first, and what the copied database names beyond them
//! afterwards. One that was erased in between is gone; then the database is copied again, which no
//! longer names it.

use std::fs::File;
use std::path::{Path, PathBuf};

use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Blob, CommitTip};
use antiphon_core::id::{Epoch, Seq};
use rusqlite::backup::StepResult;

use super::reader::ReadConnection;
use super::rows::{damaged, read_error};
use super::turn::names_file;
use super::{LedgerIdentity, SqliteStore, connection};
use crate::folder::Folder;
use crate::ledger::blob_files::BlobFiles;
use crate::ledger::directory::{HIDES_ALL, StateDirectory};
use crate::ledger::durable;
use crate::ledger::error::{IdentityRefusal, ReadError, UnknownFormat};
use crate::ledger::fault::Fault;
use crate::ledger::head_mark::{HeadMark, MarkError, MarkRefusal};
use crate::ledger::held_directory::{DATABASE, POISONED};
use crate::ledger::owner::LedgerId;
use crate::ledger::unfinished::{self, Hindrance, Unfinished};

/// Pages that are copied at a time.
const PAGES: i32 = 4_096;

/// How often the database is copied when blobs that it names are erased meanwhile. Each time fewer
/// are left to be copied after it.
const ATTEMPTS: u32 = 10;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Which ledger it is a copy of.
    pub ledger: LedgerId,
    /// The ownership at that time.
    pub epoch: Epoch,
    /// The last commit in it.
    pub commits: CommitTip,
    /// Its last event, which is how many it has.
    pub events: Seq,
    /// Blobs in files of their own.
    pub blob_files: u64,
    /// Bytes of all its files.
    pub bytes: u64,
}

/// What a backup that is being made has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupStep {
    /// The blobs that have files were copied, as far as they could be then.
    BlobsCopied,
    /// The database was copied, which may name more of them.
    DatabaseCopied,
}

/// Why a backup was not made. Nothing is left at its place.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum BackupError {
    /// Something is there already.
    #[error("{} already exists and is not empty; name one that does not exist yet", place.display())]
    Taken {
        /// Where the backup was to be.
        place: PathBuf,
    },
    /// The backup would be inside of what it is a backup of.
    #[error("{} is inside the state directory {}; name a place outside of it", place.display(), dir.display())]
    Inside {
        /// Where the backup was to be.
        place: PathBuf,
        dir: PathBuf,
    },
    /// Another process makes a backup at the same place.
    #[error("another process is making a backup in {}; wait for it, or name another place", path.display())]
    Underway {
        /// Where it builds it.
        path: PathBuf,
    },
    /// Something else is where the backup would be built.
    #[error("{} is in the way and is no unfinished backup; move it away, or name another place", path.display())]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
    },
    /// Blobs were erased faster than they could be copied.
    #[error(
        "blobs are being erased faster than they can be copied; make the backup when less is going on"
    )]
    Overtaken,
    /// The ledger was written by another version.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// The ledger does not agree with its head mark, so that a backup would hide a loss.
    #[error(transparent)]
    Mark(#[from] MarkRefusal),
    /// The row that says which ledger this is was changed.
    #[error("the row of the table `ledger` was changed: {0}")]
    Identity(IdentityRefusal),
    /// The ledger cannot be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The backup cannot be written.
    #[error(transparent)]
    Write(#[from] Fault),
}

impl SqliteStore {
    /// Makes a state directory at `place` that holds the ledger as of one commit, beside whatever
    /// engine owns it. There must be nothing at `place`, or an empty directory; what is built comes
    /// there by one rename, when all of it is durable.
    ///
    /// An engine that opens the backup continues from that commit. Sessions that ran are lost to
    /// it, and are tried again.
    ///
    /// # Errors
    /// [`BackupError`]; nothing is left at the place then.
    pub fn backup(&self, place: &Path) -> Result<Backup, BackupError> {
        self.backup_in_steps(place, |_| {})
    }

    /// The same; each step is told before the next one is taken, so that something can be done in
    /// between.
    ///
    /// # Errors
    /// As [`SqliteStore::backup`].
    pub fn backup_in_steps(
        &self,
        place: &Path,
        told: impl FnMut(BackupStep),
    ) -> Result<Backup, BackupError> {
        self.refuse_inside(place)?;
        let named = |hindrance| match hindrance {
            Hindrance::Taken => BackupError::Taken { place: place.to_owned() },
            Hindrance::Underway(path) => BackupError::Underway { path },
            Hindrance::Foreign(path) => BackupError::InTheWay { path },
            Hindrance::Fault(fault) => fault.into(),
        };
        let unfinished = Unfinished::beside(place).map_err(named)?;
        let backup = self.copy_into(unfinished.path(), told)?;
        unfinished.finish().map_err(named)?;
        Ok(backup)
    }

    fn refuse_inside(&self, place: &Path) -> Result<(), BackupError> {
        let above = unfinished::parent(place);
        let found = |path: &Path| {
            path.canonicalize()
                .map_err(|error| Fault::io(format!("look at {}", path.display()), error))
        };
        match self.dir.path().canonicalize() {
            Ok(dir) if found(above)?.starts_with(&dir) => Err(BackupError::Inside {
                place: place.to_owned(),
                dir: self.dir.path().to_owned(),
            }),
            // That there is no ledger comes up when it is read.
            _ => Ok(()),
        }
    }

    fn copy_into(
        &self,
        folder: &Path,
        mut told: impl FnMut(BackupStep),
    ) -> Result<Backup, BackupError> {
        let from = self.readers.read(|reader| Ok(reader.blobs.clone()))?;
        let made = Folder::open(folder)
            .map_err(|error| Fault::io(format!("open {}", folder.display()), error))?;
        let to = BlobFiles::of(made.clone());
        for _ in 0..ATTEMPTS {
            copy_ahead(&from, &to)?;
            told(BackupStep::BlobsCopied);
            let (copied, files) = self.copy_database(&made)?;
            told(BackupStep::DatabaseCopied);
            if self.copy_named(&files, &from, &to)? {
                let named: std::collections::HashSet<Digest> = files.iter().copied().collect();
                to.sweep(|digest| Ok::<_, Fault>(named.contains(digest)))?;
                return self.seal(&made, copied, &to, &files);
            }
        }
        Err(BackupError::Overtaken)
    }

    /// Copies the database as of one commit. Returns what it holds, and the blobs that have files.
    fn copy_database(&self, folder: &Folder) -> Result<(Backup, Vec<Digest>), BackupError> {
        // Before the transaction, so that the ledger in it has all that the mark knows.
        let mark = HeadMark::read(self.dir.path());
        let copied = self.readers.read(|reader| {
            let mut copied = Err(BackupError::Overtaken);
            reader.consistent(|reader| {
                copied = copy_snapshot(reader, mark, &self.dir, folder);
                Ok(())
            })?;
            Ok(copied)
        });
        copied?
    }

    /// Copies the blobs that are still missing. Returns whether all of them were there.
    fn copy_named(
        &self,
        files: &[Digest],
        from: &BlobFiles,
        to: &BlobFiles,
    ) -> Result<bool, BackupError> {
        for digest in files {
            if to.has(digest) {
                continue;
            }
            let bytes = match from.read(digest)? {
                Some(bytes) => bytes,
                None => match self.missing(digest, from)? {
                    Some(bytes) => bytes,
                    None => return Ok(false),
                },
            };
            if Digest::of(&bytes) != *digest {
                return Err(
                    damaged(format!("blob {digest}"), "its bytes have another digest").into()
                );
            }
            to.write(&Blob { digest: *digest, bytes })?;
        }
        Ok(true)
    }

    /// What there is of a blob whose file was gone a moment ago: `None` if it was erased.
    fn missing(&self, digest: &Digest, from: &BlobFiles) -> Result<Option<Vec<u8>>, ReadError> {
        if !self.readers.read(|reader| names_file(&reader.connection, digest))? {
            return Ok(None);
        }
        // A row goes before its file does and comes after it, so there is one now.
        let bytes = from
            .read(digest)?
            .ok_or_else(|| damaged(format!("blob {digest}"), "its file is missing"))?;
        Ok(Some(bytes))
    }

    /// Makes the copy durable, and its head mark last.
    fn seal(
        &self,
        folder: &Folder,
        copied: Backup,
        to: &BlobFiles,
        files: &[Digest],
    ) -> Result<Backup, BackupError> {
        let size = |path: &Path| {
            std::fs::metadata(path)
                .map(|found| found.len())
                .map_err(|error| Fault::io(format!("look at {}", path.display()), error))
        };
        let database = folder.shown_of(DATABASE);
        File::open(&database)
            .map_err(|error| Fault::io(format!("open {}", database.display()), error))?
            .sync_all()
            .map_err(|error| Fault::sync(format!("sync {}", database.display()), error))?;
        durable::replace(folder, ".gitignore", HIDES_ALL)?;
        // What is not certain of the ledger is not certain of its copy: an engine verifies it
        // first.
        if let Some(note) = self.dir.poison_note()? {
            durable::replace(folder, POISONED, note.as_bytes())?;
        }
        let (ledger, epoch, commit) = (Some(copied.ledger), copied.epoch, copied.commits);
        HeadMark { ledger, epoch, commit }.write_in(folder)?;
        let mut bytes = size(&database)? + size(&HeadMark::path(folder.shown()))?;
        for digest in files {
            bytes += size(&to.path(digest))?;
        }
        Ok(Backup { blob_files: files.len() as u64, bytes, ..copied })
    }
}

/// Copies the files that are there now. What cannot be copied yet is looked at again once the
/// database says whether it is needed.
fn copy_ahead(from: &BlobFiles, to: &BlobFiles) -> Result<(), BackupError> {
    for digest in from.all()? {
        if !to.has(&digest)
            && let Ok(Some(bytes)) = from.read(&digest)
            && Digest::of(&bytes) == digest
        {
            to.write(&Blob { digest, bytes })?;
        }
    }
    Ok(())
}

/// Checks and copies what one transaction sees.
fn copy_snapshot(
    reader: &ReadConnection,
    mark: Result<Option<HeadMark>, MarkError>,
    dir: &StateDirectory,
    folder: &Folder,
) -> Result<(Backup, Vec<Digest>), BackupError> {
    let position = reader.position_now()?;
    UnknownFormat::refuse(position.format)?;
    LedgerIdentity::read(&reader.connection)?.check(None).map_err(BackupError::Identity)?;
    match mark.map_err(MarkRefusal::from)? {
        Some(mark) => {
            let at_mark = reader.commit(mark.commit.number)?;
            mark.check(Some(position.ledger), position.epoch, position.commits, at_mark)?;
        }
        None if position.commits == CommitTip::default() => {}
        None => {
            let path = HeadMark::path(dir.path());
            return Err(MarkRefusal::Missing { path, commits: position.commits.number }.into());
        }
    }
    let files = reader.rows(
        "SELECT digest FROM blobs WHERE bytes IS NULL ORDER BY blob",
        [],
        |_| "the row of a blob".to_owned(),
        |columns| columns.digest(0),
    )?;
    copy_pages(reader, folder)?;
    let backup = Backup {
        ledger: position.ledger,
        epoch: position.epoch,
        commits: position.commits,
        events: position.events,
        blob_files: 0,
        bytes: 0,
    };
    Ok((backup, files))
}

/// Copies every page. The transaction is the caller's, so no append makes SQLite begin again.
fn copy_pages(reader: &ReadConnection, folder: &Folder) -> Result<(), BackupError> {
    let path = &folder.shown_of(DATABASE);
    let doing = || format!("copy the database to {}", path.display());
    // Private from the start.
    folder.create_anew(DATABASE).map_err(|error| Fault::io(doing(), error))?;
    let fault = |error| Fault::sql(doing(), error);
    let mut to = connection::copying(path).map_err(fault)?;
    let backup = rusqlite::backup::Backup::new(&reader.connection, &mut to).map_err(fault)?;
    loop {
        match backup.step(PAGES) {
            Ok(StepResult::Done) => break,
            Ok(StepResult::More) => {}
            Ok(_) => return Err(Fault::io(doing(), std::io::Error::other("it is locked")).into()),
            Err(error) => {
                return match read_error("the database", error) {
                    ReadError::Fault(fault) => Err(Fault { doing: doing(), ..fault }.into()),
                    damaged => Err(damaged.into()),
                };
            }
        }
    }
    drop(backup);
    to.close().map_err(|(_, error)| fault(error))?;
    Ok(())
}
