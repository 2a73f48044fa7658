//! A turn in the making, and a turn on its way to the disk, each with what waits for it.

use std::collections::BTreeMap;

use antiphon_core::append::{Append, HeadRow};
use antiphon_core::envelope::{CommitTip, Recorded};
use antiphon_core::id::{CoordinationId, StreamName};
use antiphon_core::world::Action;

use super::log::logged;
use crate::mailbox::{Release, Unavailable};
use crate::session::ReportedEnd;
use crate::waits::Due;

/// What the next turn lets out besides what the world decides.
#[derive(Default)]
pub(super) struct TurnDraft {
    releases: Vec<Release>,
    waits: Vec<Due>,
    ends: Vec<ReportedEnd>,
    redacted: BTreeMap<StreamName, HeadRow>,
}

impl TurnDraft {
    /// Answers a caller with this turn.
    pub(super) fn answer(&mut self, release: Release) {
        self.releases.push(release);
    }

    /// Answers callers with this turn.
    pub(super) fn answer_all(&mut self, releases: impl IntoIterator<Item = Release>) {
        self.releases.extend(releases);
    }

    /// Answers callers that wait for something with this turn.
    pub(super) fn answer_waits(&mut self, due: impl IntoIterator<Item = Due>) {
        self.waits.extend(due);
    }

    /// Notes a session's end that this turn records.
    pub(super) fn records(&mut self, end: ReportedEnd) {
        self.ends.push(end);
    }

    /// Writes a head row that loses the texts of erased payloads.
    pub(super) fn redact(&mut self, head: HeadRow) {
        self.redacted.insert(head.stream.clone(), head);
    }

    /// Takes the answers out of it.
    pub(super) fn take_releases(&mut self) -> Vec<Release> {
        std::mem::take(&mut self.releases)
    }

    /// Takes the answers of waits out of it.
    pub(super) fn take_waits(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.waits)
    }

    /// The turn that only lets something out.
    pub(super) fn without_append(self, actions: Vec<Action>) -> TurnInFlight {
        let Self { releases, waits, ends, redacted: _ } = self;
        TurnInFlight { actions, releases, waits, ends, ..TurnInFlight::default() }
    }

    /// The turn that an append carries, with the events that somebody follows.
    pub(super) fn with_append(
        self,
        append: &mut Append,
        actions: Vec<Action>,
        takes_over: bool,
        followed: impl Fn(&StreamName) -> bool,
    ) -> TurnInFlight {
        let Self { releases, waits, ends, redacted } = self;
        append.heads.extend(redacted.into_values());
        let events = append.events.iter();
        let deliveries = events.filter(|event| followed(&event.stream)).cloned().collect();
        let payloads = append.events.iter().filter_map(|event| event.payload.bytes());
        let bytes = payloads.map(<[u8]>::len).sum();
        let ended = actions.iter().filter_map(|action| match action {
            Action::Ended { coordination, .. } => Some(coordination.clone()),
            _ => None,
        });
        let ended = ended.collect();
        let commit = append.commit.tip();
        let logged = logged(&append.events);
        TurnInFlight {
            actions,
            releases,
            waits,
            deliveries,
            logged,
            ends,
            ended,
            bytes,
            commit,
            takes_over,
        }
    }
}

/// A turn on its way to the disk.
#[derive(Default)]
pub(super) struct TurnInFlight {
    pub(super) actions: Vec<Action>,
    pub(super) releases: Vec<Release>,
    /// Answers to those that wait for something. Where it is lost they go on waiting.
    pub(super) waits: Vec<Due>,
    pub(super) deliveries: Vec<Recorded>,
    /// Events for the log.
    pub(super) logged: Vec<Recorded>,
    /// Ends of sessions that it records.
    pub(super) ends: Vec<ReportedEnd>,
    /// Coordinations that end with it.
    pub(super) ended: Vec<CoordinationId>,
    pub(super) bytes: usize,
    /// The end of the commit chain with this.
    pub(super) commit: CommitTip,
    /// Whether all that was found in the ledger is taken over with this.
    pub(super) takes_over: bool,
}

impl TurnInFlight {
    /// Lets out what another turn, which has nothing to append, would have let out.
    pub(super) fn join(&mut self, other: Self) {
        self.actions.extend(other.actions);
        self.releases.extend(other.releases);
        self.waits.extend(other.waits);
        self.ends.extend(other.ends);
    }

    /// Tells everybody who waits for it that it was not recorded. The ends that it would have
    /// recorded are left.
    pub(super) fn give_up(self, answer: &Unavailable) -> Vec<ReportedEnd> {
        for release in self.releases {
            release(Err(answer.clone()));
        }
        self.ends
    }
}
