//! Events on their way from the decider to those who follow a stream: bounded by bytes, and only
//! where there is a follower.
//!
//! The engine waits for no follower. One that is too far behind loses its feed, reads what it has
//! missed from the store, and asks for another.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use antiphon_core::envelope::Recorded;
use antiphon_core::id::StreamName;
use tokio::sync::mpsc;

/// Bytes of events that may wait for one follower; room for the largest event many times.
const WAITING_BYTES: usize = 1024 * 1024;

/// What an event weighs besides its payload.
const ENVELOPE_BYTES: usize = 512;

/// The decider's side: every feed of every stream that is followed.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    feeds: HashMap<StreamName, Vec<FollowerQueue>>,
}

#[derive(Debug)]
struct FollowerQueue {
    events: mpsc::UnboundedSender<Arc<Recorded>>,
    state: Arc<Backlog>,
}

/// The follower's side.
#[derive(Debug)]
pub(crate) struct Feed {
    events: mpsc::UnboundedReceiver<Arc<Recorded>>,
    state: Arc<Backlog>,
}

#[derive(Debug, Default)]
struct Backlog {
    waiting: AtomicUsize,
    lost: AtomicBool,
}

/// What comes out of a feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The next event of the stream.
    Event(Arc<Recorded>),
    /// Events were left out: what follows is in the store.
    Lost,
    /// Nothing follows: the coordination or the engine has ended.
    Ended,
}

impl Feeds {
    pub(crate) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    pub(crate) fn has(&self, stream: &StreamName) -> bool {
        self.feeds.contains_key(stream)
    }

    /// A feed of a stream from now on.
    pub(crate) fn open(&mut self, stream: StreamName) -> Feed {
        let (events, receiver) = mpsc::unbounded_channel();
        let state = Arc::new(Backlog::default());
        let sources = self.feeds.entry(stream).or_default();
        // Where nothing happens for long, those that left are found here.
        sources.retain(|source| !source.events.is_closed());
        sources.push(FollowerQueue { events, state: Arc::clone(&state) });
        Feed { events: receiver, state }
    }

    /// Hands an event to all that follow its stream.
    pub(crate) fn deliver(&mut self, event: Recorded) {
        let Some(sources) = self.feeds.get_mut(&event.stream) else { return };
        let event = Arc::new(event);
        sources.retain(|source| source.takes(&event));
        if sources.is_empty() {
            self.feeds.remove(&event.stream);
        }
    }

    /// Ends the feeds of a stream that takes in nothing more.
    pub(crate) fn end(&mut self, stream: &StreamName) {
        self.feeds.remove(stream);
    }

    /// Ends the feeds of the other streams.
    pub(crate) fn keep(&mut self, goes_on: impl Fn(&StreamName) -> bool) {
        self.feeds.retain(|stream, _| goes_on(stream));
    }

    pub(crate) fn clear(&mut self) {
        self.feeds.clear();
    }
}

impl FollowerQueue {
    /// Whether the follower is still there and takes the event.
    fn takes(&self, event: &Arc<Recorded>) -> bool {
        let waiting = self.state.waiting.fetch_add(weight(event), Ordering::Relaxed);
        if waiting + weight(event) > WAITING_BYTES {
            self.state.lost.store(true, Ordering::Release);
            return false;
        }
        self.events.send(Arc::clone(event)).is_ok()
    }
}

impl Feed {
    /// A feed of a stream in which nothing happens any more.
    pub(crate) fn ended() -> Self {
        Self { events: mpsc::unbounded_channel().1, state: Arc::default() }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Fed> {
        self.events.poll_recv(context).map(|event| match event {
            Some(event) => {
                self.state.waiting.fetch_sub(weight(&event), Ordering::Relaxed);
                Fed::Event(event)
            }
            None if self.state.lost.load(Ordering::Acquire) => Fed::Lost,
            None => Fed::Ended,
        })
    }
}

fn weight(event: &Recorded) -> usize {
    ENVELOPE_BYTES + event.payload.bytes().map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use antiphon_core::digest::Digest;
    use antiphon_core::envelope::Payload;
    use antiphon_core::id::{Actor, Version};
    use antiphon_core::time::{LedgerTime, WallTime};

    use super::*;

    fn build() -> StreamName {
        "coordination/build".parse().unwrap()
    }

    fn event(version: u64, bytes: usize) -> Recorded {
        Recorded {
            stream: build(),
            version: Version(version),
            kind: "coordination.paused".into(),
            schema: 1,
            at: LedgerTime(0),
            wall: WallTime(0),
            actor: Actor::new("engine").unwrap(),
            cause: None,
            payload: Payload::Bytes(vec![b' '; bytes]),
            prev: Digest::GENESIS,
            hash: Digest::GENESIS,
        }
    }

    /// The versions that come out, and how it ends.
    async fn drained(mut feed: Feed) -> (Vec<u64>, Fed) {
        let mut versions = Vec::new();
        loop {
            match poll_fn(|context| feed.poll_next(context)).await {
                Fed::Event(event) => versions.push(event.version.0),
                other => return (versions, other),
            }
        }
    }

    #[tokio::test]
    async fn a_slow_follower_loses_its_feed_by_bytes_and_nobody_else_does() {
        let mut feeds = Feeds::default();
        let (slow, mut quick) = (feeds.open(build()), feeds.open(build()));
        for version in 1..=40 {
            feeds.deliver(event(version, 60_000));
            assert!(
                matches!(poll_fn(|context| quick.poll_next(context)).await, Fed::Event(event) if event.version.0 == version)
            );
        }
        feeds.end(&build());
        // 17 events of 60,512 bytes are below 1 MiB, 18 are above.
        assert_eq!(drained(slow).await, ((1..=17).collect(), Fed::Lost));
        assert_eq!(drained(quick).await, (Vec::new(), Fed::Ended));
    }

    #[tokio::test]
    async fn many_small_events_wait_for_a_slow_follower() {
        let mut feeds = Feeds::default();
        let slow = feeds.open(build());
        for version in 1..=1_000 {
            feeds.deliver(event(version, 100));
        }
        feeds.end(&build());
        assert_eq!(drained(slow).await, ((1..=1_000).collect(), Fed::Ended));
    }

    #[test]
    fn followers_that_come_and_go_while_nothing_happens_leave_nothing() {
        let mut feeds = Feeds::default();
        let stays = feeds.open(build());
        for _ in 0..100 {
            drop(feeds.open(build()));
        }
        assert_eq!(feeds.feeds[&build()].len(), 2, "the one that stays, and the last that went");
        drop(stays);
    }

    #[test]
    fn nothing_is_kept_where_nobody_listens() {
        let mut feeds = Feeds::default();
        drop(feeds.open(build()));
        assert!(feeds.has(&build()));
        feeds.deliver(event(1, 10));
        assert!(feeds.is_empty());
    }
}
