//! What an item has put out, found in its stream.

use std::ops::ControlFlow;

use antiphon_core::coordination::NextStep;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon_core::id::{CoordinationId, StreamName};

use crate::ledger::backwards;
use crate::ledger::{ReadError, Store};
use crate::mailbox::{Handle, QueryError};
use crate::session::Output;

impl Handle {
    /// What an item's last session put out, found in the stream.
    pub(crate) async fn output(
        &self,
        id: &CoordinationId,
        work: &str,
    ) -> Result<Option<Output>, QueryError> {
        self.require(id).await?;
        let (stream, work) = (StreamName::Coordination(id.clone()), work.to_owned());
        let found = self.read(move |store| last_session(store, &stream, &work)).await?;
        let Some(unbound) = found else { return Ok(None) };
        let bytes = match unbound.output {
            Some(digest) => self.blob(digest).await?,
            None => None,
        };
        let output = Output::recorded(bytes, unbound.text, None, unbound.scores);
        Ok(Some(output.with_tree(unbound.tree, Vec::new())))
    }
}

/// How the last session of an item ended, if one has. What was erased or cannot be read may be the
/// end of a later one: before it, only an end is taken for the last that no session can follow.
fn last_session(
    store: &dyn Store,
    stream: &StreamName,
    work: &str,
) -> Result<Option<SessionUnbound>, ReadError> {
    let mut unread = false;
    let last = backwards(store, stream, |recorded| match CoordinationEvent::of(recorded) {
        Ok(CoordinationEvent::SessionUnbound(unbound)) if unbound.work == *work => {
            let is_last = !unread || matches!(unbound.then, NextStep::Done(_));
            ControlFlow::Break(is_last.then_some(unbound))
        }
        Ok(_) => ControlFlow::Continue(()),
        Err(_) => {
            unread = true;
            ControlFlow::Continue(())
        }
    })?;
    Ok(last.flatten())
}
