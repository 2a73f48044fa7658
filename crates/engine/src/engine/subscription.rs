//! Following a stream: what is recorded from the store, what happens from memory, every event once and in order.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_core::envelope::Recorded;
use antiphon_core::id::{CoordinationId, Version};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{EngineError, Handle};

/// A durable event on its way to those who follow its stream.
pub(super) type Live = Arc<Recorded>;

/// Live events that a slow follower may be behind before it reads from the store again.
pub(super) const LIVE_EVENTS: usize = 256;

/// The events of one coordination, from a version on.
#[derive(Debug)]
pub struct Subscription {
    handle: Handle,
    coordination: CoordinationId,
    after: Version,
    page: VecDeque<Recorded>,
    live: broadcast::Receiver<Live>,
    behind: bool,
    ended: bool,
}

impl Subscription {
    pub(super) fn new(handle: Handle, coordination: CoordinationId, after: Version, live: broadcast::Receiver<Live>) -> Self {
        Self { handle, coordination, after, page: VecDeque::new(), live, behind: true, ended: false }
    }

    /// The next event; waits for it. `None` after the event that ends the coordination, or when the engine has stopped.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<Recorded>, EngineError> {
        while !self.ended {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(self.deliver(event)));
            }
            if self.behind {
                self.page = self.handle.page(&self.coordination, self.after).await?.into();
                self.behind = !self.page.is_empty();
                continue;
            }
            match self.live.recv().await {
                Ok(event) if event.version == self.after.next() => return Ok(Some(self.deliver((*event).clone()))),
                Ok(event) => self.behind = event.version > self.after,
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => {
                    // The last events may have been released between the page and the end of the engine.
                    self.page = self.handle.page(&self.coordination, self.after).await?.into();
                    self.ended = self.page.is_empty();
                }
            }
        }
        Ok(None)
    }

    fn deliver(&mut self, event: Recorded) -> Recorded {
        self.after = event.version;
        self.ended = matches!(&*event.kind, "coordination.completed" | "coordination.aborted");
        event
    }
}
