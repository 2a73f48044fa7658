//! Commits, and the way from events to them without an index: both rise together.

use std::collections::VecDeque;

use antiphon_core::id::{CommitNumber, Seq};

use rusqlite::{Connection, params};

use super::rows::{self, bounded, integer, prepare, query, read_error};
use crate::ledger::error::ReadError;
use crate::ledger::store::PlacedCommit;

/// The commits after a number.
pub(super) fn commits(
    connection: &Connection,
    after: CommitNumber,
    limit: usize,
) -> Result<Vec<PlacedCommit>, ReadError> {
    query(
        connection,
        "SELECT number, epoch, first, events, prev, hash FROM commits WHERE number > ?1 ORDER BY number LIMIT ?2",
        params![integer(after.0), bounded(limit)],
        |columns| format!("commit {}", columns.number(0).unwrap_or_default()),
        rows::commit,
    )
}

/// Finds the commit of every event of a rising sequence.
pub(super) struct CommitsBySeq<'a> {
    connection: &'a Connection,
    /// Commits that follow each other; the first holds the event asked for last, or one after it.
    ahead: VecDeque<PlacedCommit>,
}

impl<'a> CommitsBySeq<'a> {
    /// Commits that are read at once.
    const PAGE: usize = 256;

    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, ahead: VecDeque::new() }
    }

    pub(super) fn of(&mut self, seq: Seq) -> Result<Option<CommitNumber>, ReadError> {
        if self.ahead.is_empty() {
            let before = self.last_before(seq)?;
            self.ahead = commits(self.connection, before, Self::PAGE)?.into();
        }
        while let Some(commit) = self.ahead.front() {
            if seq.0 < commit.first.0 {
                return Ok(None);
            }
            if seq.0 - commit.first.0 < u64::from(commit.commit.events) {
                return Ok(Some(commit.commit.number));
            }
            let number = commit.commit.number;
            self.ahead.pop_front();
            if self.ahead.is_empty() {
                self.ahead = commits(self.connection, number, Self::PAGE)?.into();
            }
        }
        Ok(None)
    }

    /// The last commit that ends before an event, by halving; 0 if there is none.
    fn last_before(&self, seq: Seq) -> Result<CommitNumber, ReadError> {
        let last: Option<i64> = prepare(self.connection, "SELECT max(number) FROM commits")?
            .query_row([], |row| row.get(0))
            .map_err(|error| read_error("the commits", error))?;
        let (mut low, mut high) = (0, last.unwrap_or(0).cast_unsigned());
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let found = commits(self.connection, CommitNumber(middle - 1), 1)?;
            match found.first() {
                Some(commit) if commit.first.0 + u64::from(commit.commit.events) <= seq.0 => {
                    low = middle;
                }
                _ => high = middle - 1,
            }
        }
        Ok(CommitNumber(low))
    }
}
