//! One coordination in the world: its stream, and what is known of it besides its record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::turn::Draft;
use crate::append::HeadRow;
use crate::coordination::event::{CoordinationEvent, SessionUnbound};
use crate::coordination::{
    Coordination, End, Ending, KeyState, Proposal, RecordError, Runners, SessionEnd, StopCause,
    UnbindError, WriteRate,
};
use crate::envelope::{CommitTip, StreamTip};
use crate::id::{KeyName, Version, WorkId};
use crate::live::{EmitError, Live, Stamp};
use crate::time::{LedgerTime, Now, WallTime};

/// One coordination in the world.
#[derive(Debug)]
pub(super) struct Member {
    live: Live<Coordination>,
    unrecorded: Unrecorded,
}

/// What is known of a coordination and is not in its record. A restart forgets it, and so does a
/// rebuild after a failed append: nothing that is decided for the record may depend on it alone.
/// Whether the coordination's secrets are here is forgotten likewise; it lies in what the state
/// derives, as work is listed by it.
#[derive(Debug, Default)]
struct Unrecorded {
    /// Sessions that were asked to stop, and why first.
    asked: BTreeMap<u64, StopCause>,
    /// Nested items whose configuration was asked for.
    expanding: BTreeSet<WorkId>,
    /// Whether this engine carries it out and says so with its first event.
    resumes_later: bool,
    /// How fast sessions have written.
    write_rates: BTreeMap<u64, WriteRate>,
    /// Where the deadline tables list it.
    due: (Option<LedgerTime>, Option<WallTime>),
}

impl Member {
    pub(super) fn new(live: Live<Coordination>) -> Self {
        Self { live, unrecorded: Unrecorded::default() }
    }

    pub(super) fn into_state(self) -> Coordination {
        self.live.into_state()
    }

    pub(super) fn state(&self) -> &Coordination {
        self.live.state()
    }

    pub(super) fn tip(&self) -> StreamTip {
        self.live.tip()
    }

    pub(super) fn head(&self) -> HeadRow {
        self.live.head()
    }

    pub(super) fn refuse_regression(&self, now: &Now) -> Result<(), EmitError> {
        self.live.refuse_regression(now)
    }

    /// Records a decided event; returns the version it has.
    pub(super) fn record(
        &mut self,
        event: &CoordinationEvent,
        stamp: Stamp<'_>,
    ) -> Result<Version, RecordError> {
        self.live.record(event, stamp).map(|recorded| recorded.version)
    }

    /// Ends it; no session may be bound.
    pub(super) fn finish(
        &mut self,
        ending: Ending,
        commit: CommitTip,
        stamp: Stamp<'_>,
    ) -> Result<End, RecordError> {
        self.live.finish(ending, commit, stamp)
    }

    /// Moves what was emitted into the turn.
    pub(super) fn hand_over(&mut self, draft: &mut Draft) {
        draft.collect(&mut self.live);
    }

    /// The next thing to do without being asked.
    pub(super) fn propose(&self, now: &Now, runners: &Runners) -> Option<Proposal> {
        self.state().propose(now, runners, &self.unrecorded.expanding)
    }

    /// Makes due work ready; returns the sessions whose time is over and that were not asked to
    /// stop before.
    pub(super) fn wake(&mut self, now: &Now) -> Vec<u64> {
        let overdue = self.live.derived().wake(now);
        overdue.into_iter().filter(|number| self.ask(*number, StopCause::Timeout)).collect()
    }

    /// The sessions to be stopped because the coordination ends or is interrupted, and that were not
    /// asked before.
    pub(super) fn stop_sessions(&mut self) -> Vec<u64> {
        let to_stop: Vec<u64> = self.state().sessions_to_stop().collect();
        to_stop.into_iter().filter(|number| self.ask(*number, StopCause::Ending)).collect()
    }

    /// Notes why a session is asked to stop; the first cause stays. Returns whether it was not
    /// asked before.
    fn ask(&mut self, number: u64, cause: StopCause) -> bool {
        let fresh = !self.unrecorded.asked.contains_key(&number);
        self.unrecorded.asked.entry(number).or_insert(cause);
        fresh
    }

    /// Records a session's end. What its runner remembers of having been asked to stop goes before
    /// what is noted here.
    pub(super) fn unbind(
        &mut self,
        number: u64,
        end: SessionEnd,
        asked: Option<StopCause>,
        stamp: Stamp<'_>,
    ) -> Result<SessionUnbound, UnbindError> {
        let asked = asked.or_else(|| self.unrecorded.asked.get(&number).copied());
        let unbound = self.live.unbind(number, end, asked, stamp)?;
        self.unrecorded.asked.remove(&number);
        self.unrecorded.write_rates.remove(&number);
        Ok(unbound)
    }

    /// Whether a session may send a signal or set a key now; otherwise in how much time it may.
    pub(super) fn may_write(&mut self, number: u64, at: LedgerTime) -> Result<(), Duration> {
        self.unrecorded.write_rates.entry(number).or_default().take(at)
    }

    /// Says that the engine that carried it out is gone.
    pub(super) fn leave(&mut self) {
        self.live.derived().leave();
    }

    /// Has this engine carry it out, and say so on the record before the next event.
    pub(super) fn resume_later(&mut self) {
        self.live.derived().take_over();
        self.unrecorded.resumes_later = true;
    }

    /// Whether the record has yet to say that this engine carries it out.
    pub(super) fn resumes_later(&self) -> bool {
        self.unrecorded.resumes_later
    }

    /// Counts as left until the record says, next, that this engine carries it out.
    pub(super) fn resume_now(&mut self) {
        self.unrecorded.resumes_later = false;
        self.leave();
    }

    /// Takes out the shared keys that items need and that nobody has told yet.
    pub(super) fn take_untold(&mut self) -> BTreeSet<KeyName> {
        self.live.derived().take_untold()
    }

    /// Says what a key is that all share.
    pub(super) fn see_shared(&mut self, key: &KeyName, is: Option<&KeyState>) {
        self.live.derived().see_shared(key, is);
    }

    pub(super) fn hold_secrets(&mut self) {
        self.live.derived().hold_secrets();
    }

    /// Notes that an item's configuration was asked for.
    pub(super) fn expand(&mut self, work: WorkId) {
        self.unrecorded.expanding.insert(work);
    }

    /// Whether an item's configuration was asked for and has not come.
    pub(super) fn is_expanding(&self, work: &str) -> bool {
        self.unrecorded.expanding.contains(work)
    }

    pub(super) fn is_expanding_any(&self) -> bool {
        !self.unrecorded.expanding.is_empty()
    }

    pub(super) fn expanded(&mut self, work: &WorkId) {
        self.unrecorded.expanding.remove(work);
    }

    pub(super) fn due(&self) -> (Option<LedgerTime>, Option<WallTime>) {
        self.unrecorded.due
    }

    pub(super) fn set_due(&mut self, due: (Option<LedgerTime>, Option<WallTime>)) {
        self.unrecorded.due = due;
    }
}
