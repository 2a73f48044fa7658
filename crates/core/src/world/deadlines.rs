//! When the world has something to do without being asked.

use std::collections::BTreeSet;

use crate::id::CoordinationId;
use crate::time::{LedgerTime, Now, WallTime};

/// The next deadline of every coordination, one row each in two tables.
///
/// There are two because the clocks are not comparable: ledger time never goes back and stops while
/// no engine runs, wall time may be set at will. What is due by one says nothing of the other, so
/// each table has its own first row, and a timer is set for each.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    ledger: BTreeSet<(LedgerTime, CoordinationId)>,
    wall: BTreeSet<(WallTime, CoordinationId)>,
}

/// The rows of one coordination.
pub(super) type Due = (Option<LedgerTime>, Option<WallTime>);

impl Deadlines {
    /// The coordination that is due first: by ledger time if there is one, as that clock orders
    /// what it measures.
    pub(super) fn first_due(&self, now: &Now) -> Option<&CoordinationId> {
        let ledger = self.ledger.first().filter(|(at, _)| *at <= now.at).map(|(_, id)| id);
        let wall = || self.wall.first().filter(|(wall, _)| *wall <= now.wall).map(|(_, id)| id);
        ledger.or_else(wall)
    }

    /// The earliest moments on the two clocks.
    pub(super) fn next(&self) -> Due {
        (self.ledger.first().map(|(at, _)| *at), self.wall.first().map(|(wall, _)| *wall))
    }

    /// Lists a coordination.
    pub(super) fn list(&mut self, id: &CoordinationId, due: Due) {
        if let Some(at) = due.0 {
            self.ledger.insert((at, id.clone()));
        }
        if let Some(wall) = due.1 {
            self.wall.insert((wall, id.clone()));
        }
    }

    /// Takes a coordination's rows out.
    pub(super) fn forget(&mut self, id: &CoordinationId, due: Due) {
        if let Some(at) = due.0 {
            self.ledger.remove(&(at, id.clone()));
        }
        if let Some(wall) = due.1 {
            self.wall.remove(&(wall, id.clone()));
        }
    }
}
