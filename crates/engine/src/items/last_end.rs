//! How an item came to its end, found in the streams of the runs from which it was taken over.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use antiphon_core::coordination::{NextStep, Reused};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon_core::id::{CoordinationId, StreamName};

use crate::ledger::{ReadError, Store, backwards};

/// What is known last of how an item came to its end.
pub(crate) enum LastEnd {
    Session(SessionUnbound),
    /// It was taken over, and the run that carried it out tells no more.
    TakenOver(Reused),
}

/// Looks for the last session of an item, in one run after the other from which it was taken over.
pub(crate) fn last_end(
    store: &dyn Store,
    mut run: CoordinationId,
    mut work: String,
) -> Result<Option<LastEnd>, ReadError> {
    let (mut seen, mut last) = (BTreeSet::new(), None);
    // No run comes twice in what the engine writes.
    while seen.insert(run.clone()) {
        let stream = StreamName::Coordination(run);
        match end_in(store, &stream, &work)? {
            Some(LastEnd::TakenOver(reused)) => {
                run = reused.from.clone();
                work = reused.work.as_ref().map_or(work, ToString::to_string);
                last = Some(LastEnd::TakenOver(reused));
            }
            Some(session) => return Ok(Some(session)),
            None => return Ok(last),
        }
    }
    Ok(last)
}

/// How an item came to its end in one run: how its last session ended, if one has, or where it was
/// taken over from. What was erased or cannot be read may be the end of a later one: before it,
/// only an end is taken for the last that no session can follow.
fn end_in(
    store: &dyn Store,
    stream: &StreamName,
    work: &str,
) -> Result<Option<LastEnd>, ReadError> {
    let mut unread = false;
    let last = backwards(store, stream, |recorded| match CoordinationEvent::of(recorded) {
        Ok(CoordinationEvent::SessionUnbound(unbound)) if unbound.work == *work => {
            let is_last = !unread || matches!(unbound.then, NextStep::Done(_));
            ControlFlow::Break(is_last.then_some(LastEnd::Session(unbound)))
        }
        Ok(CoordinationEvent::WorkAdded(added)) => {
            let item = added.items.into_iter().find(|item| item.id == *work);
            match item.map(|item| item.reused) {
                Some(reused) => {
                    ControlFlow::Break(reused.map(|reused| LastEnd::TakenOver(*reused)))
                }
                None => ControlFlow::Continue(()),
            }
        }
        Ok(_) => ControlFlow::Continue(()),
        Err(_) => {
            unread = true;
            ControlFlow::Continue(())
        }
    })?;
    Ok(last.flatten())
}
