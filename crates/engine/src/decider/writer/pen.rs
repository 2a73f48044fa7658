//! How each thing is written.

use antiphon_core::append::Append;
use antiphon_core::event::Event;
use tokio::sync::oneshot;

use super::job::{Ack, WriteJob};
use crate::crash;
use crate::incidents::{Incident, Incidents};
use crate::ledger::{AppendError, Cursor, Store};
use crate::mailbox::Unavailable;

/// Cursors that are moved in one transaction.
const MOVES_AT_ONCE: usize = 1_024;

/// Writes, and keeps what goes with the next append.
#[derive(Default)]
pub(super) struct Pen {
    moves: Moves,
}

impl Pen {
    /// Appends a turn, with the cursors that wait for one.
    pub(super) fn append(
        &mut self,
        store: &dyn Store,
        append: &Append,
        set: &[Cursor],
        incidents: &Incidents,
    ) -> Ack {
        crash::point("append.before");
        let ends = append.events.iter().any(|event| Event::is_terminal_kind(&event.kind));
        if ends {
            crash::point("receipt.before");
        }
        let cursors = [self.moves.cursors(), set].concat();
        let result = store.append(append, &cursors).map(|_| ());
        self.moves.answer(&result, incidents);
        if ends {
            crash::point("receipt.after");
        }
        crash::point("append.after");
        result
    }

    /// Has a cursor moved with the next append, or at once where none comes next.
    pub(super) fn move_cursor(
        &mut self,
        store: &dyn Store,
        (cursor, reply): (Cursor, oneshot::Sender<Result<(), Unavailable>>),
        next: Option<&WriteJob>,
        incidents: &Incidents,
    ) {
        self.moves.add(cursor, reply);
        if self.moves.must_go(next) {
            let result = store.move_cursors(self.moves.cursors());
            self.moves.answer(&result, incidents);
        }
    }
}

/// Cursors that wait for the next transaction, and the readers that wait for them.
#[derive(Default)]
struct Moves {
    cursors: Vec<Cursor>,
    replies: Vec<oneshot::Sender<Result<(), Unavailable>>>,
}

impl Moves {
    fn add(&mut self, cursor: Cursor, reply: oneshot::Sender<Result<(), Unavailable>>) {
        self.cursors.push(cursor);
        self.replies.push(reply);
    }

    fn cursors(&self) -> &[Cursor] {
        &self.cursors
    }

    /// Whether nothing comes that they could share a transaction with.
    fn must_go(&self, next: Option<&WriteJob>) -> bool {
        match next {
            Some(WriteJob::Append(..)) => false,
            Some(WriteJob::Move(..)) => self.cursors.len() >= MOVES_AT_ONCE,
            None => true,
        }
    }

    fn answer(&mut self, result: &Result<(), AppendError>, incidents: &Incidents) {
        if let (Err(error), Some(cursor)) = (result, self.cursors.first()) {
            incidents.note(Incident::CursorNotMoved, &cursor.name, error);
        }
        self.cursors.clear();
        for reply in self.replies.drain(..) {
            // A reader that no longer waits is no error.
            let _ = reply.send(result.as_ref().copied().map_err(Unavailable::from));
        }
    }
}
