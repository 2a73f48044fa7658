//! Which ledger this is: the one row of the table `ledger` is in neither chain, and is held against
//! what the events say.

use antiphon_core::event::{AggregateEvent as _, LedgerEvent, LedgerOpened};
use antiphon_core::id::{Epoch, Version};
use rusqlite::{Connection, OptionalExtension as _};

use super::rows::{Columns, read_error};
use super::tail::identity;
use crate::ledger::error::{IdentityRefusal, ReadError};
use crate::ledger::head_mark::HeadMark;
use crate::ledger::owner::LedgerId;

/// What the row and the last `ledger.opened` event say, read together.
pub(super) struct LedgerIdentity {
    format: u32,
    id: LedgerId,
    pub(super) epoch: Epoch,
    opened: Option<(Version, LedgerOpened)>,
}

impl LedgerIdentity {
    pub(super) fn read(connection: &Connection) -> Result<Self, ReadError> {
        let (format, id, epoch) = identity(connection)?;
        let opened = connection
            .prepare_cached(
                "SELECT version, type, schema, payload FROM events WHERE stream = (SELECT stream FROM streams WHERE name = 'ledger')
                 AND type = 'ledger.opened' ORDER BY version DESC LIMIT 1",
            )
            .and_then(|mut statement| statement.query_row([], |row| Ok(opened(&Columns::of(row)))).optional())
            .map_err(|error| read_error("the last `ledger.opened` event", error))?;
        // One that does not decode is found where all events are checked.
        Ok(Self { format, id, epoch, opened: opened.flatten() })
    }

    /// Whether the row says something else than the events, and, where there is one that the ledger
    /// agrees with, the head mark.
    pub(super) fn check(&self, mark: Option<&HeadMark>) -> Result<(), IdentityRefusal> {
        let Some((version, opened)) = &self.opened else { return Ok(()) };
        let named = LedgerId(opened.ledger.0);
        if self.id != named {
            return Err(IdentityRefusal::Id { row: self.id, event: named, version: *version });
        }
        if self.format != opened.format {
            return Err(IdentityRefusal::Format {
                row: self.format,
                event: opened.format,
                version: *version,
            });
        }
        if self.epoch < opened.epoch {
            return Err(IdentityRefusal::EpochBehind {
                row: self.epoch,
                event: opened.epoch,
                version: *version,
            });
        }
        // An owner raises the epoch, then marks it, then records it, and may die between: the next
        // one takes the same epoch.
        match mark.map(|mark| mark.epoch.max(opened.epoch)) {
            Some(known) if self.epoch > known.next() => {
                Err(IdentityRefusal::EpochAhead { row: self.epoch, known })
            }
            _ => Ok(()),
        }
    }
}

fn opened(columns: &Columns<'_, '_>) -> Option<(Version, LedgerOpened)> {
    let decoded =
        LedgerEvent::decode(columns.text(1).ok()?, columns.small(2).ok()?, columns.bytes(3).ok()??)
            .ok()?;
    match decoded {
        LedgerEvent::Opened(opened) => Some((Version(columns.number(0).ok()?), opened)),
        _ => None,
    }
}
