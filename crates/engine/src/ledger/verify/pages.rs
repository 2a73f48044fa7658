//! Reads the ledger ahead of the checks, on a thread of its own; then looks at what lies beside the
//! chains while the checks catch up.

use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::thread::Scope;

use antiphon_core::id::Seq;

use crate::ledger::error::ReadError;
use crate::ledger::fault::Fault;
use crate::ledger::store::{Damage, Placed, Store};

/// Events that are read at once.
const PAGE: usize = 1_024;

/// Pages that wait to be checked.
const AHEAD: usize = 2;

/// Events that cannot be read, one after the other, until reading is given up.
const MAX_UNREADABLE: u64 = 1_000;

/// What comes out of the ledger, in its order.
pub(super) enum Page {
    Events(Vec<Placed>),
    /// An event at this address, or shortly after it, cannot be read.
    Unreadable {
        seq: Seq,
        how: String,
    },
    /// What the store finds wrong outside of the chains; sent last.
    Damages(Vec<Damage>),
    /// Nothing further can be read.
    Broken(ReadError),
}

/// Starts to read; the channel ends with the ledger.
pub(super) fn read_ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    store: &'scope dyn Store,
) -> Receiver<Page> {
    let (sender, receiver) = sync_channel(AHEAD);
    let broken = sender.clone();
    let spawned = std::thread::Builder::new().spawn_scoped(scope, move || {
        // The receiver has gone, so there is nothing left to read for.
        let _gone = read(store, &sender).and_then(|()| sender.send(damages(store)));
    });
    if let Err(error) = spawned {
        let fault = Fault::io("start a thread that reads the ledger", error);
        // There is room for it, and the receiver is here.
        let _sent = broken.send(Page::Broken(fault.into()));
    }
    receiver
}

fn damages(store: &dyn Store) -> Page {
    match store.damages() {
        Ok(damages) => Page::Damages(damages),
        Err(ReadError::Damaged { what, how }) => Page::Damages(vec![Damage { what, how }]),
        Err(fault) => Page::Broken(fault),
    }
}

fn read(store: &dyn Store, sender: &SyncSender<Page>) -> Result<(), SendError<Page>> {
    let mut after = Seq(0);
    loop {
        match store.read_all(after, PAGE) {
            Ok(events) => match events.last() {
                None => return Ok(()),
                Some(last) => {
                    after = last.seq;
                    sender.send(Page::Events(events))?;
                }
            },
            Err(ReadError::Damaged { .. }) => match step(store, after, sender)? {
                Some(reached) => after = reached,
                None => return Ok(()),
            },
            Err(fault) => return sender.send(Page::Broken(fault)),
        }
    }
}

/// Reads a page that is damaged event by event. Returns how far it came, or nothing at the end of
/// what can be read.
fn step(
    store: &dyn Store,
    after: Seq,
    sender: &SyncSender<Page>,
) -> Result<Option<Seq>, SendError<Page>> {
    let mut reached = after;
    let mut unreadable = 0;
    let mut last = String::new();
    while reached.0 < after.0 + PAGE as u64 + unreadable {
        match store.read_all(reached, 1) {
            Ok(events) => match events.last() {
                None => return Ok(None),
                Some(event) => {
                    (reached, unreadable) = (event.seq, 0);
                    sender.send(Page::Events(events))?;
                }
            },
            Err(ReadError::Damaged { what, how }) => {
                let how = format!("{what} is damaged: {how}");
                let seq = reached.next();
                // The same answer again comes from the same row, further on.
                if how != last {
                    sender.send(Page::Unreadable { seq, how: how.clone() })?;
                    last = how;
                }
                reached = seq;
                unreadable += 1;
                if unreadable == MAX_UNREADABLE {
                    return Ok(None);
                }
            }
            Err(fault) => {
                sender.send(Page::Broken(fault))?;
                return Ok(None);
            }
        }
    }
    Ok(Some(reached))
}
