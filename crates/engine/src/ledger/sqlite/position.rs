//! How far a ledger has come: what an engine would find when it opens it, read without opening it.

use antiphon_core::envelope::CommitTip;
use antiphon_core::id::{CommitNumber, Epoch, Seq};
use rusqlite::params;

use super::reader::ReadConnection;
use super::rows::{integer, read_error};
use super::tail::{commit_tip, identity};
use crate::ledger::error::ReadError;
use crate::ledger::head_mark::HeadMark;
use crate::ledger::head_mark::MarkRefusal;
use crate::ledger::owner::LedgerId;
use crate::ledger::sqlite::SqliteStore;

/// How far a ledger has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct LedgerPosition {
    /// Which ledger this is.
    pub ledger: LedgerId,
    /// The format it is kept in.
    pub format: u32,
    pub epoch: Epoch,
    pub commits: CommitTip,
    /// Address of the last event, which is the number of events.
    pub events: Seq,
}

impl ReadConnection {
    pub(super) fn position(&self) -> Result<LedgerPosition, ReadError> {
        self.consistent(Self::position_now)
    }

    /// The same inside of a transaction that the caller began.
    pub(super) fn position_now(&self) -> Result<LedgerPosition, ReadError> {
        let (format, ledger, epoch) = identity(&self.connection)?;
        let commits = commit_tip(
            &self.connection,
            "SELECT number, hash FROM commits ORDER BY number DESC LIMIT 1",
            [],
        )?;
        let events: Option<i64> = self
            .connection
            .query_row("SELECT max(seq) FROM events", [], |row| row.get(0))
            .map_err(|error| read_error("the end of the ledger", error))?;
        let events = Seq(events.unwrap_or_default().cast_unsigned());
        Ok(LedgerPosition { ledger, format, epoch, commits: commits.unwrap_or_default(), events })
    }

    pub(super) fn commit(&self, number: CommitNumber) -> Result<Option<CommitTip>, ReadError> {
        commit_tip(
            &self.connection,
            "SELECT number, hash FROM commits WHERE number = ?1",
            params![integer(number.0)],
        )
    }
}

impl SqliteStore {
    /// Holds the ledger against a mark, as opening it would.
    ///
    /// # Errors
    /// When the ledger cannot be read; the inner error says that it does not hold all that the mark
    /// knew.
    pub fn check_against(&self, mark: &HeadMark) -> Result<Result<(), MarkRefusal>, ReadError> {
        self.readers.read(|reader| {
            let LedgerPosition { ledger, epoch, commits, .. } = reader.position()?;
            Ok(mark.check(Some(ledger), epoch, commits, reader.commit(mark.commit.number)?))
        })
    }
}
