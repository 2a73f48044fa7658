//! The end of the ledger: what the next append must continue, remembered for as long as no other
//! connection writes.

use std::collections::HashMap;

use antiphon_core::append::Append;
use antiphon_core::envelope::{CommitTip, StreamTip};
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName, Version};
use antiphon_core::time::LedgerTime;
use rusqlite::{Connection, OptionalExtension as _};

use super::rows::{Columns, damaged, integer, read_error};
use crate::ledger::admission::{Admitted, Known};
use crate::ledger::error::ReadError;
use crate::ledger::owner::LedgerId;

/// Streams whose end is remembered between appends.
const REMEMBERED: usize = 65_536;

/// The end of the ledger as the last transaction left it; good for as long as no other connection
/// writes.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// SQLite's count of the changes that others made.
    data_version: i64,
    epoch: Epoch,
    commits: CommitTip,
    seq: Seq,
    last_key: i64,
    streams: HashMap<StreamName, Known>,
}

impl Tail {
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn commits(&self) -> CommitTip {
        self.commits
    }

    pub(super) fn seq(&self) -> Seq {
        self.seq
    }

    /// The key that the latest stream was given.
    pub(super) fn last_key(&self) -> i64 {
        self.last_key
    }

    /// After this connection has taken the ledger over: whatever changes from here on is the
    /// work of others.
    pub(super) fn take_over(
        &mut self,
        connection: &Connection,
        epoch: Epoch,
    ) -> rusqlite::Result<()> {
        self.data_version = data_version(connection)?;
        self.epoch = epoch;
        Ok(())
    }

    /// Takes in events that were written outside of an append.
    pub(super) fn advance_by(&mut self, events: u64) {
        self.seq = Seq(self.seq.0 + events);
    }

    /// Reads the end of the ledger again if another connection has written.
    pub(super) fn refresh(&mut self, connection: &Connection) -> Result<(), ReadError> {
        let version = data_version(connection).map_err(|error| read_error("the ledger", error))?;
        if version != self.data_version {
            self.reload(connection)?;
            self.data_version = version;
        }
        Ok(())
    }

    pub(super) fn reload(&mut self, connection: &Connection) -> Result<(), ReadError> {
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

    /// After a transaction that was rolled back: the next one reads everything again.
    pub(super) fn forget(&mut self) {
        self.data_version = -1;
    }

    pub(super) fn find(
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
                let columns = Columns::of(row);
                let known = || {
                    let tip = StreamTip {
                        version: Version(columns.number(1)?),
                        hash: columns.digest(2)?,
                    };
                    Ok(Known::new(integer(columns.number(0)?), tip, columns.number(3)? == 1))
                };
                Ok(known())
            })
            .optional()
            .map_err(read)?;
        found.transpose().map_err(|how: String| damaged(format!("the head row of `{stream}`"), how))
    }

    /// Takes in what an append has written.
    pub(super) fn advance(&mut self, append: &Append, admitted: &Admitted<'_>) {
        self.commits = append.commit.tip();
        self.advance_by(append.events.len() as u64);
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
            let known = Known::new(key, stream.tip, stream.head.ended);
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

pub(super) fn identity(connection: &Connection) -> Result<(u32, LedgerId, Epoch), ReadError> {
    let what = "the row of the table `ledger`";
    connection
        .prepare_cached("SELECT format, id, epoch FROM ledger")
        .and_then(|mut statement| {
            statement.query_row([], |row| {
                let columns = Columns::of(row);
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

pub(super) fn commit_tip(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<CommitTip>, ReadError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement
                .query_row(parameters, |row| {
                    let columns = Columns::of(row);
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

pub(super) fn last_at(connection: &Connection) -> Result<LedgerTime, ReadError> {
    connection
        .query_row("SELECT at FROM events ORDER BY seq DESC LIMIT 1", [], |row| {
            row.get::<_, i64>(0)
        })
        .optional()
        .map(|at| LedgerTime(at.unwrap_or(0).cast_unsigned()))
        .map_err(|error| read_error("the last event", error))
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
