//! Following a stream: what is recorded from the store, what happens from memory, every event once
//! and in order.

use std::collections::VecDeque;

use antiphon_core::envelope::Recorded;
use antiphon_core::id::{CoordinationId, StreamName, Version};

use super::{EngineError, Handle};
use crate::mailbox::{Fed, Feed};

/// The events of one stream, from a version on.
///
/// A reader may be as slow as it likes: what happens meanwhile waits for it in memory up to a bound
/// of bytes, and is read from the ledger beyond that. Nobody waits for it.
#[derive(Debug)]
pub struct Subscription {
    handle: Handle,
    stream: StreamName,
    after: Version,
    page: VecDeque<Recorded>,
    source: Source,
    ended: bool,
}

/// Where the next event comes from.
#[derive(Debug)]
enum Source {
    /// The store, until nothing more is recorded; then there is a feed.
    Recorded,
    /// The store once more, as events may have been recorded before the feed was there.
    Joining(Feed),
    /// Memory.
    Live(Feed),
    /// The store, and nothing after it.
    Rest,
}

impl Handle {
    pub(crate) async fn follow(
        &self,
        id: &CoordinationId,
        after: Version,
    ) -> Result<Subscription, EngineError> {
        self.require(id).await?;
        Ok(Subscription::new(self.clone(), StreamName::Coordination(id.clone()), after))
    }
}

impl Subscription {
    pub(super) fn new(handle: Handle, stream: StreamName, after: Version) -> Self {
        Self {
            handle,
            stream,
            after,
            page: VecDeque::new(),
            source: Source::Recorded,
            ended: false,
        }
    }

    /// The next event; waits for it, and may be given up and asked again without missing one.
    /// `None` after the event that ends the stream, or when the engine has stopped.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<Recorded>, EngineError> {
        while !self.ended {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(self.deliver(event)));
            }
            if let Source::Live(feed) = &mut self.source {
                match feed.next().await {
                    Fed::Event(event) if event.version == self.after.next() => {
                        return Ok(Some(self.deliver((*event).clone())));
                    }
                    // It was read from the store already.
                    Fed::Event(event) if event.version <= self.after => {}
                    Fed::Event(_) | Fed::Lost => self.source = Source::Recorded,
                    Fed::Ended => self.source = Source::Rest,
                }
                continue;
            }
            self.page = self.handle.page(self.stream.clone(), self.after).await?.into();
            if self.page.is_empty() {
                self.go_on().await?;
            }
        }
        Ok(None)
    }

    /// All that is recorded was read. Nothing changes before an answer is there: whoever waits may
    /// give up and ask again.
    async fn go_on(&mut self) -> Result<(), EngineError> {
        if matches!(self.source, Source::Recorded) {
            self.source = match self.handle.feed(self.stream.clone()).await {
                Ok(feed) => Source::Joining(feed),
                Err(EngineError::Stopped) => Source::Rest,
                Err(error) => return Err(error),
            };
            return Ok(());
        }
        self.source = match std::mem::replace(&mut self.source, Source::Rest) {
            Source::Joining(feed) | Source::Live(feed) => Source::Live(feed),
            Source::Recorded | Source::Rest => {
                self.ended = true;
                Source::Rest
            }
        };
        Ok(())
    }

    /// The version of the last event that was given out, or that it began after.
    #[must_use]
    pub fn position(&self) -> Version {
        self.after
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn deliver(&mut self, event: Recorded) -> Recorded {
        self.after = event.version;
        self.ended = matches!(&*event.kind, "coordination.completed" | "coordination.aborted");
        event
    }
}
