//! From events to their commits without an index: both rise together.

use std::collections::VecDeque;

use antiphon_core::id::{CommitNumber, Seq};

use super::reader::Reader;
use super::rows::read_error;
use crate::ledger::error::ReadError;
use crate::ledger::store::PlacedCommit;

/// Finds the commit of every event of a rising sequence.
pub(super) struct CommitsBySeq<'a> {
    reader: &'a Reader,
    /// Commits that follow each other; the first holds the event asked for last, or one after it.
    ahead: VecDeque<PlacedCommit>,
}

impl<'a> CommitsBySeq<'a> {
    /// Commits that are read at once.
    const PAGE: usize = 256;

    pub(super) fn new(reader: &'a Reader) -> Self {
        Self { reader, ahead: VecDeque::new() }
    }

    pub(super) fn of(&mut self, seq: Seq) -> Result<Option<CommitNumber>, ReadError> {
        if self.ahead.is_empty() {
            let before = self.last_before(seq)?;
            self.ahead = self.reader.commits(before, Self::PAGE)?.into();
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
                self.ahead = self.reader.commits(number, Self::PAGE)?.into();
            }
        }
        Ok(None)
    }

    /// The last commit that ends before an event, by halving; 0 if there is none.
    fn last_before(&self, seq: Seq) -> Result<CommitNumber, ReadError> {
        let last: Option<i64> = self
            .reader
            .prepare("SELECT max(number) FROM commits")?
            .query_row([], |row| row.get(0))
            .map_err(|error| read_error("the commits", error))?;
        let (mut low, mut high) = (0, last.unwrap_or(0).cast_unsigned());
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let found = self.reader.commits(CommitNumber(middle - 1), 1)?;
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
