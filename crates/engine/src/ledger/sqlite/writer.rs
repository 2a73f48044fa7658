//! The one connection that writes: every change is one transaction that first checks that the ledger is still ours.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use antiphon_core::append::Append;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, MAX_INLINE_BLOB_BYTES, Payload, StreamTip};
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName, Version};
use antiphon_core::time::At;
use rusqlite::{Connection, OptionalExtension as _, Statement, ToSql, TransactionBehavior, params};

use super::connection::{self, CHECKPOINT_PAGES};
use super::rows::{Columns, damaged, integer, read_error};
use crate::ledger::admission::{self, Admitted, Known};
use crate::ledger::blob_files::BlobFiles;
use crate::ledger::directory::StateDirectory;
use crate::ledger::error::{AppendError, Fault, OpenError, ReadError, Refusal, WriteError};
use crate::ledger::head_mark::HeadMark;
use crate::ledger::store::{Cursor, FORMAT, LedgerId, MarkFinding, Opened, Snapshot};

/// Streams whose end is remembered between appends.
const REMEMBERED: usize = 65_536;

const INSERT_EVENT: &str = "INSERT INTO events (seq, stream, version, type, schema, at, wall, actor, cause, payload, prev, hash)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const INSERT_STREAM: &str = "INSERT INTO streams (name, version, hash, status, started, at, wall, summary, digest, stream, ended)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
// A stream goes on far more often than it ends, and leaving `ended` alone leaves the index of running streams alone.
const MOVE_STREAM: &str = "UPDATE streams SET name = ?1, version = ?2, hash = ?3, status = ?4, started = ?5, at = ?6, wall = ?7,
    summary = ?8, digest = ?9 WHERE stream = ?10";
const END_STREAM: &str = "UPDATE streams SET name = ?1, version = ?2, hash = ?3, status = ?4, started = ?5, at = ?6, wall = ?7,
    summary = ?8, digest = ?9, ended = ?11 WHERE stream = ?10";
const INSERT_COMMIT: &str = "INSERT INTO commits (number, epoch, first, events, prev, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INSERT_BLOB: &str =
    "INSERT INTO blobs (digest, size, bytes) VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO NOTHING";

/// Writes to one ledger as its owner.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    dir: StateDirectory,
    blobs: BlobFiles,
    epoch: Epoch,
    end: End,
    poisoned: bool,
    wal_pages: Arc<AtomicU32>,
    /// How many pages of WAL start the next checkpoint.
    checkpoint_at: u32,
    /// Whether erased bytes may still be in the WAL or in files.
    erased: Vec<Digest>,
    truncate: bool,
}

/// The end of the ledger as the last transaction left it; good for as long as nobody else writes.
#[derive(Debug, Default)]
struct End {
    /// SQLite's count of the changes that others made.
    data_version: i64,
    epoch: Epoch,
    commits: CommitTip,
    seq: Seq,
    last_key: i64,
    streams: HashMap<StreamName, Known>,
}

/// What the database holds when it is opened, before the epoch is raised.
pub(super) struct Found<'a> {
    connection: &'a Connection,
    pub(super) epoch: Epoch,
    pub(super) commits: CommitTip,
}

impl Found<'_> {
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
        dir: &StateDirectory,
        vfs: Option<&str>,
        needs_verification: bool,
        check: impl FnOnce(&Found<'_>) -> Result<(MarkFinding, Option<HeadMark>), OpenError>,
    ) -> Result<(Self, Opened), OpenError> {
        dir.write_new("ledger.db", b"")?;
        let mut connection = connection::writing(&dir.database(), vfs)
            .map_err(|error| read_error("the ledger", error))?;
        let sql = |error| read_error("the ledger", error);

        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sql)?;
        create_if_absent(&transaction)
            .map_err(|error| Fault::sql("create the tables of the ledger", error))?;
        let (format, id, epoch) = identity(&transaction)?;
        if format != FORMAT {
            return Err(OpenError::Format {
                found: format,
                known: FORMAT,
            });
        }
        let mut end = End::default();
        end.reload(&transaction)?;
        let (finding, mark) = check(&Found {
            connection: &transaction,
            epoch,
            commits: end.commits,
        })?;
        // Above the mark too: an epoch that was lost with the end of the ledger is not given out again.
        let epoch = mark.map_or(epoch, |mark| mark.epoch.max(epoch)).next();
        transaction
            .execute("UPDATE ledger SET epoch = ?1", [integer(epoch.0)])
            .and_then(|_| transaction.commit())
            .map_err(|error| Fault::sql("take the ledger over", error))?;

        end.epoch = epoch;
        end.data_version = data_version(&connection).map_err(sql)?;
        let ledger_stream = end.find(&connection, &StreamName::Ledger)?;
        let at = last_at(&connection)?;
        let blobs = super::blob_files(dir);
        blobs.sweep(|digest| names_file(&connection, digest))?;

        let wal_pages = Arc::new(AtomicU32::new(0));
        let counter = wal_pages.clone();
        connection
            .wal_hook(Some(
                move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
                    counter.store(pages.cast_unsigned(), Ordering::Relaxed);
                    Ok(())
                },
            ))
            .map_err(sql)?;
        let opened = Opened {
            ledger: id,
            format,
            epoch,
            commits: end.commits,
            ledger_stream: ledger_stream.map(|known| known.tip).unwrap_or_default(),
            at,
            seq: end.seq,
            mark: finding,
            needs_verification,
        };
        let writer = Self {
            connection,
            dir: dir.clone(),
            blobs,
            epoch,
            end,
            poisoned: false,
            wal_pages,
            checkpoint_at: CHECKPOINT_PAGES,
            erased: Vec::new(),
            truncate: false,
        };
        Ok((writer, opened))
    }

    pub(super) fn append(
        &mut self,
        append: &Append,
        cursors: &[Cursor],
    ) -> Result<Seq, AppendError> {
        if self.poisoned {
            return Err(Refusal::Poisoned.into());
        }
        admission::check_bounds(append)?;
        admission::check_cursors(cursors)?;
        let mut files = Vec::new();
        let written = self.write_blob_files(append, &mut files).and_then(|()| {
            self.transact("append", |connection, end| {
                let admitted = admission::admit(append, end.epoch, end.commits, |stream| {
                    end.find(connection, stream).map_err(Stop::from)
                })?;
                write_turn(connection, end, append, &admitted)?;
                write_cursors(connection, cursors)?;
                let removed = erase(connection, end, append, &admitted)?;
                Ok((admitted, removed))
            })
        });
        let (admitted, removed) = match written {
            Ok(done) => done,
            Err(error) => {
                if !matches!(error, AppendError::Unknown { .. }) {
                    self.remove_files(&files);
                }
                return Err(error);
            }
        };
        let first = self.end.seq.next();
        self.end.advance(append, &admitted);
        if !append.erasures.is_empty() {
            self.erased.extend(removed);
            self.truncate = true;
        }
        self.tidy();
        Ok(first)
    }

    pub(super) fn move_cursors(&mut self, cursors: &[Cursor]) -> Result<(), AppendError> {
        if self.poisoned {
            return Err(Refusal::Poisoned.into());
        }
        admission::check_cursors(cursors)?;
        self.transact("move cursors", |connection, _| {
            write_cursors(connection, cursors)
        })?;
        self.tidy();
        Ok(())
    }

    pub(super) fn save_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), WriteError> {
        if self.poisoned {
            return Err(Refusal::Poisoned.into());
        }
        let saved = self.transact("save a snapshot", |connection, _| {
            let digest = snapshot.digest();
            let parameters = params![
                snapshot.stream.to_string(),
                integer(snapshot.version.0),
                snapshot.format,
                snapshot.bytes,
                digest.as_bytes()
            ];
            connection
                .prepare_cached("INSERT OR REPLACE INTO snapshots (stream, version, format, bytes, digest) VALUES (?1, ?2, ?3, ?4, ?5)")
                .and_then(|mut statement| statement.execute(parameters))
                .map_err(|error| Fault::sql("save a snapshot", error))?;
            Ok(())
        });
        self.tidy();
        saved.map_err(|error| match error {
            AppendError::Refused(refusal) => refusal.into(),
            AppendError::NotWritten { source } | AppendError::Unknown { source } => source.into(),
        })
    }

    /// Runs `write` in one transaction that nobody else's change can come between, and tells what became of it.
    fn transact<T>(
        &mut self,
        doing: &str,
        write: impl FnOnce(&Connection, &mut End) -> Result<T, Stop>,
    ) -> Result<T, AppendError> {
        let Self {
            connection,
            end,
            epoch,
            ..
        } = self;
        let run = |sql| {
            connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute([]))
        };
        let began = if connection.is_autocommit() {
            run("BEGIN IMMEDIATE")
        } else {
            Ok(0)
        };
        began.map_err(|error| Fault::sql(format!("begin to {doing}"), error))?;

        let outcome = end.refresh(connection).map_err(Stop::from).and_then(|()| {
            if end.epoch != *epoch {
                return Err(Refusal::Superseded {
                    ours: *epoch,
                    theirs: end.epoch,
                }
                .into());
            }
            write(connection, end)
        });
        let stop = match outcome {
            Ok(done) => match run("COMMIT") {
                Ok(_) => return Ok(done),
                Err(error) => {
                    let fault = Fault::sql(format!("commit what was to {doing}"), error);
                    // A full disk is found while the WAL is written, before its commit record is whole. Of every other error at this
                    // point nobody knows what it left.
                    if fault.disk_full {
                        Stop::Fault(fault)
                    } else {
                        return Err(self.poison(fault));
                    }
                }
            },
            Err(stop) => stop,
        };
        if !self.connection.is_autocommit() {
            if let Err(error) = self.connection.execute_batch("ROLLBACK") {
                return Err(
                    self.poison(Fault::sql(format!("roll back what was to {doing}"), error))
                );
            }
        }
        self.end.forget();
        Err(match stop {
            Stop::Refused(refusal) => refusal.into(),
            Stop::Fault(fault) if fault.sync_failed => self.poison(fault),
            Stop::Fault(source) => AppendError::NotWritten { source },
        })
    }

    /// Takes in nothing more: after an error of a sync nobody knows what the disk holds.
    fn poison(&mut self, source: Fault) -> AppendError {
        self.poisoned = true;
        self.dir.poison(&source);
        // What the WAL holds is evidence; closing must not copy it back and remove it.
        let kept = self.connection.set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            true,
        );
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
        for blob in append
            .blobs
            .iter()
            .filter(|blob| blob.bytes.len() > MAX_INLINE_BLOB_BYTES)
        {
            match self.blobs.write(blob) {
                Ok(true) => files.push(&blob.digest),
                Ok(false) => {}
                Err(fault) if fault.sync_failed => return Err(self.poison(fault)),
                Err(source) => return Err(AppendError::NotWritten { source }),
            }
        }
        Ok(())
    }

    /// Removes files that no row came to name. Those that stay are swept at the next start.
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
                    tracing::warn!(%error, "a blob of an append that was not written stays until the next start")
                }
            }
        }
    }

    /// What may wait until an append is durable: files of erased blobs, erased bytes in the WAL, and a WAL that has grown.
    fn tidy(&mut self) {
        while let Some(digest) = self.erased.pop() {
            if let Err(error) = self.blobs.remove(&digest) {
                tracing::warn!(%error, "the file of an erased blob stays until the next start");
            }
        }
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if !self.truncate && pages < self.checkpoint_at {
            return;
        }
        let sql = if self.truncate {
            "PRAGMA wal_checkpoint(TRUNCATE)"
        } else {
            "PRAGMA wal_checkpoint(PASSIVE)"
        };
        match self
            .connection
            .query_row(sql, [], |row| row.get::<_, bool>(0))
        {
            Ok(busy) => {
                // A reader that is still at it keeps erased bytes in the WAL; the next append tries again.
                self.truncate &= busy;
                self.checkpoint_at = CHECKPOINT_PAGES;
            }
            Err(error) => {
                let fault = Fault::sql("copy the write-ahead log back", error);
                tracing::error!(error = %fault, cause = %fault.source, "a checkpoint failed");
                self.checkpoint_at = pages.saturating_add(CHECKPOINT_PAGES);
                if !fault.disk_full {
                    self.poison(fault);
                }
            }
        }
    }
}

/// Why a transaction does not go on.
enum Stop {
    Refused(Refusal),
    Fault(Fault),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Fault(fault) => Self::Fault(fault),
            other => Self::Fault(Fault {
                doing: "read the end of the ledger".to_owned(),
                source: other.into(),
                disk_full: false,
                sync_failed: false,
            }),
        }
    }
}

impl End {
    /// Reads the end of the ledger again if anybody else has written.
    fn refresh(&mut self, connection: &Connection) -> Result<(), ReadError> {
        let version = data_version(connection).map_err(|error| read_error("the ledger", error))?;
        if version != self.data_version {
            self.reload(connection)?;
            self.data_version = version;
        }
        Ok(())
    }

    fn reload(&mut self, connection: &Connection) -> Result<(), ReadError> {
        let number = |sql: &str| {
            connection
                .query_row(sql, [], |row| row.get::<_, Option<i64>>(0))
                .map(Option::unwrap_or_default)
                .map_err(|error| read_error("the end of the ledger", error))
        };
        let (_, _, epoch) = identity(connection)?;
        *self = Self {
            data_version: self.data_version,
            epoch,
            commits: commit_tip(
                connection,
                "SELECT number, hash FROM commits ORDER BY number DESC LIMIT 1",
                [],
            )?
            .unwrap_or_default(),
            seq: Seq(number("SELECT max(seq) FROM events")?.cast_unsigned()),
            last_key: number("SELECT max(stream) FROM streams")?,
            streams: HashMap::new(),
        };
        Ok(())
    }

    /// After a transaction that came to nothing: the next one reads everything again.
    fn forget(&mut self) {
        self.data_version = -1;
    }

    fn find(
        &mut self,
        connection: &Connection,
        stream: &StreamName,
    ) -> Result<Option<Known>, ReadError> {
        if let Some(known) = self.streams.get(stream) {
            return Ok(Some(*known));
        }
        let read = |error| read_error(format!("the head row of `{stream}`"), error);
        let mut statement = connection
            .prepare_cached("SELECT stream, version, hash, ended FROM streams WHERE name = ?1")
            .map_err(read)?;
        let found = statement
            .query_row([stream.to_string()], |row| {
                let columns = Columns(row);
                let known = || {
                    let tip = StreamTip {
                        version: Version(columns.number(1)?),
                        hash: columns.digest(2)?,
                    };
                    Ok(Known {
                        key: integer(columns.number(0)?),
                        tip,
                        ended: columns.number(3)? == 1,
                    })
                };
                Ok(known())
            })
            .optional()
            .map_err(read)?;
        found
            .transpose()
            .map_err(|how: String| damaged(format!("the head row of `{stream}`"), how))
    }

    /// Takes in what an append has written.
    fn advance(&mut self, append: &Append, admitted: &Admitted<'_>) {
        self.commits = append.commit.tip();
        self.seq = Seq(self.seq.0 + append.events.len() as u64);
        if self.streams.len() + admitted.streams.len() > REMEMBERED {
            self.streams.clear();
        }
        for stream in &admitted.streams {
            let key = stream.known.map_or_else(
                || {
                    self.last_key += 1;
                    self.last_key
                },
                |known| known.key,
            );
            let known = Known {
                key,
                tip: stream.tip,
                ended: stream.head.ended,
            };
            if known.ended {
                self.streams.remove(&stream.head.stream);
            } else if let Some(remembered) = self.streams.get_mut(&stream.head.stream) {
                *remembered = known;
            } else {
                self.streams.insert(stream.head.stream.clone(), known);
            }
        }
    }
}

fn write_turn(
    connection: &Connection,
    end: &End,
    append: &Append,
    admitted: &Admitted<'_>,
) -> Result<(), Fault> {
    let first = end.seq.next();
    let write = || {
        let mut keys = Vec::with_capacity(admitted.streams.len());
        let mut last_key = end.last_key;
        for stream in &admitted.streams {
            let (key, sql) = match stream.known {
                None => {
                    last_key += 1;
                    (last_key, INSERT_STREAM)
                }
                Some(known) if stream.head.ended => (known.key, END_STREAM),
                Some(known) => (known.key, MOVE_STREAM),
            };
            keys.push(key);
            let head = stream.head;
            let name = head.stream.to_string();
            let digest = head.digest();
            let mut statement = connection.prepare_cached(sql)?;
            bind(
                &mut statement,
                &[
                    &name,
                    &integer(head.tip.version.0),
                    &head.tip.hash.as_bytes(),
                    &head.status,
                    &integer(head.started.0),
                    &integer(head.changed.0.0),
                    &integer(head.changed.1.0),
                    &head.summary,
                    &digest.as_bytes(),
                    &key,
                ],
            )?;
            if sql != MOVE_STREAM {
                statement.raw_bind_parameter(11, head.ended)?;
            }
            statement.raw_execute()?;
        }

        let mut statement = connection.prepare_cached(INSERT_EVENT)?;
        for ((event, &of), seq) in append.events.iter().zip(&admitted.of_event).zip(first.0..) {
            let payload = match &event.payload {
                Payload::Bytes(bytes) => bytes.as_slice(),
                Payload::Erased(_) => unreachable!("BUG: bounds were checked"),
            };
            bind(
                &mut statement,
                &[
                    &integer(seq),
                    &keys[of as usize],
                    &integer(event.version.0),
                    &&*event.kind,
                    &event.schema,
                    &integer(event.at.0),
                    &integer(event.wall.0),
                    &event.actor.as_str(),
                    &event.cause.as_ref().map(|cause| cause.as_str()),
                    &payload,
                    &event.prev.as_bytes(),
                    &event.hash.as_bytes(),
                ],
            )?;
            statement.raw_execute()?;
        }

        for blob in &append.blobs {
            let inline = (blob.bytes.len() <= MAX_INLINE_BLOB_BYTES).then_some(&blob.bytes);
            let mut statement = connection.prepare_cached(INSERT_BLOB)?;
            statement.execute(params![
                blob.digest.as_bytes(),
                integer(blob.bytes.len() as u64),
                inline
            ])?;
        }

        let commit = &append.commit;
        connection.prepare_cached(INSERT_COMMIT)?.execute(params![
            integer(commit.number.0),
            integer(commit.epoch.0),
            integer(first.0),
            commit.events,
            commit.prev.as_bytes(),
            commit.hash.as_bytes(),
        ])
    };
    write()
        .map(drop)
        .map_err(|error| Fault::sql("write the events of an append", error))
}

fn bind(statement: &mut Statement<'_>, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    for (index, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value)?;
    }
    Ok(())
}

fn write_cursors(connection: &Connection, cursors: &[Cursor]) -> Result<(), Stop> {
    for cursor in cursors {
        let digest = cursor.digest();
        let parameters = params![
            cursor.name,
            cursor.stream.to_string(),
            integer(cursor.version.0),
            digest.as_bytes()
        ];
        connection
            .prepare_cached(
                "INSERT INTO cursors (name, stream, version, digest) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET stream = excluded.stream, version = excluded.version, digest = excluded.digest",
            )
            .and_then(|mut statement| statement.execute(parameters))
            .map_err(|error| Fault::sql("move a cursor", error))?;
    }
    Ok(())
}

/// Erases what the append names; returns the blobs whose files are to go once this is durable.
fn erase(
    connection: &Connection,
    end: &mut End,
    append: &Append,
    admitted: &Admitted<'_>,
) -> Result<Vec<Digest>, Stop> {
    let fault = |error| Fault::sql("erase", error);
    for (stream, versions) in admission::payload_erasures(append) {
        let after = admitted
            .streams
            .iter()
            .find(|touched| touched.head.stream == *stream);
        let known = match (after, end.find(connection, stream)?) {
            (Some(after), Some(known)) => Some(Known {
                tip: after.tip,
                ended: after.head.ended,
                ..known
            }),
            (_, known) => known,
        };
        admission::admit_erasure(stream, versions, known)?;
        let Some(Known { key, .. }) = known else {
            continue;
        };
        for version in versions {
            let payload: Option<Vec<u8>> = connection
                .prepare_cached("SELECT payload FROM events WHERE stream = ?1 AND version = ?2")
                .and_then(|mut statement| {
                    statement.query_row(params![key, integer(version.0)], |row| row.get(0))
                })
                .map_err(fault)?;
            // Erased before: the digest stays.
            let Some(payload) = payload else { continue };
            connection
                .prepare_cached("UPDATE events SET payload = NULL, erased = ?3 WHERE stream = ?1 AND version = ?2")
                .and_then(|mut statement| {
                    statement.execute(params![key, integer(version.0), Digest::of(&payload).as_bytes()])
                })
                .map_err(fault)?;
        }
        connection
            .prepare_cached("DELETE FROM snapshots WHERE stream = ?1")
            .and_then(|mut statement| statement.execute([stream.to_string()]))
            .map_err(fault)?;
    }
    let mut files = Vec::new();
    for digest in admission::blob_erasures(append) {
        if names_file(connection, digest)? {
            files.push(*digest);
        }
        connection
            .prepare_cached("DELETE FROM blobs WHERE digest = ?1")
            .and_then(|mut statement| statement.execute([digest.as_bytes()]))
            .map_err(fault)?;
    }
    Ok(files)
}

fn create_if_absent(connection: &Connection) -> rusqlite::Result<()> {
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(include_str!("schema.sql"))?;
        connection.execute(
            "INSERT INTO ledger (one, format, id, epoch) VALUES (1, ?1, randomblob(32), 0)",
            [FORMAT],
        )?;
        // "ANTP", for tools that look at files.
        connection.execute_batch("PRAGMA application_id = 0x414e5450")?;
    }
    Ok(())
}

fn identity(connection: &Connection) -> Result<(u32, LedgerId, Epoch), ReadError> {
    let what = "the row of the table `ledger`";
    connection
        .prepare_cached("SELECT format, id, epoch FROM ledger")
        .and_then(|mut statement| {
            statement.query_row([], |row| {
                let columns = Columns(row);
                let take = || {
                    Ok((
                        columns.small(0)?,
                        LedgerId(columns.digest(1)?.0),
                        Epoch(columns.number(2)?),
                    ))
                };
                Ok(take())
            })
        })
        .map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => damaged(what, "it is gone"),
            other => read_error(what, other),
        })?
        .map_err(|how: String| damaged(what, how))
}

fn commit_tip(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<CommitTip>, ReadError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement
                .query_row(parameters, |row| {
                    let columns = Columns(row);
                    let take = || {
                        Ok(CommitTip {
                            number: CommitNumber(columns.number(0)?),
                            hash: columns.digest(1)?,
                        })
                    };
                    Ok(take())
                })
                .optional()
        })
        .map_err(|error| read_error("a commit", error))?
        .transpose()
        .map_err(|how: String| damaged("a commit", how))
}

fn last_at(connection: &Connection) -> Result<At, ReadError> {
    connection
        .query_row(
            "SELECT at FROM events ORDER BY seq DESC LIMIT 1",
            [],
            |row| row.get::<_, i64>(0),
        )
        .optional()
        .map(|at| At(at.unwrap_or(0).cast_unsigned()))
        .map_err(|error| read_error("the last event", error))
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

/// Whether a row says that a blob is in a file.
fn names_file(connection: &Connection, digest: &Digest) -> Result<bool, ReadError> {
    connection
        .prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1 AND bytes IS NULL")
        .and_then(|mut statement| statement.exists([digest.as_bytes()]))
        .map_err(|error| read_error(format!("blob {digest}"), error))
}
