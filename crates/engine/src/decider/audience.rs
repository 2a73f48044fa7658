//! Those who wait for something to come to pass: callers for a start or an end, followers for
//! events.

use std::collections::HashMap;

use antiphon_core::digest::Digest;
use antiphon_core::envelope::Recorded;
use antiphon_core::id::{CoordinationId, StreamName};
use tokio::sync::oneshot;

use super::waiters::Waiters;
use crate::feed::{Feed, Feeds};
use crate::mailbox::{Ended, Release, Unavailable};

/// Who waits for what.
#[derive(Default)]
pub(super) struct Audience {
    /// Callers whose start continues in the next turns.
    starts: Vec<(CoordinationId, Release)>,
    waiters: Waiters,
    feeds: Feeds,
    /// Coordinations whose end is not durable yet, with the digests of what they were started with.
    ending: HashMap<CoordinationId, Digest>,
}

impl Audience {
    /// A caller is answered with the turn that completes the start.
    pub(super) fn await_start(&mut self, coordination: CoordinationId, release: Release) {
        self.starts.push((coordination, release));
    }

    pub(super) fn has_starts(&self) -> bool {
        !self.starts.is_empty()
    }

    /// The answers of starts that are complete.
    pub(super) fn complete_starts(
        &mut self,
        is_starting: impl Fn(&CoordinationId) -> bool,
    ) -> Vec<Release> {
        let (starting, complete): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.starts).into_iter().partition(|(id, _)| is_starting(id));
        self.starts = starting;
        complete.into_iter().map(|(_, release)| release).collect()
    }

    /// A caller waits for an end.
    pub(super) fn await_end(
        &mut self,
        coordination: CoordinationId,
        reply: oneshot::Sender<Result<Option<Ended>, Unavailable>>,
    ) {
        self.waiters.add(coordination, reply);
    }

    /// Notes that a coordination ends with a turn that is on its way to the disk.
    pub(super) fn begin_end(&mut self, coordination: CoordinationId, plan: Digest) {
        self.ending.insert(coordination, plan);
    }

    /// What a coordination was started with whose end is on its way to the disk.
    pub(super) fn ending(&self, coordination: &CoordinationId) -> Option<&Digest> {
        self.ending.get(coordination)
    }

    /// The end of a coordination is durable.
    pub(super) fn finish_end(&mut self, coordination: &CoordinationId) {
        self.ending.remove(coordination);
    }

    /// Tells those who wait that a coordination has ended.
    pub(super) fn announce(&mut self, ended: &Ended) {
        self.waiters.tell(ended);
    }

    /// The last event of a coordination was delivered.
    pub(super) fn end_feeds(&mut self, coordination: CoordinationId) {
        self.feeds.end(&StreamName::Coordination(coordination));
    }

    /// A feed of a stream from now on.
    pub(super) fn follow(&mut self, stream: StreamName) -> Feed {
        self.feeds.open(stream)
    }

    /// Whether anybody follows a stream: only then are its events kept until they are durable.
    pub(super) fn follows(&self, stream: &StreamName) -> bool {
        self.feeds.has(stream)
    }

    pub(super) fn deliver(&mut self, event: Recorded) {
        self.feeds.deliver(event);
    }

    /// What was on its way was given up: nothing ends with it, and starts that were not complete
    /// are refused.
    pub(super) fn give_up(&mut self, answer: &Unavailable) {
        self.ending.clear();
        for (_, release) in std::mem::take(&mut self.starts) {
            release(Err(answer.clone()));
        }
    }

    /// Sends those away who wait for what is not live any more, or follow it.
    pub(super) fn keep(&mut self, is_live: impl Fn(&CoordinationId) -> bool) {
        self.feeds.keep(|stream| match stream {
            StreamName::Coordination(id) => is_live(id),
            _ => true,
        });
        self.waiters.keep(is_live);
    }

    /// Lets all go: no end and no event will be recorded any more. A caller that waits already is
    /// answered like one that comes later.
    pub(super) fn dismiss(&mut self, answer: &Unavailable) {
        self.waiters.refuse(answer);
        self.feeds.clear();
    }
}
