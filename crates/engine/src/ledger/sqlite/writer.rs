//! The one connection that writes: every change is one transaction that first checks that the
//! ledger is still ours.

use std::io::ErrorKind;

use antiphon_core::append::Append;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, MAX_INLINE_BLOB_BYTES, Recorded};
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName};
use rusqlite::{Connection, TransactionBehavior, params};

use super::checkpoints::{Checkpoints, not_copied};
use super::connection;
use super::identity::LedgerIdentity;
use super::options::SqliteOptions;
use super::rows::{integer, read_error};
use super::schema::{APPLICATION_ID, SCHEMA};
use super::tail::{Tail, commit_tip, identity, last_at};
use super::turn::{
    TransactionError, erase, insert_events, names_file, write_cursors, write_snapshot, write_turn,
};
use crate::ledger::admission;
use crate::ledger::blob_files::BlobFiles;
use crate::ledger::error::FORMAT;
use crate::ledger::error::{AppendError, OpenError, ReadError, Refusal, UnknownFormat, WriteError};
use crate::ledger::fault::Fault;
use crate::ledger::head_mark::HeadMark;
use crate::ledger::held_directory::{DATABASE, HeldDirectory};
use crate::ledger::owner::LedgerId;
use crate::ledger::store::{Cursor, MarkFinding, Opened, Snapshot};

/// While a reader stays in the way, emptying the WAL is tried with the next append, then with every
/// second, until it is every 64th: a quarter of two to this power.
const RARELY: u32 = 8;

/// Writes to one ledger as its owner.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    held: HeldDirectory,
    blobs: BlobFiles,
    epoch: Epoch,
    tail: Tail,
    poisoned: bool,
    vfs: Option<String>,
    checkpoints: Checkpoints,
    /// Blobs that were erased and may still have files.
    erased: Vec<Digest>,
    /// Whether erased bytes may still be in the WAL.
    truncate: bool,
    /// Whether the database says that none are.
    declared_clean: bool,
    /// How often in a row a reader was in the way of that.
    in_the_way: u32,
    /// How many appends go by until it is tried again.
    go_by: u32,
}

/// What the database holds when it is opened, before the epoch is raised.
pub(super) struct FoundLedger<'a> {
    connection: &'a Connection,
    pub(super) ledger: LedgerId,
    pub(super) epoch: Epoch,
    pub(super) commits: CommitTip,
}

impl FoundLedger<'_> {
    /// The commit with a number.
    pub(super) fn commit(&self, number: CommitNumber) -> Result<Option<CommitTip>, ReadError> {
        commit_tip(
            self.connection,
            "SELECT number, hash FROM commits WHERE number = ?1",
            params![integer(number.0)],
        )
    }
}

impl Writer {
    /// Opens or creates the database and takes it over, if `check` lets the ledger through.
    pub(super) fn open(
        held: HeldDirectory,
        options: &SqliteOptions,
        needs_verification: bool,
        check: impl FnOnce(&FoundLedger<'_>) -> Result<(MarkFinding, Option<HeadMark>), OpenError>,
    ) -> Result<(Self, Opened), OpenError> {
        let sql = |error| read_error(format!("the ledger in {}", held.path().display()), error);
        match held.folder().create(DATABASE) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                let path = held.path().join(DATABASE);
                return Err(Fault::io(format!("create {}", path.display()), error).into());
            }
            // It is private from the start.
            _ => {}
        }
        // Before it is opened, which begins another one.
        let has_log = has_log(&held);
        let database = held.whereabouts().join(DATABASE);
        let mut connection = connection::writing(&database, options.vfs.as_deref()).map_err(sql)?;

        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let created = create_if_absent(&transaction)
            .map_err(|error| Fault::sql("create the tables of the ledger", error))?;
        let (format, id, _) = identity(&transaction)?;
        UnknownFormat::refuse(format)?;
        let mut tail = Tail::default();
        tail.reload(&transaction)?;
        let row = LedgerIdentity::read(&transaction)?;
        row.check(None).map_err(OpenError::Identity)?;
        let epoch = row.epoch;
        let (finding, mark) = check(&FoundLedger {
            connection: &transaction,
            ledger: id,
            epoch,
            commits: tail.commits(),
        })?;
        let epoch = match mark {
            // An owner that raised the epoch and never got to mark it has written nothing under it.
            Some(mark) if finding == MarkFinding::Agrees => {
                row.check(Some(&mark)).map_err(OpenError::Identity)?;
                epoch.max(mark.epoch.next())
            }
            // Above the mark too: an epoch that was lost with the end of the ledger is not given
            // out again.
            Some(mark) => epoch.max(mark.epoch).next(),
            None => epoch.next(),
        };
        transaction
            .execute("UPDATE ledger SET epoch = ?1", [integer(epoch.0)])
            .and_then(|_| transaction.commit())
            .map_err(|error| Fault::sql("take the ledger over", error))?;

        connection::keep_wal(&connection, false).map_err(sql)?;
        tail.take_over(&connection, epoch).map_err(sql)?;
        let ledger_stream = tail.find(&connection, &StreamName::Ledger)?;
        let at = last_at(&connection)?;
        let blobs = BlobFiles::of(held.folder().clone());
        blobs.sweep(|digest| names_file(&connection, digest))?;

        let declared_clean = is_declared_clean(&connection).map_err(sql)?;
        let checkpoints =
            Checkpoints::of(&mut connection, options.checkpoint_pages).map_err(sql)?;
        let look = |error| Fault::io(format!("look into {}", held.path().display()), error);
        let held = held.with_files(&[DATABASE]).map_err(look)?;
        let opened = Opened {
            ledger: id,
            format,
            epoch,
            commits: tail.commits(),
            ledger_stream: ledger_stream.map(|known| known.tip).unwrap_or_default(),
            at,
            seq: tail.seq(),
            mark: finding,
            needs_verification,
        };
        let writer = Self {
            connection,
            held,
            blobs,
            epoch,
            tail,
            poisoned: false,
            vfs: options.vfs.clone(),
            checkpoints,
            erased: Vec::new(),
            // A crash may have come between an erasure and this, which leaves the log that it was in.
            // And the tables of a new ledger take as much room there as many turns.
            truncate: created || (has_log && !declared_clean),
            declared_clean,
            in_the_way: 0,
            go_by: 0,
        };
        Ok((writer, opened))
    }

    /// The directory that it writes in.
    pub(super) fn held(&self) -> &HeldDirectory {
        &self.held
    }

    pub(super) fn append(
        &mut self,
        append: &Append,
        cursors: &[Cursor],
    ) -> Result<Seq, AppendError> {
        self.admit()?;
        admission::check_bounds(append)?;
        admission::check_cursors(cursors)?;
        let mut files = Vec::new();
        // With what is erased goes that nothing is; it comes back with the first append after that is so.
        let clean = append.erasures.is_empty() && !self.truncate;
        let declared_clean = self.declared_clean;
        let written = self.write_blob_files(append, &mut files).and_then(|()| {
            self.transact("append", |connection, tail| {
                let admitted = admission::admit(append, tail.epoch(), tail.commits(), |stream| {
                    tail.find(connection, stream).map_err(TransactionError::from)
                })?;
                write_turn(connection, tail, append, &admitted)?;
                write_cursors(connection, cursors)?;
                let removed = erase(connection, tail, append, &admitted)?;
                if clean != declared_clean {
                    declare_clean(connection, clean)?;
                }
                Ok((admitted, removed))
            })
        });
        let written = written.and_then(|done| self.unharmed().map(|()| done));
        let (admitted, removed) = match written {
            Ok(done) => done,
            Err(error) => {
                if !matches!(error, AppendError::Unknown { .. }) {
                    self.remove_files(&files);
                }
                if matches!(&error, AppendError::NotWritten { source } if source.passing) {
                    self.make_room();
                }
                return Err(error);
            }
        };
        let first = self.tail.seq().next();
        self.tail.advance(append, &admitted);
        self.declared_clean = clean;
        if !append.erasures.is_empty() {
            self.erased.extend(removed);
            self.truncate = true;
        }
        self.tidy();
        Ok(first)
    }

    /// Inserts events and nothing else, unchecked and unlinked; only for
    /// [`AppendBaseline`](super::AppendBaseline).
    pub(super) fn insert_only(&mut self, events: &[Recorded]) -> Result<(), Fault> {
        let run = |sql| {
            self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]))
        };
        run("BEGIN IMMEDIATE")
            .and_then(|_| {
                insert_events(
                    &self.connection,
                    self.tail.seq().next(),
                    events.iter().map(|event| (event, 1)),
                )
            })
            .and_then(|()| run("COMMIT"))
            .map_err(|error| Fault::sql("insert events", error))?;
        self.tail.advance_by(events.len() as u64);
        self.tidy();
        Ok(())
    }

    pub(super) fn move_cursors(&mut self, cursors: &[Cursor]) -> Result<(), AppendError> {
        self.admit()?;
        admission::check_cursors(cursors)?;
        self.transact("move cursors", |connection, _| write_cursors(connection, cursors))?;
        self.unharmed()?;
        self.tidy();
        Ok(())
    }

    pub(super) fn save_snapshots(&mut self, snapshots: &[Snapshot]) -> Result<(), WriteError> {
        self.admit()?;
        let saved = self.transact("save snapshots", |connection, _| {
            snapshots.iter().try_for_each(|snapshot| write_snapshot(connection, snapshot))
        });
        self.tidy();
        saved.map_err(|error| match error {
            AppendError::Refused(refusal) => refusal.into(),
            AppendError::NotWritten { source } | AppendError::Unknown { source } => source.into(),
        })
    }

    /// Refuses everything after an error of a sync, also one that the checkpoint thread has met
    /// since.
    fn admit(&mut self) -> Result<(), Refusal> {
        let heard = self.checkpoints.hear();
        self.consider(heard);
        if self.poisoned { Err(Refusal::Poisoned) } else { Ok(()) }
    }

    /// Refuses to acknowledge what was committed while a sync of the log failed at the same time,
    /// even if the commit's own sync succeeded.
    fn unharmed(&mut self) -> Result<(), AppendError> {
        match self.checkpoints.hear() {
            Err(fault) if !fault.passing => Err(self.poison(fault)),
            heard => {
                self.consider(heard);
                Ok(())
            }
        }
    }

    /// Runs `write` in one transaction that no other change can come between, and says what became
    /// of it.
    fn transact<T>(
        &mut self,
        doing: &str,
        write: impl FnOnce(&Connection, &mut Tail) -> Result<T, TransactionError>,
    ) -> Result<T, AppendError> {
        let Self { connection, tail, epoch, .. } = self;
        let run =
            |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        let began = if connection.is_autocommit() { run("BEGIN IMMEDIATE") } else { Ok(0) };
        began.map_err(|error| Fault::sql(format!("begin to {doing}"), error))?;

        let outcome = tail.refresh(connection).map_err(TransactionError::from).and_then(|()| {
            if tail.epoch() != *epoch {
                return Err(Refusal::Superseded { ours: *epoch, theirs: tail.epoch() }.into());
            }
            write(connection, tail)
        });
        let stop = match outcome {
            Ok(done) => match run("COMMIT") {
                Ok(_) => return Ok(done),
                Err(error) => {
                    let fault = Fault::sql(format!("commit what was to {doing}"), error);
                    // A disk that is full, or refuses a write, is found while the WAL is written,
                    // before its commit record is whole; and where its index cannot grow, the next
                    // commit is written over this one. What every other error at this point left is
                    // unknown.
                    if fault.passing {
                        TransactionError::Fault(fault)
                    } else {
                        return Err(self.poison(fault));
                    }
                }
            },
            Err(stop) => stop,
        };
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            return Err(self.poison(Fault::sql(format!("roll back what was to {doing}"), error)));
        }
        self.tail.forget();
        Err(match stop {
            TransactionError::Refused(refusal) => refusal.into(),
            TransactionError::Fault(fault) if fault.sync_failed => self.poison(fault),
            TransactionError::Fault(source) => AppendError::NotWritten { source },
        })
    }

    /// Accepts nothing more: after an error of a sync, what the disk holds is unknown.
    fn poison(&mut self, source: Fault) -> AppendError {
        self.poisoned = true;
        self.held.poison(&source);
        // Nothing more is copied back either; what a pass still meets adds nothing to this.
        let _ = self.checkpoints.tail();
        // What the WAL holds is evidence; closing must not copy it back and remove it.
        let kept = connection::keep_wal(&self.connection, true);
        if let Err(error) = kept {
            tracing::error!(%error, "could not keep the write-ahead log for verification");
        }
        AppendError::Unknown { source }
    }

    fn write_blob_files<'a>(
        &mut self,
        append: &'a Append,
        files: &mut Vec<&'a Digest>,
    ) -> Result<(), AppendError> {
        for blob in append.blobs.iter().filter(|blob| blob.bytes.len() > MAX_INLINE_BLOB_BYTES) {
            match self.blobs.write(blob) {
                Ok(true) => files.push(&blob.digest),
                Ok(false) => {}
                Err(fault) if fault.sync_failed => return Err(self.poison(fault)),
                Err(source) => return Err(AppendError::NotWritten { source }),
            }
        }
        Ok(())
    }

    /// Removes files that no row names after all. Those that stay are swept at the next start.
    fn remove_files(&self, files: &[&Digest]) {
        for digest in files {
            match names_file(&self.connection, digest) {
                Ok(true) => {}
                Ok(false) => {
                    if let Err(error) = self.blobs.remove(digest) {
                        tracing::warn!(%error, "a blob of an append that was not written stays until the next start");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a blob of an append that was not written stays until the next start");
                }
            }
        }
    }

    /// Where the log could not grow it is copied back, so that it is written over from its start.
    fn make_room(&mut self) {
        let copied = self
            .checkpoints
            .settle()
            .and_then(|()| connection::checkpoint(&self.connection).map(drop).map_err(not_copied));
        self.consider(copied);
    }

    /// What may wait until an append is durable: files of erased blobs, erased bytes in the WAL,
    /// and a WAL that has grown.
    fn tidy(&mut self) {
        for digest in std::mem::take(&mut self.erased) {
            if let Err(error) = self.remove_erased(&digest) {
                tracing::warn!(%error, "the file of an erased blob could not be removed yet");
                self.erased.push(digest);
            }
        }
        let copied = if self.truncate && self.go_by == 0 {
            let truncated = self
                .checkpoints
                .settle()
                .and_then(|()| connection::truncate_wal(&self.connection).map_err(not_copied));
            truncated.map(|done| self.take_truncated(done))
        } else {
            self.go_by = self.go_by.saturating_sub(1);
            self.checkpoints.keep_short(&self.connection, &self.held, self.vfs.as_deref())
        };
        self.consider(copied);
    }

    /// Removes the file of an erased blob, unless one of the same bytes has come since.
    fn remove_erased(&self, digest: &Digest) -> Result<(), ReadError> {
        match names_file(&self.connection, digest)? {
            true => Ok(()),
            false => Ok(self.blobs.remove(digest)?),
        }
    }

    /// Tries at once to remove what erasures have left. Returns whether nothing is left.
    pub(super) fn finish_erasures(&mut self) -> Result<bool, WriteError> {
        self.admit()?;
        if self.truncate || !self.erased.is_empty() {
            self.go_by = 0;
            self.tidy();
            self.admit()?;
        }
        Ok(!self.truncate && self.erased.is_empty())
    }

    /// A reader that stays, such as a backup, would hold up every append; it holds up ever fewer.
    fn take_truncated(&mut self, done: bool) {
        self.truncate = !done;
        self.in_the_way = if done { 0 } else { self.in_the_way + 1 };
        self.go_by = if done { 0 } else { (1 << self.in_the_way.min(RARELY)) / 4 };
    }

    /// Tells a checkpoint that failed, and takes in nothing more unless that may pass.
    fn consider(&mut self, copied: Result<(), Fault>) {
        if let Err(fault) = copied {
            tracing::error!(error = %fault, cause = %fault.source, "a checkpoint failed");
            if !fault.passing {
                self.poison(fault);
            }
        }
    }
}

impl Drop for Writer {
    /// The checkpoint thread ends first: the last connection to be closed is this one, which keeps
    /// the WAL if anything has failed.
    fn drop(&mut self) {
        let ended = self.checkpoints.tail();
        self.consider(ended);
        // SQLite copies the log back and removes it by its path, which may be that of another ledger
        // by now; and where the directory was moved, the log belongs to what was moved.
        if self.held.stands().is_err()
            && let Err(error) = connection::keep_wal(&self.connection, true)
        {
            tracing::error!(%error, "could not leave the write-ahead log as it is");
        }
    }
}

/// Whether there is a log with anything in it, as far as that can be told.
fn has_log(held: &HeldDirectory) -> bool {
    match held.folder().stat(format!("{DATABASE}-wal")) {
        Ok(log) => log.st_size > 0,
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// Whether the database says that its log holds nothing that was erased. Builds that did not say so left
/// it at 0.
fn is_declared_clean(connection: &Connection) -> rusqlite::Result<bool> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn declare_clean(connection: &Connection, clean: bool) -> Result<(), TransactionError> {
    let declared = connection.pragma_update(None, "user_version", clean);
    Ok(declared.map_err(|error| Fault::sql("note whether the log holds what was erased", error))?)
}

/// Makes the tables where there are none; says whether it did.
fn create_if_absent(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(SCHEMA)?;
        connection.execute(
            "INSERT INTO ledger (one, format, id, epoch) VALUES (1, ?1, randomblob(32), 0)",
            [FORMAT],
        )?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    Ok(tables == 0)
}

#[cfg(test)]
mod tests {
    use antiphon_core::envelope::Blob;

    use super::*;
    use crate::ledger::conformance::{Chain, owner};
    use crate::ledger::{SqliteOptions, SqliteStore, Store as _};

    /// Opens a ledger for an append with a payload of some size, and a blob that becomes a file.
    fn opened_for(store: &SqliteStore, size: usize) -> Append {
        let mut chain = Chain::after(&store.open(&owner("test")).unwrap(), []);
        let payload = format!("{{\"host\":\"{}\"}}", "h".repeat(size));
        let blob = Blob::new(vec![1; 100_000]);
        chain.turn().event("ledger", "ledger.opened", &payload).blob(blob).build()
    }

    fn with_connection(
        store: &SqliteStore,
        act: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
    ) {
        store
            .with_writer(|writer| {
                act(&mut writer.connection).unwrap();
                Ok::<_, Refusal>(())
            })
            .unwrap();
    }

    #[test]
    fn a_full_disk_leaves_nothing_behind_and_the_same_append_may_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::at(dir.path(), SqliteOptions::default());
        let append = opened_for(&store, 60_000);
        with_connection(&store, |connection| connection.execute_batch("PRAGMA max_page_count = 1"));
        for _ in 0..2 {
            let failed = store.append(&append, &[]);
            assert!(
                matches!(&failed, Err(AppendError::NotWritten { source }) if source.disk_full),
                "{failed:?}"
            );
            assert_eq!(store.read_all(Seq(0), 9).unwrap(), []);
            assert_eq!(store.blob(&append.blobs[0].digest).unwrap(), None);
        }
        with_connection(&store, |connection| {
            connection.execute_batch("PRAGMA max_page_count = 1000000")
        });
        assert_eq!(store.append(&append, &[]).unwrap(), Seq(1));
        assert!(!dir.path().join("poisoned").exists());
    }

    #[test]
    fn an_error_at_commit_poisons_the_ledger_until_it_is_verified() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::at(dir.path(), SqliteOptions::default());
        let append = opened_for(&store, 10);
        with_connection(&store, |connection| connection.commit_hook(Some(|| true)));
        let failed = store.append(&append, &[]);
        assert!(matches!(failed, Err(AppendError::Unknown { .. })), "{failed:?}");
        with_connection(&store, |connection| connection.commit_hook(None::<fn() -> bool>));
        let refused = store.append(&append, &[]);
        assert!(matches!(refused, Err(AppendError::Refused(Refusal::Poisoned))), "{refused:?}");
        let _ = store.close();

        for needs_verification in [true, true, false] {
            let opened = store.open(&owner("test")).unwrap();
            assert_eq!(opened.needs_verification, needs_verification);
            if opened.epoch == Epoch(3) {
                store.declare_verified().unwrap();
            }
            store.close().unwrap();
        }
    }
}
