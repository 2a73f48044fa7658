//! The decider's side: every stream that is followed, each with the task that serves its followers.

use std::collections::HashMap;
use std::sync::Arc;

use antiphon_core::envelope::Recorded;
use antiphon_core::id::StreamName;

use super::Feed;
use super::backlog::{Inlet, backlog};
use super::fan_out::{Departure, Departures, Told, fan_out, weight};

/// Bytes of events that may wait for the task of one stream; room for the largest append twice.
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// The streams that somebody follows.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    streams: HashMap<StreamName, FollowedStream>,
    /// How many there may be before those that everybody has left are looked for.
    sweep_beyond: usize,
}

#[derive(Debug)]
struct FollowedStream {
    told: Inlet<Told>,
    departures: Arc<Departures>,
}

impl Feeds {
    /// Whether anybody follows a stream.
    pub(crate) fn has(&self, stream: &StreamName) -> bool {
        self.streams.get(stream).is_some_and(|followed| !followed.told.is_closed())
    }

    /// A feed of a stream from now on.
    pub(crate) fn open(&mut self, stream: StreamName) -> Feed {
        self.sweep();
        let followed = self.streams.entry(stream).or_insert_with(FollowedStream::start);
        let (follower, feed) = Feed::open(Departure(Arc::clone(&followed.departures)));
        if let Err(Told::Joined(follower)) = followed.told.put(0, Told::Joined(follower)) {
            // The last one left at this moment.
            follower.lose();
        }
        feed
    }

    /// Forgets the streams that everybody has left, also those in which nothing happens.
    fn sweep(&mut self) {
        if self.streams.len() > self.sweep_beyond {
            self.streams.retain(|_, followed| !followed.told.is_closed());
            self.sweep_beyond = 2 * self.streams.len();
        }
    }

    /// Hands an event over to those who follow its stream.
    pub(crate) fn deliver(&mut self, event: Recorded) {
        let Some(followed) = self.streams.get(&event.stream) else { return };
        let stream = event.stream.clone();
        if followed.told.put(weight(&event), Told::Event(Arc::new(event))).is_err() {
            self.streams.remove(&stream);
        }
    }

    /// Ends the feeds of a stream that takes in nothing more.
    pub(crate) fn end(&mut self, stream: &StreamName) {
        self.streams.remove(stream);
    }

    /// Ends the feeds of the other streams.
    pub(crate) fn keep(&mut self, goes_on: impl Fn(&StreamName) -> bool) {
        self.streams.retain(|stream, _| goes_on(stream));
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }
}

impl FollowedStream {
    fn start() -> Self {
        let (told, events) = backlog(WAITING_BYTES);
        let departures = Arc::<Departures>::default();
        tokio::spawn(fan_out(events, Arc::clone(&departures)));
        Self { told, departures }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use antiphon_core::digest::Digest;
    use antiphon_core::envelope::Payload;
    use antiphon_core::id::{Actor, Version};
    use antiphon_core::time::{LedgerTime, WallTime};

    use super::super::Fed;
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

    async fn next(feed: &mut Feed) -> Fed<Arc<Recorded>> {
        poll_fn(|context| feed.poll_next(context)).await
    }

    /// The versions that come out, and how it ends.
    async fn drained(mut feed: Feed) -> (Vec<u64>, Fed<Arc<Recorded>>) {
        let mut versions = Vec::new();
        loop {
            match next(&mut feed).await {
                Fed::Next(event) => versions.push(event.version.0),
                other => return (versions, other),
            }
        }
    }

    /// Until the task of the stream has found that nobody follows it.
    async fn left_alone(feeds: &Feeds) {
        while feeds.has(&build()) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_slow_follower_loses_its_feed_by_bytes_and_nobody_else_does() {
        let mut feeds = Feeds::default();
        let (slow, mut quick) = (feeds.open(build()), feeds.open(build()));
        for version in 1..=40 {
            feeds.deliver(event(version, 60_000));
            assert!(
                matches!(next(&mut quick).await, Fed::Next(event) if event.version.0 == version)
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

    #[tokio::test]
    async fn a_task_that_comes_to_nothing_loses_the_feeds_and_not_the_memory() {
        let mut feeds = Feeds::default();
        let slow = feeds.open(build());
        // The task has no turn in between.
        for version in 1..=1_000 {
            feeds.deliver(event(version, 60_000));
        }
        assert!(!feeds.has(&build()));
        let (versions, end) = drained(slow).await;
        assert_eq!((versions.len(), end), (17, Fed::Lost));
    }

    #[tokio::test]
    async fn a_thousand_followers_hear_every_event_in_order() {
        let mut feeds = Feeds::default();
        let followers: Vec<Feed> = (0..1_000).map(|_| feeds.open(build())).collect();
        for version in 1..=20 {
            feeds.deliver(event(version, 10));
        }
        feeds.end(&build());
        for follower in followers {
            assert_eq!(drained(follower).await, ((1..=20).collect(), Fed::Ended));
        }
    }

    #[tokio::test]
    async fn followers_that_come_and_go_while_nothing_happens_leave_nothing() {
        let mut feeds = Feeds::default();
        let mut stays = feeds.open(build());
        for _ in 0..100 {
            drop(feeds.open(build()));
        }
        feeds.deliver(event(1, 10));
        assert!(matches!(next(&mut stays).await, Fed::Next(_)));
        drop(stays);
        left_alone(&feeds).await;
        for other in ["coordination/one", "coordination/two", "coordination/three"] {
            drop(feeds.open(other.parse().unwrap()));
        }
        assert!(!feeds.streams.contains_key(&build()));
    }

    #[tokio::test]
    async fn whoever_joins_while_the_last_one_leaves_hears_what_follows_or_asks_again() {
        let mut feeds = Feeds::default();
        for version in 1..=100 {
            drop(feeds.open(build()));
            for _ in 0..version % 4 {
                tokio::task::yield_now().await;
            }
            let mut joined = feeds.open(build());
            feeds.deliver(event(version, 10));
            match next(&mut joined).await {
                Fed::Next(event) => assert_eq!(event.version.0, version),
                other => assert_eq!(other, Fed::Lost),
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_kept_where_nobody_listens() {
        let mut feeds = Feeds::default();
        drop(feeds.open(build()));
        left_alone(&feeds).await;
        feeds.deliver(event(1, 10));
        assert!(feeds.streams.is_empty());
    }
}
