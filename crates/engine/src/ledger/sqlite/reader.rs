//! Reading, on connections of its own: a reader sees the last commit and never blocks the writer.

use std::collections::HashMap;
use std::sync::Mutex;

use antiphon_core::append::HeadRow;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Recorded;
use antiphon_core::id::{CommitNumber, Seq, StreamName, Version};
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension as _, Params, params};

use super::commits::{CommitsBySeq, commits};
use super::connection;
use super::rows::{
    self, Columns, EVENT_COLUMNS, HEAD_COLUMNS, bounded, damaged, integer, prepare, query,
    read_error,
};
use super::still::Still;
use crate::folder::Folder;
use crate::ledger::blob_files::BlobFiles;
use crate::ledger::directory::StateDirectory;
use crate::ledger::error::ReadError;
use crate::ledger::fault::Fault;
use crate::ledger::head_mark::HeadMark;
use crate::ledger::held_directory::HeldDirectory;
use crate::ledger::store::{Cursor, HeadFilter, HeadQuery, Placed, PlacedCommit, Snapshot};
use crate::locked::locked;

/// Connections that wait for the next read. More are opened when more read at once, and closed
/// afterwards.
const IDLE: usize = 4;

/// Stream names that a reader remembers before it forgets them all.
const NAMES: usize = 10_000;

/// The readers of one state directory.
#[derive(Debug)]
pub(super) struct ReadConnections {
    dir: StateDirectory,
    vfs: Option<String>,
    idle: Mutex<Vec<ReadConnection>>,
    /// The directory while its ledger is owned here: nothing is read from another one then.
    held: Mutex<Option<HeldDirectory>>,
}

impl ReadConnections {
    pub(super) fn new(dir: StateDirectory, vfs: Option<String>) -> Self {
        Self { dir, vfs, idle: Mutex::default(), held: Mutex::default() }
    }

    pub(super) fn read<T>(
        &self,
        act: impl FnOnce(&mut ReadConnection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let idle = locked(&self.idle).pop().filter(ReadConnection::is_current);
        let mut reader = match idle {
            Some(reader) => reader,
            None => {
                let held = locked(&self.held).clone();
                let opened = ReadConnection::open(&self.dir, held.as_ref(), self.vfs.as_deref());
                self.on_its_ground()?;
                opened?
            }
        };
        // A reader that met an error is not used again: its connection may be what is wrong.
        let found = act(&mut reader);
        // What files say that no path names any more is on no record.
        self.on_its_ground()?;
        if let Some(still) = reader.still.as_ref().filter(|still| !still.holds()) {
            return Err(still.moved().into());
        }
        let found = found?;
        let mut idle = locked(&self.idle);
        if idle.len() < IDLE {
            idle.push(reader);
        }
        Ok(found)
    }

    /// Says which directory is held from now on, if one is.
    pub(super) fn hold(&self, held: Option<HeldDirectory>) {
        *locked(&self.held) = held;
    }

    fn on_its_ground(&self) -> Result<(), ReadError> {
        let held = locked(&self.held).clone();
        Ok(held.map_or(Ok(()), |held| held.stands())?)
    }

    pub(super) fn clear(&self) {
        locked(&self.idle).clear();
    }
}

/// Whether its owner died before it had switched the new file to a write-ahead log: only then is
/// there a rollback journal, which a reader may not roll back, and there can be no head mark yet.
fn was_never_finished(dir: &StateDirectory, error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK) && !HeadMark::path(dir.path()).exists()
}

/// Whether the tables are there.
fn is_created(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'", [], |row| {
        row.get::<_, bool>(0)
    })
}

/// One connection for reading.
#[derive(Debug)]
pub(super) struct ReadConnection {
    pub(super) connection: Connection,
    pub(super) blobs: BlobFiles,
    /// Where nothing can be written beside the database.
    still: Option<Still>,
    names: HashMap<i64, StreamName>,
}

impl ReadConnection {
    fn open(
        dir: &StateDirectory,
        held: Option<&HeldDirectory>,
        vfs: Option<&str>,
    ) -> Result<Self, ReadError> {
        let place = held.map(|held| StateDirectory::new(held.whereabouts()));
        let dir = place.as_ref().unwrap_or(dir);
        let absent = || ReadError::Absent { dir: dir.path().to_owned() };
        // Asked before, too: another process may make it between the look and the answer.
        let was_there = dir.database().exists();
        let opened = connection::reading(&dir.database(), vfs).and_then(|connection| {
            let created = is_created(&connection)?;
            Ok((connection, created, None))
        });
        let opened = opened.or_else(|error| match Still::open(dir, &error) {
            // The first error says what is in the way.
            Some(Ok((still, connection))) => match is_created(&connection) {
                Ok(created) => Ok((connection, created, Some(still))),
                Err(_) => Err(error),
            },
            Some(Err(_)) | None => Err(error),
        });
        let (connection, created, still) = match opened {
            Ok(opened) => opened,
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
                    && !(was_there && dir.database().exists()) =>
            {
                return Err(absent());
            }
            Err(error) if was_never_finished(dir, &error) => return Err(absent()),
            Err(error) => return Err(read_error("the ledger", error)),
        };
        if !created {
            return Err(absent());
        }
        let folder = match held {
            Some(held) => held.folder().clone(),
            None => Folder::open(dir.path())
                .map_err(|error| Fault::io(format!("open {}", dir.path().display()), error))?,
        };
        Ok(Self { connection, blobs: BlobFiles::of(folder), still, names: HashMap::new() })
    }

    /// Bytes of the pages that are in use, and of the files of blobs.
    pub(super) fn size(&self) -> Result<u64, ReadError> {
        let pragma = |name: &str| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map(|value| u64::try_from(value).unwrap_or(0))
                .map_err(|error| read_error("the size of the ledger", error))
        };
        let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(pages * pragma("page_size")? + self.blobs.bytes()?)
    }

    pub(super) fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, ReadError> {
        let row = self.rows(
            "SELECT size FROM blobs WHERE digest = ?1",
            [digest.as_bytes()],
            |_| format!("blob {digest}"),
            |columns| columns.number(0),
        )?;
        Ok(row.into_iter().next())
    }

    /// Whether it sees what is in the files now.
    fn is_current(&self) -> bool {
        self.still.as_ref().is_none_or(Still::holds)
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, ReadError> {
        prepare(&self.connection, sql)
    }

    /// Runs a query and takes every row apart; see [`query`].
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        what: impl Fn(&Columns<'_, '_>) -> String,
        take: impl FnMut(&Columns<'_, '_>) -> Result<T, String>,
    ) -> Result<Vec<T>, ReadError> {
        query(&self.connection, sql, parameters, what, take)
    }

    pub(super) fn stream(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let Some(key) = self.key(stream)? else {
            return Ok(Vec::new());
        };
        let mut actor = None;
        self.rows(
            &format!("SELECT {EVENT_COLUMNS} FROM events WHERE stream = ?1 AND version > ?2 ORDER BY version LIMIT ?3"),
            params![key, integer(after.0), bounded(limit)],
            |columns| format!("event {} of `{stream}`", columns.number(1).unwrap_or_default()),
            |columns| rows::event(columns, stream.clone(), &mut actor).map(|(_, event)| event),
        )
    }

    fn key(&self, stream: &StreamName) -> Result<Option<i64>, ReadError> {
        self.prepare("SELECT stream FROM streams WHERE name = ?1")?
            .query_row([stream.to_string()], |row| row.get(0))
            .optional()
            .map_err(|error| read_error(format!("the head row of `{stream}`"), error))
    }

    pub(super) fn all(&mut self, after: Seq, limit: usize) -> Result<Vec<Placed>, ReadError> {
        let mut names = std::mem::take(&mut self.names);
        if names.len() > NAMES {
            names.clear();
        }
        let found = self.consistent(|reader| reader.placed(after, limit, &mut names));
        self.names = names;
        found
    }

    fn placed(
        &self,
        after: Seq,
        limit: usize,
        names: &mut HashMap<i64, StreamName>,
    ) -> Result<Vec<Placed>, ReadError> {
        let mut statement = self.prepare(&format!(
            "SELECT {EVENT_COLUMNS}, stream FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2"
        ))?;
        let mut rows = statement
            .query(params![integer(after.0), bounded(limit)])
            .map_err(|error| read_error("the events", error))?;
        let mut commits = CommitsBySeq::new(&self.connection);
        let (mut found, mut actor) = (Vec::new(), None);
        while let Some(row) = rows.next().map_err(|error| read_error("the events", error))? {
            let columns = Columns::of(row);
            let what = || format!("the event with seq {}", columns.number(0).unwrap_or_default());
            let key = columns.number(12).map_err(|how| damaged(what(), how))?;
            let stream = match names.get(&integer(key)) {
                Some(stream) => stream.clone(),
                None => {
                    let stream = self
                        .name(integer(key))?
                        .ok_or_else(|| damaged(what(), "its stream has no head row"))?;
                    names.insert(integer(key), stream.clone());
                    stream
                }
            };
            let (seq, event) =
                rows::event(&columns, stream, &mut actor).map_err(|how| damaged(what(), how))?;
            let commit = commits.of(seq)?.ok_or_else(|| damaged(what(), "no commit holds it"))?;
            found.push(Placed { seq, commit, event });
        }
        Ok(found)
    }

    fn name(&self, key: i64) -> Result<Option<StreamName>, ReadError> {
        let names = self.rows(
            "SELECT name FROM streams WHERE stream = ?1",
            [key],
            |_| format!("the head row of stream {key}"),
            |columns| columns.parsed(0),
        )?;
        Ok(names.into_iter().next())
    }

    /// Several queries over the same state of the ledger.
    pub(super) fn consistent<T>(
        &self,
        act: impl FnOnce(&Self) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let tail = |sql| {
            self.connection.execute_batch(sql).map_err(|error| read_error("the ledger", error))
        };
        tail("BEGIN")?;
        let found = act(self);
        tail("COMMIT")?;
        found
    }

    pub(super) fn commits(
        &self,
        after: CommitNumber,
        limit: usize,
    ) -> Result<Vec<PlacedCommit>, ReadError> {
        commits(&self.connection, after, limit)
    }

    pub(super) fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ReadError> {
        let what = |columns: &Columns<'_, '_>| {
            format!("the head row of `{}`", columns.text(0).unwrap_or("?"))
        };
        let filter = match query {
            HeadQuery::Stream(stream) => {
                let sql = format!("SELECT {HEAD_COLUMNS} FROM streams WHERE name = ?1");
                return self.rows(&sql, [stream.to_string()], what, rows::head);
            }
            HeadQuery::List(filter) => filter,
        };
        let HeadFilter { prefix, status, ended, older_than, limit } = filter;
        let before = match older_than {
            None => i64::MAX,
            Some(stream) => self.key(stream)?.unwrap_or(0),
        };
        // Written out so that the index of running streams is used.
        let ended = match ended {
            None => "",
            Some(false) => "AND ended = 0",
            Some(true) => "AND ended = 1",
        };
        // Names that begin with more than their kind are few, so their index is used; a list of all
        // goes by age.
        let end = Some(prefix).filter(|prefix| !is_kind(prefix)).and_then(|prefix| behind(prefix));
        let among = match end {
            Some(_) => "+stream < ?1 AND name >= ?2 AND name < ?5",
            None => "stream < ?1 AND ?5 IS NULL",
        };
        let sql = format!(
            "SELECT {HEAD_COLUMNS} FROM streams WHERE {among} {ended} AND substr(name, 1, length(?2)) = ?2
             AND (?3 IS NULL OR status = ?3) ORDER BY stream DESC LIMIT ?4"
        );
        self.rows(&sql, params![before, prefix, status, bounded(*limit), end], what, rows::head)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        let row = self.rows(
            "SELECT size, bytes FROM blobs WHERE digest = ?1",
            [digest.as_bytes()],
            |_| format!("blob {digest}"),
            |columns| Ok((columns.number(0)?, columns.bytes(1)?.map(<[u8]>::to_vec))),
        )?;
        let bytes = match row.into_iter().next() {
            None => return Ok(None),
            Some((_, Some(bytes))) => bytes,
            Some((_, None)) => self
                .blobs
                .read(digest)?
                .ok_or_else(|| damaged(format!("blob {digest}"), "its file is missing"))?,
        };
        if Digest::of(&bytes) == *digest {
            Ok(Some(bytes))
        } else {
            Err(damaged(format!("blob {digest}"), "its bytes have another digest"))
        }
    }

    pub(super) fn snapshot(
        &self,
        stream: &StreamName,
        format: &str,
    ) -> Result<Option<Snapshot>, ReadError> {
        let found = self.rows(
            "SELECT version, format, bytes, digest FROM snapshots WHERE stream = ?1 AND format = ?2",
            params![stream.to_string(), format],
            |_| format!("the snapshot of `{stream}`"),
            // A cache: a damaged one is as good as none.
            |columns| Ok(snapshot(columns, stream).ok()),
        )?;
        Ok(found.into_iter().next().flatten())
    }

    pub(super) fn cursor(&self, name: &str) -> Result<Option<Cursor>, ReadError> {
        let found = self.rows(
            "SELECT name, stream, version, digest FROM cursors WHERE name = ?1",
            [name],
            |_| format!("the cursor {name:?}"),
            cursor,
        )?;
        Ok(found.into_iter().next())
    }

    pub(super) fn unmoved_cursors(&self, prefix: &str) -> Result<Vec<Cursor>, ReadError> {
        self.rows(
            "SELECT name, stream, version, digest FROM cursors
             WHERE name >= ?1 AND substr(name, 1, length(?1)) = ?1 AND version = 0 ORDER BY name",
            [prefix],
            |columns| format!("the cursor {:?}", columns.text(0).unwrap_or("?")),
            cursor,
        )
    }
}

pub(super) fn snapshot(columns: &Columns<'_, '_>, stream: &StreamName) -> Result<Snapshot, String> {
    let snapshot = Snapshot {
        stream: stream.clone(),
        version: Version(columns.number(0)?),
        format: columns.text(1)?.to_owned(),
        bytes: columns.bytes(2)?.unwrap_or_default().to_vec(),
    };
    if snapshot.digest() == columns.digest(3)? {
        Ok(snapshot)
    } else {
        Err("it does not match its digest".to_owned())
    }
}

pub(super) fn cursor(columns: &Columns<'_, '_>) -> Result<Cursor, String> {
    let cursor = Cursor {
        name: columns.text(0)?.to_owned(),
        stream: columns.parsed(1)?,
        version: Version(columns.number(2)?),
    };
    if cursor.digest() == columns.digest(3)? {
        Ok(cursor)
    } else {
        Err("it does not match its digest".to_owned())
    }
}

/// Whether a beginning of names says no more than of which kind the streams are.
fn is_kind(prefix: &str) -> bool {
    prefix.split_once('/').is_none_or(|(_, name)| name.is_empty())
}

/// The least text that is greater than every text which begins so, if there is one.
fn behind(prefix: &str) -> Option<String> {
    let last = prefix.chars().next_back()?;
    // No character lies between the two.
    let next = match last {
        '\u{d7ff}' => '\u{e000}',
        last => char::from_u32(u32::from(last) + 1)?,
    };
    Some(format!("{}{next}", &prefix[..prefix.len() - last.len_utf8()]))
}
