//! Rows to values: nothing that is read is trusted to have the right shape.

use std::borrow::Cow;

use antiphon_core::append::HeadRow;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Commit, Payload, Recorded, StreamTip};
use antiphon_core::event::Event;
use antiphon_core::id::{Actor, CommandId, CommitNumber, Epoch, Seq, StreamName, Version};
use antiphon_core::time::{LedgerTime, WallTime};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Params, Row};

use crate::ledger::error::ReadError;
use crate::ledger::fault::Fault;
use crate::ledger::store::PlacedCommit;

/// The columns that [`event`] reads, in its order.
pub(super) const EVENT_COLUMNS: &str =
    "seq, version, type, schema, at, wall, actor, cause, payload, erased, prev, hash";

/// The columns that [`head`] reads, in its order.
pub(super) const HEAD_COLUMNS: &str =
    "name, version, hash, status, ended, started, at, wall, summary, digest";

/// A number as SQLite keeps it; [`admission`](crate::ledger::admission) has refused what does not
/// fit.
pub(super) fn integer(number: u64) -> i64 {
    number.cast_signed()
}

/// What an error of the database says about the ledger: that it is damaged, or that it could not be
/// read now.
pub(super) fn read_error(what: impl Into<String>, error: rusqlite::Error) -> ReadError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => damaged(what, error.to_string()),
        _ => Fault::sql(format!("read {}", what.into()), error).into(),
    }
}

pub(super) fn damaged(what: impl Into<String>, how: impl Into<String>) -> ReadError {
    ReadError::Damaged { what: what.into(), how: how.into() }
}

/// Prepares a statement, once for each connection.
pub(super) fn prepare<'a>(
    connection: &'a Connection,
    sql: &str,
) -> Result<CachedStatement<'a>, ReadError> {
    connection.prepare_cached(sql).map_err(|error| read_error("the ledger", error))
}

/// Runs a query and takes every row apart; `what` names a row, by its place in the answer, should
/// it be damaged.
pub(super) fn query<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    what: impl Fn(&Columns<'_, '_>) -> String,
    mut take: impl FnMut(&Columns<'_, '_>) -> Result<T, String>,
) -> Result<Vec<T>, ReadError> {
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query(parameters).map_err(|error| read_error("the ledger", error))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(|error| read_error("the ledger", error))? {
        let columns = Columns::of(row);
        found.push(take(&columns).map_err(|how| damaged(what(&columns), how))?);
    }
    Ok(found)
}

/// A limit as SQLite takes it.
pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// One row while it is being taken apart.
pub(super) struct Columns<'a, 'stmt>(&'a Row<'stmt>);

type Column<T> = Result<T, String>;

impl<'a, 'stmt> Columns<'a, 'stmt> {
    pub(super) fn of(row: &'a Row<'stmt>) -> Self {
        Self(row)
    }

    fn value(&self, index: usize) -> Column<ValueRef<'_>> {
        self.0.get_ref(index).map_err(|error| error.to_string())
    }

    fn wrong<T>(&self, index: usize, wanted: &str) -> Column<T> {
        let name = self.0.as_ref().column_name(index).unwrap_or("?").to_owned();
        Err(format!("its column `{name}` is not {wanted}"))
    }

    pub(super) fn number(&self, index: usize) -> Column<u64> {
        match self.value(index)? {
            ValueRef::Integer(number) if number >= 0 => Ok(number.cast_unsigned()),
            _ => self.wrong(index, "a number from 0"),
        }
    }

    pub(super) fn small(&self, index: usize) -> Column<u32> {
        match u32::try_from(self.number(index)?) {
            Ok(number) => Ok(number),
            Err(_) => self.wrong(index, "a number of 32 bits"),
        }
    }

    pub(super) fn text(&self, index: usize) -> Column<&str> {
        match self.value(index)? {
            ValueRef::Text(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Ok(text),
                Err(_) => self.wrong(index, "UTF-8"),
            },
            _ => self.wrong(index, "a text"),
        }
    }

    pub(super) fn bytes(&self, index: usize) -> Column<Option<&[u8]>> {
        match self.value(index)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            _ => self.wrong(index, "bytes"),
        }
    }

    pub(super) fn digest(&self, index: usize) -> Column<Digest> {
        match self.bytes(index)?.map(TryInto::try_into) {
            Some(Ok(bytes)) => Ok(Digest(bytes)),
            _ => self.wrong(index, "a digest of 32 bytes"),
        }
    }

    /// The identifier in a column, parsed by the rules of its type.
    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        index: usize,
    ) -> Column<T> {
        self.text(index)?.parse().map_err(|error: T::Err| error.to_string())
    }
}

/// Takes an event out of its row. `last` is an actor seen before, shared where it is the same
/// again.
pub(super) fn event(
    columns: &Columns<'_, '_>,
    stream: StreamName,
    last: &mut Option<Actor>,
) -> Column<(Seq, Recorded)> {
    let actor = match (columns.text(6)?, last) {
        (text, Some(last)) if last == text => last.clone(),
        (_, last) => last.insert(columns.parsed::<Actor>(6)?).clone(),
    };
    let cause = match columns.value(7)? {
        ValueRef::Null => None,
        _ => Some(columns.parsed::<CommandId>(7)?),
    };
    let payload = match columns.bytes(8)? {
        Some(bytes) => Payload::Bytes(bytes.to_vec()),
        None => Payload::Erased(columns.digest(9)?),
    };
    let event = Recorded {
        stream,
        version: Version(columns.number(1)?),
        kind: kind(columns.text(2)?),
        schema: columns.small(3)?,
        at: LedgerTime(columns.number(4)?),
        wall: WallTime(columns.number(5)?),
        actor,
        cause,
        payload,
        prev: columns.digest(10)?,
        hash: columns.digest(11)?,
    };
    Ok((Seq(columns.number(0)?), event))
}

/// The name of a type, without a copy where it is known.
fn kind(text: &str) -> Cow<'static, str> {
    Event::known_kind(text).map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed)
}

/// Takes a head row out of its row, and checks its digest.
pub(super) fn head(columns: &Columns<'_, '_>) -> Column<HeadRow> {
    let head = HeadRow {
        stream: columns.parsed(0)?,
        tip: StreamTip { version: Version(columns.number(1)?), hash: columns.digest(2)? },
        status: columns.text(3)?.to_owned(),
        ended: columns.number(4)? == 1,
        started: WallTime(columns.number(5)?),
        changed: (LedgerTime(columns.number(6)?), WallTime(columns.number(7)?)),
        summary: columns.text(8)?.to_owned(),
    };
    if head.digest() == columns.digest(9)? {
        Ok(head)
    } else {
        Err("it does not match its digest".to_owned())
    }
}

/// Takes a commit out of `number, epoch, first, events, prev, hash`.
pub(super) fn commit(columns: &Columns<'_, '_>) -> Column<PlacedCommit> {
    let commit = Commit {
        number: CommitNumber(columns.number(0)?),
        epoch: Epoch(columns.number(1)?),
        events: columns.small(3)?,
        prev: columns.digest(4)?,
        hash: columns.digest(5)?,
    };
    Ok(PlacedCommit { first: Seq(columns.number(2)?), commit })
}
