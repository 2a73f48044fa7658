//! Following a stream: what is recorded from the store, what happens from memory, every event once
//! and in order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use antiphon_core::envelope::Recorded;
use antiphon_core::event::Event;
use antiphon_core::id::{CoordinationId, StreamName, Version};
use futures_core::Stream;

use crate::feed::{Fed, Feed};
use crate::mailbox::{Handle, QueryError, Unavailable};

/// The events of one stream, from a version on: a [`Stream`], whose items are also given by
/// [`Subscription::next`].
///
/// A reader may be as slow as it likes: what happens meanwhile waits for it in memory up to a bound
/// of bytes, and is read from the ledger beyond that. The engine does not wait for it.
///
/// Events come as they were recorded; [`Recorded::event`] says what one means, and is where an event
/// is met that only a newer version knows. In a run that has not ended, such an event was found when
/// the ledger was opened, and the engine writes nothing ([`Unavailable::Newer`]). Runs that have
/// ended are not read then, as nothing follows from them any more: there, whoever reads the event is
/// the first to meet it, and the engine writes on.
pub struct Subscription {
    handle: Handle,
    stream: StreamName,
    after: Version,
    page: VecDeque<Recorded>,
    source: NextFrom,
    asked: Option<Asked>,
    ended: bool,
}

/// What the store or the decider is asked.
type Asked = Pin<Box<dyn Future<Output = Result<Fetched, Unavailable>> + Send>>;

enum Fetched {
    Page(Vec<Recorded>),
    Feed(Feed),
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("stream", &self.stream)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// Its items are what [`Subscription::next`] gives.
impl Stream for Subscription {
    type Item = Result<Recorded, Unavailable>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Recorded, Unavailable>>> {
        self.poll(context)
    }
}

/// Where the next event comes from.
#[derive(Debug)]
enum NextFrom {
    /// The store, until nothing more is recorded.
    Recorded,
    /// A feed that is asked for, as all that is recorded was read.
    Asking,
    /// The store once more, as events may have been recorded before the feed was there.
    Joining(Feed),
    Live(Feed),
    /// The store, and nothing after it.
    Rest,
}

impl Handle {
    pub(crate) async fn follow(
        &self,
        id: &CoordinationId,
        after: Version,
    ) -> Result<Subscription, QueryError> {
        self.require(id).await?;
        Ok(Subscription::new(self.clone(), StreamName::Coordination(id.clone()), after))
    }
}

impl Subscription {
    pub(crate) fn new(handle: Handle, stream: StreamName, after: Version) -> Self {
        Self {
            handle,
            stream,
            after,
            page: VecDeque::new(),
            source: NextFrom::Recorded,
            asked: None,
            ended: false,
        }
    }

    /// The next event; waits for it, and may be given up and asked again without missing one.
    /// `None` after the event that ends the stream, or when the engine has stopped.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<Recorded>, Unavailable> {
        poll_fn(|context| self.poll(context)).await.transpose()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Recorded, Unavailable>>> {
        while !self.ended {
            if let Some(event) = self.page.pop_front() {
                return Poll::Ready(Some(Ok(self.deliver(event))));
            }
            if let NextFrom::Live(feed) = &mut self.source {
                match ready!(feed.poll_next(context)) {
                    Fed::Next(event) if event.version == self.after.next() => {
                        return Poll::Ready(Some(Ok(self.deliver((*event).clone()))));
                    }
                    // It was read from the store already.
                    Fed::Next(event) if event.version <= self.after => {}
                    Fed::Next(_) | Fed::Lost => self.source = NextFrom::Recorded,
                    Fed::Ended => self.source = NextFrom::Rest,
                }
                continue;
            }
            let answer = ready!(self.asking().as_mut().poll(context));
            self.asked = None;
            match answer {
                Ok(Fetched::Page(page)) if page.is_empty() => self.read_all(),
                Ok(Fetched::Page(page)) => self.page = page.into(),
                Ok(Fetched::Feed(feed)) => self.source = NextFrom::Joining(feed),
                Err(Unavailable::Stopped) if matches!(self.source, NextFrom::Asking) => {
                    self.source = NextFrom::Rest;
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready(None)
    }

    /// A request stays pending while the stream is not polled, so that no answer is lost.
    fn asking(&mut self) -> &mut Asked {
        let (handle, stream, after) = (&self.handle, &self.stream, self.after);
        let feed = matches!(self.source, NextFrom::Asking);
        self.asked.get_or_insert_with(|| {
            let (handle, stream) = (handle.clone(), stream.clone());
            match feed {
                true => Box::pin(async move { handle.feed(stream).await.map(Fetched::Feed) }),
                false => {
                    Box::pin(async move { handle.page(stream, after).await.map(Fetched::Page) })
                }
            }
        })
    }

    /// All that is recorded was read.
    fn read_all(&mut self) {
        self.source = match std::mem::replace(&mut self.source, NextFrom::Rest) {
            NextFrom::Recorded | NextFrom::Asking => NextFrom::Asking,
            NextFrom::Joining(feed) | NextFrom::Live(feed) => NextFrom::Live(feed),
            NextFrom::Rest => {
                self.ended = true;
                NextFrom::Rest
            }
        };
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

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn deliver(&mut self, event: Recorded) -> Recorded {
        self.after = event.version;
        self.ended = Event::is_terminal_kind(&event.kind);
        event
    }
}
