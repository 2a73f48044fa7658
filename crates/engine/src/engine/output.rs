//! What an item has put out, found in its stream.

use std::ops::ControlFlow;

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

/// How the last session of an item ended.
fn last_session(
    store: &dyn Store,
    stream: &StreamName,
    work: &str,
) -> Result<Option<SessionUnbound>, ReadError> {
    backwards(store, stream, |recorded| match CoordinationEvent::of(recorded) {
        Ok(CoordinationEvent::SessionUnbound(unbound)) if unbound.work == *work => {
            ControlFlow::Break(unbound)
        }
        _ => ControlFlow::Continue(()),
    })
}
