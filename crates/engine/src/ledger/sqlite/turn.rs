//! One turn as rows: what an append inserts, moves and erases inside its transaction.

use antiphon_core::append::Append;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{MAX_INLINE_BLOB_BYTES, Payload, Recorded};
use antiphon_core::id::Seq;
use rusqlite::{Connection, Statement, ToSql, params};

use super::rows::{integer, read_error};
use super::tail::Tail;
use crate::ledger::admission::{self, Admitted, Known};
use crate::ledger::error::{ReadError, Refusal};
use crate::ledger::fault::Fault;
use crate::ledger::store::{Cursor, Snapshot};

const INSERT_EVENT: &str = "INSERT INTO events (seq, stream, version, type, schema, at, wall, actor, cause, payload, prev, hash)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const INSERT_STREAM: &str = "INSERT INTO streams (name, version, hash, status, started, at, wall, summary, digest, stream, ended)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
// The name is bound like the rest and stays as it is: naming it here would write its index again. A
// stream continues far more often than it ends, and leaving `ended` alone leaves the index of
// running streams alone.
const MOVE_STREAM: &str =
    "UPDATE streams SET version = ?2, hash = ?3, status = ?4, started = ?5, at = ?6, wall = ?7,
    summary = ?8, digest = ?9 WHERE stream = ?10";
const END_STREAM: &str =
    "UPDATE streams SET version = ?2, hash = ?3, status = ?4, started = ?5, at = ?6, wall = ?7,
    summary = ?8, digest = ?9, ended = ?11 WHERE stream = ?10";
const INSERT_COMMIT: &str = "INSERT INTO commits (number, epoch, first, events, prev, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INSERT_BLOB: &str =
    "INSERT INTO blobs (digest, size, bytes) VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO NOTHING";

pub(super) fn write_turn(
    connection: &Connection,
    tail: &Tail,
    append: &Append,
    admitted: &Admitted<'_>,
) -> Result<(), Fault> {
    let first = tail.seq().next();
    let write = || {
        let mut keys = Vec::with_capacity(admitted.streams.len());
        let mut last_key = tail.last_key();
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

        let keyed = append.events.iter().zip(admitted.of_event.iter().map(|&of| keys[of as usize]));
        insert_events(connection, first, keyed)?;

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
    write().map(drop).map_err(|error| Fault::sql("write the events of an append", error))
}

/// Inserts events, each with the key of its stream, from an address on.
pub(super) fn insert_events<'a>(
    connection: &Connection,
    first: Seq,
    events: impl Iterator<Item = (&'a Recorded, i64)>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(INSERT_EVENT)?;
    for ((event, key), seq) in events.zip(first.0..) {
        let payload = match &event.payload {
            Payload::Bytes(bytes) => bytes.as_slice(),
            Payload::Erased(_) => unreachable!("BUG: bounds were checked"),
        };
        bind(
            &mut statement,
            &[
                &integer(seq),
                &key,
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
    Ok(())
}

fn bind(statement: &mut Statement<'_>, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    for (index, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value)?;
    }
    Ok(())
}

pub(super) fn write_cursors(
    connection: &Connection,
    cursors: &[Cursor],
) -> Result<(), TransactionError> {
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

/// Keeps a snapshot, unless its stream has ended.
pub(super) fn write_snapshot(
    connection: &Connection,
    snapshot: &Snapshot,
) -> Result<(), TransactionError> {
    let digest = snapshot.digest();
    let parameters = params![
        snapshot.stream.to_string(),
        integer(snapshot.version.0),
        snapshot.format,
        snapshot.bytes,
        digest.as_bytes()
    ];
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO snapshots (stream, version, format, bytes, digest)
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM streams WHERE name = ?1 AND ended = 0)",
        )
        .and_then(|mut statement| statement.execute(parameters))
        .map_err(|error| Fault::sql("save a snapshot", error))?;
    Ok(())
}

/// Erases what the append names; returns the blobs whose files are to go once this is durable.
pub(super) fn erase(
    connection: &Connection,
    tail: &mut Tail,
    append: &Append,
    admitted: &Admitted<'_>,
) -> Result<Vec<Digest>, TransactionError> {
    let fault = |error| Fault::sql("erase", error);
    for (stream, versions) in admission::payload_erasures(append) {
        let after = admitted.streams.iter().find(|touched| touched.head.stream == *stream);
        let known = match (after, tail.find(connection, stream)?) {
            (Some(after), Some(known)) => Some(known.after(after)),
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
                .and_then(|mut statement| statement.execute(params![key, integer(version.0), Digest::of(&payload).as_bytes()]))
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

/// Whether a row says that a blob is in a file.
pub(super) fn names_file(connection: &Connection, digest: &Digest) -> Result<bool, ReadError> {
    connection
        .prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1 AND bytes IS NULL")
        .and_then(|mut statement| statement.exists([digest.as_bytes()]))
        .map_err(|error| read_error(format!("blob {digest}"), error))
}

/// Why a transaction does not go on.
pub(super) enum TransactionError {
    Refused(Refusal),
    Fault(Fault),
}

impl From<Refusal> for TransactionError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for TransactionError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ReadError> for TransactionError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Fault(fault) => Self::Fault(fault),
            other => Self::Fault(Fault {
                doing: "read the end of the ledger".to_owned(),
                source: other.into(),
                disk_full: false,
                passing: false,
                sync_failed: false,
            }),
        }
    }
}
