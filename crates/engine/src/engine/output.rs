//! What an item has put out, found in its stream.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use antiphon_core::coordination::{NextStep, Reused};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon_core::id::{CoordinationId, StreamName};

use crate::ledger::backwards;
use crate::ledger::{ReadError, Store};
use crate::mailbox::{Handle, QueryError};
use crate::session::Output;

impl Handle {
    /// What an item's last session put out, found in the stream; of an item that was taken over, in
    /// the stream of the run that carried it out.
    pub(crate) async fn output(
        &self,
        id: &CoordinationId,
        work: &str,
    ) -> Result<Option<Output>, QueryError> {
        self.require(id).await?;
        let (id, work) = (id.clone(), work.to_owned());
        let found = self.read(move |store| last_end(store, id, work)).await?;
        let Some(found) = found else { return Ok(None) };
        let (digest, session) = match found {
            LastEnd::Session(unbound) => (unbound.output, Some(unbound)),
            LastEnd::TakenOver(reused) => (reused.output, None),
        };
        let bytes = match digest {
            Some(digest) => self.blob(digest).await?,
            None => None,
        };
        let Some(unbound) = session else {
            return Ok(
                bytes.map(|bytes| Output::recorded(Some(bytes), None, None, BTreeMap::new()))
            );
        };
        let output = Output::recorded(bytes, unbound.text, None, unbound.scores);
        Ok(Some(output.with_tree(unbound.tree, Vec::new())))
    }
}

/// What is known last of how an item came to its end.
enum LastEnd {
    Session(SessionUnbound),
    /// It was taken over, and the run that carried it out tells no more.
    TakenOver(Reused),
}

/// Looks for the last session of an item, in one run after the other from which it was taken over.
fn last_end(
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
                Some(reused) => ControlFlow::Break(reused.map(LastEnd::TakenOver)),
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
