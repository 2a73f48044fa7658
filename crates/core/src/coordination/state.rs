//! One coordination's state, as its events left it.
//!
//! It hands every event on to the part that it concerns: first to be checked completely, then to be
//! applied. Live and replay go the same way. It judges nothing itself.

mod illegal;
mod reading;

use serde::{Deserialize, Serialize};

use self::illegal::Illegal;
use super::age::Age;
use super::approval::Questions;
use super::carried::Carried;
use super::error::{ApplyError, NotNow, StateError};
use super::event::{
    CoordinationEvent, OnTripped, Policies, RecordedEnding, Routed, SessionUnbound, Started,
    StopKind, StopRequested,
};
use super::fault::CoordinationError;
use super::key::Keys;
use super::life::{Change, Life, LifeError};
use super::receipt::ReceiptBuilder;
use super::remembered::Remembered;
use super::session::{NextStep, Sessions};
use super::signal::Signals;
use super::started::check_started;
use super::work::{Done, Moment, Told, Work, check_added};
use crate::envelope::Meta;
use crate::id::{Actor, CoordinationId, Version};
use crate::routing::RoutingDecision;
use crate::schema::AggregateEvent as _;
use crate::time::{LedgerTime, Now, WallTime};

/// One coordination as its events left it. Changes only through [`Coordination::apply`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coordination {
    coordination_id: CoordinationId,
    started: Box<Started>,
    started_wall: WallTime,
    version: Version,
    last_at: LedgerTime,
    last_wall: WallTime,
    age: Age,
    life: Life,
    carried: Carried,
    work: Work,
    sessions: Sessions,
    #[serde(default, skip_serializing_if = "Signals::is_empty")]
    signals: Signals,
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    keys: Keys,
    #[serde(default, skip_serializing_if = "Questions::is_empty")]
    questions: Questions,
    /// What was decided of the session whose end comes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<Box<Routed>>,
    /// What it has used and how its items ended, as far as it has come.
    receipt: ReceiptBuilder,
    commands: Remembered,
    /// The latest ledger time it was given; no event need have been recorded then.
    #[serde(skip)]
    woken_at: LedgerTime,
    /// Whether this engine holds its secrets.
    #[serde(skip)]
    has_secrets: bool,
}

impl Coordination {
    /// Tag of the snapshot bytes; a snapshot with another one is not used.
    pub const SNAPSHOT_FORMAT: &'static str = "coordination.13";

    /// Begins a coordination from its first event.
    ///
    /// # Errors
    /// [`ApplyError::Illegal`] if the event is not `coordination.started`, or its numbers are out
    /// of range.
    pub fn begin(
        id: CoordinationId,
        event: &CoordinationEvent,
        meta: &Meta,
    ) -> Result<Self, ApplyError> {
        let CoordinationEvent::Started(started) = event else {
            return Err(illegal(event, &Illegal::NotTheFirst));
        };
        meta.version.follows(Version(0))?;
        check_started(started).map_err(|why| illegal(event, &why.into()))?;
        let mut receipt = ReceiptBuilder::new(id.clone(), started.budget.clone(), meta.wall.0);
        receipt.record_epoch(started.epoch, &started.engine);
        if let Some(forerunner) = &started.forerunner {
            receipt.record_forerunner(forerunner.clone());
        }
        let mut begun = Self {
            coordination_id: id,
            started_wall: meta.wall,
            version: meta.version,
            last_at: meta.at,
            last_wall: meta.wall,
            age: Age::new(meta.at),
            life: Life::begin(started.items),
            carried: Carried::default(),
            work: Work::new(started),
            sessions: Sessions::default(),
            signals: Signals::default(),
            keys: Keys::default(),
            questions: Questions::default(),
            route: None,
            receipt,
            commands: Remembered::default(),
            woken_at: meta.at,
            has_secrets: false,
            started: started.clone(),
        };
        begun.remember(event, meta);
        Ok(begun)
    }

    /// Applies the next event.
    ///
    /// # Errors
    /// An [`ApplyError`] says why the event cannot follow; nothing has changed then.
    pub fn apply(&mut self, event: &CoordinationEvent, meta: &Meta) -> Result<(), ApplyError> {
        meta.version.follows(self.version)?;
        meta.at.not_before(self.last_at)?;
        self.check(event, meta).map_err(|why| illegal(event, &why))?;
        self.work.forget_archived();
        self.version = meta.version;
        self.last_at = meta.at;
        self.last_wall = meta.wall;
        self.change(event, meta);
        self.receipt.record_elapsed(self.elapsed_ticks_at(meta.at));
        self.remember(event, meta);
        // What was just recalled is there for the work that follows it, and a start is complete once
        // as many items are there as were announced.
        if !matches!(event, CoordinationEvent::WorkAdded(_)) && !self.life.is_starting() {
            self.work.archive_oldest();
        }
        Ok(())
    }

    /// What is in the way of an event. A history that was not decided by these rules is refused
    /// here.
    fn check(&self, event: &CoordinationEvent, meta: &Meta) -> Result<(), Illegal> {
        use CoordinationEvent as E;
        let demand = |holds: bool, or: Illegal| if holds { Ok(()) } else { Err(or) };
        let allow = |change| self.life.allows(change).map_err(Illegal::Life);
        self.check_follows_route(event)?;
        match event {
            E::Started(_) => Err(Illegal::StartedBefore),
            E::WorkAdded(added) => {
                let starting = self.life.is_starting();
                allow(if starting { Change::Begin } else { Change::AddWork })?;
                demand(
                    !starting || self.work.len() + added.items.len() <= self.started.items as usize,
                    Illegal::MoreThanAnnounced,
                )?;
                Ok(check_added(&self.work, added, starting, self.started.forerunner.as_ref())?)
            }
            E::SessionBound(bound) => Ok(self.check_bound(bound, meta)?),
            E::SessionUnbound(unbound) => {
                allow(Change::Note)?;
                Ok(self.check_unbound(unbound)?)
            }
            E::Routed(routed) => {
                allow(Change::Note)?;
                Ok(self.check_routed(routed)?)
            }
            E::SessionCleared(cleared) => {
                allow(Change::Note)?;
                self.may_clear(cleared.session).map_err(Illegal::Clearing)
            }
            E::WorkSkipped(skipped) => {
                allow(Change::Note)?;
                Ok(self.work.check_skipped(skipped, self.age.at(meta.at))?)
            }
            E::Signalled(sent) => {
                allow(Change::Signal)?;
                Ok(self.signals.check(sent, meta)?)
            }
            E::KeySet(set) => {
                allow(Change::SetKeys)?;
                Ok(self.keys.check(set)?)
            }
            E::Asked(asked) => {
                allow(Change::Approve)?;
                Ok(self.questions.check_asked(asked, meta)?)
            }
            E::Answered(answered) => {
                allow(Change::Approve)?;
                Ok(self.questions.check_answered(answered, meta.at)?)
            }
            E::Paused(_) => allow(Change::Pause),
            E::Continued(_) => allow(Change::Continue),
            E::BudgetRaised(raised) => {
                allow(Change::Raise)?;
                demand(self.budget().is_raised_by(&raised.budget), Illegal::BudgetNotHigher)
            }
            E::StopRequested(request) => allow(Change::Stop(request.kind)),
            E::Interrupted(interrupted) => {
                allow(Change::Note)?;
                self.check_absence(interrupted.swept, interrupted.away, meta)
            }
            E::Resumed(resumed) => {
                allow(Change::Note)?;
                self.check_absence(resumed.swept, resumed.away, meta)
            }
            E::WriteRefused(refused) => {
                allow(Change::Note)?;
                Ok(self.sessions.check_refused(refused)?)
            }
            E::Completed(completed) => {
                allow(Change::Complete)?;
                self.may_complete(&completed.stop, meta.at)?;
                Ok(self.check_end(RecordedEnding::from(&**completed), meta)?)
            }
            E::Aborted(aborted) => {
                allow(Change::Abort)?;
                Ok(self.check_end(RecordedEnding::from(&**aborted), meta)?)
            }
        }
    }

    /// Changes the state by an event that was checked.
    fn change(&mut self, event: &CoordinationEvent, meta: &Meta) {
        use CoordinationEvent as E;
        let moment = self.moment(meta);
        match event {
            // `begin` takes the first; a second is refused before it comes here.
            E::Started(_) => {}
            E::WorkAdded(added) => {
                self.work.bring_back(&added.recalled);
                for spec in &added.items {
                    let told = Told::new(&self.signals, &self.keys, &self.questions);
                    if let Some(done) = self.work.add(spec.clone(), moment, told) {
                        self.count(done);
                    }
                    if let Some(reused) = &spec.reused {
                        self.receipt.record_reused(&spec.id, reused);
                    }
                }
                if self.work.len() == self.started.items as usize {
                    self.life.activate();
                }
            }
            E::SessionBound(bound) => {
                let item = self.work.bind(&bound.work, bound.session, moment);
                self.sessions.bind(bound, item, meta.at, meta.version);
            }
            E::SessionUnbound(unbound) => self.unbind(unbound, meta),
            E::Routed(routed) => {
                self.receipt.record_route(routed);
                self.route = Some(routed.clone());
            }
            E::SessionCleared(cleared) => {
                if let Some(item) = self.sessions.forget_leftovers(cleared.session) {
                    self.work.release(item, moment);
                }
            }
            E::WorkSkipped(skipped) => {
                for done in self.work.skip(skipped, moment) {
                    self.count(done);
                }
            }
            E::Signalled(sent) => {
                self.signals.hear(sent, meta);
                self.work.hear(sent, moment);
                self.receipt.record_signal(&sent.kind);
            }
            E::KeySet(set) => {
                self.keys.apply(set, meta.version);
                self.work.see_keys(&set.changes, moment);
            }
            E::Asked(asked) => self.questions.ask(asked, meta.version),
            E::Answered(answered) => {
                if let Some(question) = self.questions.answer(answered, meta.version) {
                    self.receipt.record_answer(answered, &question.text, meta.version);
                    if question.by == *Actor::engine() {
                        self.work.see_answer(answered, &question.text, moment);
                    }
                }
            }
            E::Paused(paused) => {
                self.life.pause(paused.reason.clone());
                self.age.pause(meta.at);
            }
            E::Continued(_) => {
                self.life.resume();
                if self.started.policies.on_tripped == OnTripped::Pause {
                    self.life.reset_breaker();
                    self.work.forget_failures();
                }
                self.age.resume(meta.at);
            }
            E::BudgetRaised(raised) => self.receipt.record_budget(raised.budget.clone()),
            E::StopRequested(request) => self.life.stop(request.clone()),
            E::Interrupted(interrupted) => {
                self.be_away(interrupted.away, meta);
                self.receipt.record_epoch(interrupted.epoch, &interrupted.engine);
                self.carried.interrupt(interrupted);
                self.sessions.stop_nested_clocks();
            }
            E::Resumed(resumed) => {
                self.be_away(resumed.away, meta);
                self.receipt.record_epoch(resumed.epoch, &resumed.engine);
                self.receipt.record_resume();
                self.carried.resume();
            }
            E::WriteRefused(refused) => {
                self.sessions.refuse(refused);
                self.receipt.record_refused_write();
            }
            E::Completed(end) => self.end(RecordedEnding::from(&**end), meta),
            E::Aborted(end) => self.end(RecordedEnding::from(&**end), meta),
        }
    }

    /// Whether so many sessions can have been lost, and so much time have passed, while nobody
    /// carried it out.
    fn check_absence(&self, swept: u32, away: u64, meta: &Meta) -> Result<(), Illegal> {
        if swept as usize > self.sessions.len() {
            return Err(Illegal::SweptMoreThanBound);
        }
        if away > meta.at.since(self.last_at) {
            return Err(Illegal::AwayTooLong);
        }
        Ok(())
    }

    /// Nobody carried it out for so long: what it waits for comes so much later.
    fn be_away(&mut self, ns: u64, meta: &Meta) {
        if ns > 0 {
            self.age.be_away(ns);
            self.work.be_away(ns, meta.at);
            self.questions.be_away(ns);
        }
        self.sessions.be_away(ns);
    }

    fn unbind(&mut self, unbound: &SessionUnbound, meta: &Meta) {
        let item = self.sessions.unbind(unbound.session).item();
        self.receipt.record_session(unbound.outcome, &unbound.used);
        if unbound.then == NextStep::Hold {
            self.sessions.note_leftovers(unbound.session, item);
        }
        if let Some(done) = self.work.unbind(item, unbound, meta.at, self.moment(meta)) {
            self.count(done);
        }
        if let Some(routed) = self.route.take() {
            self.follow(*routed, self.moment(meta));
        }
    }

    /// What a decision means besides what becomes of its item.
    fn follow(&mut self, routed: Routed, moment: Moment) {
        self.work.note_decision(&routed);
        for target in &routed.to {
            self.work.route_to(target, moment);
        }
        let drain = StopKind::Drain;
        if routed.decision == RoutingDecision::End && self.life.allows(Change::Stop(drain)).is_ok()
        {
            let (by, reason) = (Actor::engine().clone(), routed.reasoning);
            self.life.stop(StopRequested { kind: drain, by, reason, parent: None });
        }
    }

    /// What was decided of the session whose end comes next.
    pub(super) fn route(&self) -> Option<&Routed> {
        self.route.as_deref()
    }

    fn moment(&self, meta: &Meta) -> Moment {
        Moment::new(meta.version, self.age.at(meta.at))
    }

    /// Counts an item that got its outcome.
    fn count(&mut self, done: Done) {
        if let Some(session) = done.waited_for {
            self.sessions.forget_leftovers(session);
        }
        let Policies { breaker, on_tripped, .. } = &self.started.policies;
        let streak = self.work.failed_in_a_row();
        if *on_tripped != OnTripped::Ignore && streak.failures() >= *breaker {
            self.life.trip(streak);
        }
        if done.aborts {
            let work_id = done.outcome.work_id.clone();
            self.life.fail(CoordinationError::WorkFailed { work_id });
        }
        self.receipt.record_work_outcome(done.outcome, done.critical);
    }

    fn end(&mut self, end: RecordedEnding<'_>, meta: &Meta) {
        for item in self.work.iter_unfinished() {
            self.receipt.record_work_outcome(item.outcome(), item.spec().critical);
        }
        self.life.end(end.ending, meta.wall, end.receipt);
    }

    fn remember(&mut self, event: &CoordinationEvent, meta: &Meta) {
        if let Some(cause) = &meta.cause {
            self.commands.add(cause, meta.version, event);
        }
    }

    /// Whether a change is possible where the coordination is in its life.
    ///
    /// # Errors
    /// [`StateError::CoordinationTerminal`] or [`StateError::NotInState`].
    pub(crate) fn allow(&self, change: Change) -> Result<(), StateError> {
        if self.is_shared() && !matches!(change, Change::SetKeys | Change::Note) {
            return Err(self.not_now(NotNow::KeysAlone));
        }
        self.life.allows(change).map_err(|error| match error {
            LifeError::Ended => {
                let coordination_id = self.coordination_id.clone();
                StateError::CoordinationTerminal { coordination_id }
            }
            error => self.not_now(error),
        })
    }

    pub(crate) fn not_now(&self, reason: impl Into<NotNow>) -> StateError {
        let coordination_id = self.coordination_id.clone();
        StateError::NotInState { coordination_id, reason: reason.into() }
    }

    /// Makes work ready whose moment has come, and names the sessions whose time is over since the
    /// last call.
    ///
    /// Touches only what is derived; the record says nothing of it.
    pub fn wake(&mut self, now: &Now) -> Vec<u64> {
        self.woken_at = self.woken_at.max(now.at);
        if self.is_carried() {
            self.work.wake(now);
        }
        self.sessions.take_overdue(now.at)
    }

    /// Says that the engine that carried it out is gone. Touches only what is derived; the record
    /// says nothing of it.
    pub(crate) fn leave(&mut self) {
        self.carried.leave();
        self.sessions.stop_nested_clocks();
    }

    /// Says that this engine carries it out, although the record does not say so yet. Touches only
    /// what is derived.
    pub(crate) fn take_over(&mut self) {
        self.carried.take_over();
    }

    /// Says that the coordination's secrets are here. Touches only what is derived; the record says
    /// nothing of it.
    pub(crate) fn hold_secrets(&mut self) {
        self.has_secrets = true;
    }

    /// Orders an item by a planner's score while the planner is on. Touches only what is derived;
    /// the record says nothing of it.
    pub(crate) fn record_score(&mut self, work: &str, score: u32) {
        self.work.record_score(work, score);
    }

    /// The state as bytes: equal states give equal bytes.
    ///
    /// # Panics
    /// Never for values that exist: the state is plain data with text keys.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: the state is plain data with text keys")
    }

    /// Reads a snapshot back.
    ///
    /// # Errors
    /// If the bytes are not a snapshot of this format; the caller replays instead.
    pub fn restore(snapshot: &[u8]) -> Result<Self, serde_json::Error> {
        let mut restored: Self = serde_json::from_slice(snapshot)?;
        if !restored.is_coherent() {
            return Err(serde::de::Error::custom(
                "the snapshot contradicts itself; replay the stream instead",
            ));
        }
        restored.woken_at = restored.last_at;
        let told = Told::new(&restored.signals, &restored.keys, &restored.questions);
        restored.work.rebuild(&restored.started, restored.life.is_starting(), told);
        restored.sessions.rebuild();
        if !restored.is_carried() {
            restored.sessions.stop_nested_clocks();
        }
        Ok(restored)
    }

    /// Whether what is stored twice agrees, so that a forged snapshot cannot lead out of bounds
    /// later.
    fn is_coherent(&self) -> bool {
        self.version >= Version(1)
            && self.budget_usage().tick_rate_hz() == self.budget().tick_rate_hz()
            && self.work.is_coherent()
            && self.route().is_none_or(|routed| self.sessions.get(routed.session).is_some())
            && self.receipt.forerunner() == self.started.forerunner.as_ref()
            && self.sessions.len() == self.work.running()
            && self.sessions.is_coherent(|item| self.work.state_at(item))
    }
}

fn illegal(event: &CoordinationEvent, why: &Illegal) -> ApplyError {
    ApplyError::Illegal { event: event.kind(), why: why.to_string() }
}
