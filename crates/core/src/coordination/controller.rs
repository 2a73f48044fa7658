//! One coordination live: it decides, applies and keeps the events to be appended.

use std::collections::{BTreeMap, BTreeSet};

use super::admission;
use super::archive::Recalled;
use super::config::{CoordinationConfig, StartFacts};
use super::decide::{Proposal, StopCause, shortened};
use super::error::{ControllerError, CoordinationError};
use super::event::{
    Aborted, Completed, CoordinationEvent, SessionBound, SessionUnbound, WorkSkipped,
};
use super::outcome::{NextStep, Report, SessionEnd, SessionOutcome};
use super::planner::{CoordinationObjectiveReceiptV1, EfeObjective};
use super::receipt::{CoordinationReceipt, Ending};
use super::runners::Runners;
use super::session::{Coordination, Meta};
use super::stop::{AbortReason, StopCondition};
use super::work::{SkipReason, WorkSpec, WorkState};
use super::{MAX_TEXT_BYTES, MAX_TRACKED_OBJECTIVES};
use crate::digest::{Canonical, Digest};
use crate::envelope::{
    Blob, CommitTip, MAX_APPEND_BYTES, MAX_PAYLOAD_BYTES, Payload, Recorded, StreamTip,
};
use crate::id::{Actor, CommandId, CoordinationId, Epoch, SessionId, StreamName, Version, WorkId};
use crate::schema::AggregateEvent;
use crate::time::Now;

/// A coordination that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Its id.
    pub coordination_id: CoordinationId,
    /// The `coordination.started` event; the items follow in
    /// [`CoordinationController::take_events`].
    pub event: Recorded,
}

/// Whether work may be bound on what the caller has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessCheck {
    /// The item.
    pub work_id: WorkId,
    /// The version that the caller looked at.
    pub seq_id: u64,
    /// Whether it may be bound.
    pub is_eligible: bool,
    /// Why not.
    pub skip_reason: Option<String>,
}

/// A session that may start once its event is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "append the binding event before spawning the session"]
pub struct SpawnResult {
    /// The session's id, known before it is bound.
    pub session_id: SessionId,
    /// The item.
    pub work_id: WorkId,
    /// Which attempt it is, from 1.
    pub attempt_number: u32,
    /// The `coordination.session_bound` event.
    pub binding_event: Recorded,
}

/// A session that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminationResult {
    /// The session.
    pub session_id: SessionId,
    /// The item.
    pub work_id: WorkId,
    /// How it ended.
    pub outcome: SessionOutcome,
    /// Tokens charged.
    pub tokens_consumed: u64,
    /// What follows for the item.
    pub then: NextStep,
    /// The `coordination.session_unbound` event.
    pub event: Recorded,
}

/// A coordination that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The receipt.
    pub receipt: CoordinationReceipt,
    /// Its digest, which is in the event and names the blob.
    pub receipt_hash: Digest,
    /// The terminal event.
    pub event: Recorded,
}

/// One coordination live. Its methods decide, apply, and leave events in the outbox; refused calls
/// change nothing.
#[derive(Debug, Clone)]
pub struct CoordinationController {
    config: Option<CoordinationConfig>,
    session: Option<Coordination>,
    tip: StreamTip,
    events: Vec<Recorded>,
    blobs: Vec<Blob>,
    asked: BTreeMap<u64, StopCause>,
    objectives: BTreeMap<WorkId, EfeObjective>,
}

fn caller() -> Actor {
    Actor::new("caller").expect("BUG: a constant name")
}

impl CoordinationController {
    /// A coordination that is not started yet.
    #[must_use]
    pub fn new(config: CoordinationConfig) -> Self {
        Self {
            config: Some(config),
            session: None,
            tip: StreamTip::default(),
            events: Vec::new(),
            blobs: Vec::new(),
            asked: BTreeMap::new(),
            objectives: BTreeMap::new(),
        }
    }

    /// Takes over what replay or a snapshot gave.
    #[must_use]
    pub fn resume(session: Coordination, tip: StreamTip) -> Self {
        Self {
            config: None,
            session: Some(session),
            tip,
            events: Vec::new(),
            blobs: Vec::new(),
            asked: BTreeMap::new(),
            objectives: BTreeMap::new(),
        }
    }

    /// Starts the coordination. Without a chosen id it gets one made of its configuration and the
    /// time.
    ///
    /// # Errors
    /// [`ControllerError::CoordinationAlreadyExists`] if it was started before, or an item is too
    /// large to record.
    pub fn start(&mut self, timestamp_ns: u64) -> Result<Start, ControllerError> {
        let now = Now::from(timestamp_ns);
        if let Some(session) = &self.session {
            return Err(ControllerError::CoordinationAlreadyExists {
                coordination_id: session.coordination_id().clone(),
            });
        }
        let config = self.config.clone().ok_or(ControllerError::NotStarted)?;
        let id = match config.id() {
            Some(id) => id.clone(),
            None => {
                let mut bytes = Canonical::new("antiphon.coordination-id.1");
                bytes.digest(&config.digest()).u64(timestamp_ns);
                CoordinationId::new(format!("c-{:.16}", bytes.hash().to_string()))?
            }
        };
        let facts = StartFacts {
            parent: None,
            depth: 0,
            minted: false,
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: Epoch(0),
        };
        let (controller, event, rest) =
            Self::begin(id.clone(), config, facts, &now, &caller(), None)?;
        let mut controller = controller;
        for event in rest {
            controller.emit(event, &now, &caller(), None)?;
        }
        *self = controller;
        Ok(Start { coordination_id: id, event })
    }

    /// Begins a coordination and returns what must follow its first event before anything binds.
    pub(crate) fn begin(
        id: CoordinationId,
        config: CoordinationConfig,
        facts: StartFacts,
        now: &Now,
        actor: &Actor,
        cause: Option<CommandId>,
    ) -> Result<(Self, Recorded, Vec<CoordinationEvent>), ControllerError> {
        let (started, work) = config.into_start(facts);
        let rest = admission::events(work)?;
        let event = CoordinationEvent::Started(Box::new(started));
        let size = event.encode().len();
        if size > MAX_PAYLOAD_BYTES {
            let actual = size as u64;
            return Err(ControllerError::OutOfRange {
                field: "name and labels",
                actual,
                min: 0,
                max: MAX_PAYLOAD_BYTES as u64,
            });
        }
        let meta = Meta { version: Version(1), at: now.at, wall: now.wall, cause: cause.clone() };
        let session =
            Coordination::begin(id, &event, &meta).expect("BUG: a checked configuration starts");
        let mut controller = Self::resume(session, StreamTip::default());
        controller.record(&event, now, actor, cause);
        let first = controller.events[0].clone();
        Ok((controller, first, rest))
    }

    /// Why the coordination must stop, as of its last event; `None` while it may go on, and before
    /// its start.
    #[must_use]
    pub fn check_stop_condition(&self) -> Option<StopCondition> {
        let session = self.session.as_ref()?;
        session.stop_condition_at(session.last_at)
    }

    /// Whether work may be bound by a caller that looked at version `seq_id`, given what the work's
    /// owner says.
    ///
    /// # Errors
    /// [`ControllerError::WorkNotFound`] or [`ControllerError::NotStarted`].
    pub fn check_work_freshness(
        &self,
        work_id: &str,
        seq_id: u64,
        is_claimable: bool,
    ) -> Result<FreshnessCheck, ControllerError> {
        let item = self.started()?.known_item(work_id)?;
        let skip_reason = if !is_claimable {
            Some("work is not claimable".to_owned())
        } else if Version(seq_id) < item.changed {
            Some(format!("work changed at version {}, after version {seq_id}", item.changed))
        } else if matches!(item.state, WorkState::Ready | WorkState::Delayed(_)) {
            None
        } else {
            Some(format!("work is {}", item.state.as_str()))
        };
        Ok(FreshnessCheck {
            work_id: item.spec.id.clone(),
            seq_id,
            is_eligible: skip_reason.is_none(),
            skip_reason,
        })
    }

    /// Binds the next session to an item. Append the event before the session starts.
    ///
    /// # Errors
    /// A [`ControllerError`] says what is in the way.
    pub fn prepare_session_spawn(
        &mut self,
        work_id: &str,
        seq_id: u64,
        timestamp_ns: u64,
    ) -> Result<SpawnResult, ControllerError> {
        let now = Now::from(timestamp_ns);
        let session = self.session.as_mut().ok_or(ControllerError::NotStarted)?;
        let capability = Runners::caller().get(&super::Runner::Caller).unwrap_or_default();
        let bound = session.decide_binding(work_id, Some(Version(seq_id)), capability, &now)?;
        let (session_id, attempt_number) = (session.session_id(bound.session), bound.attempt);
        let work_id = bound.work.clone();
        let binding_event =
            self.emit(CoordinationEvent::SessionBound(bound), &now, &caller(), None)?.clone();
        Ok(SpawnResult { session_id, work_id, attempt_number, binding_event })
    }

    /// Makes work ready whose moment has come, such as a retry after its back-off, and names the
    /// sessions whose time is over since the last call. [`Coordination::next_deadlines`]
    /// says when to call it.
    pub fn expire(&mut self, timestamp_ns: u64) -> Vec<SessionId> {
        let Some(session) = self.session.as_mut() else { return Vec::new() };
        let overdue = session.wake(&Now::from(timestamp_ns));
        overdue.into_iter().map(|number| session.session_id(number)).collect()
    }

    /// Ends a session: charges it and decides what follows for its item.
    ///
    /// # Errors
    /// [`ControllerError::SessionNotBound`], [`ControllerError::SessionWorkMismatch`] or
    /// [`ControllerError::ClockRegression`].
    pub fn record_session_termination(
        &mut self,
        session_id: &str,
        work_id: &str,
        outcome: SessionOutcome,
        tokens: u64,
        timestamp_ns: u64,
    ) -> Result<TerminationResult, ControllerError> {
        let now = Now::from(timestamp_ns);
        let session = self.started()?;
        let not_bound = || ControllerError::SessionNotBound { session_id: session_id.to_owned() };
        let id: SessionId = session_id.parse().map_err(|_| not_bound())?;
        if id.coordination != *session.coordination_id() {
            return Err(not_bound());
        }
        let (_, spec) = session.binding(id.number).ok_or_else(not_bound)?;
        if spec.id != *work_id {
            return Err(ControllerError::SessionWorkMismatch {
                session_id: id,
                actual: spec.id.clone(),
                claimed: work_id.to_owned(),
            });
        }
        let end = SessionEnd::new(outcome).with_report(Report { tokens, ..Report::default() });
        let unbound = session.decide_unbinding(id.number, end, &now)?;
        let (work_id, then, tokens_consumed) =
            (unbound.work.clone(), unbound.then.clone(), unbound.used.tokens);
        let event =
            self.emit(CoordinationEvent::SessionUnbound(unbound), &now, &caller(), None)?.clone();
        self.skip_doomed(&now)?;
        Ok(TerminationResult { session_id: id, work_id, outcome, tokens_consumed, then, event })
    }

    /// Skips an item that its owner says cannot be claimed, or that nobody wants any more.
    ///
    /// # Errors
    /// [`ControllerError::WorkNotFound`] or [`ControllerError::WorkNotClaimable`] if it runs or has
    /// its outcome.
    pub fn skip_work_item(
        &mut self,
        work_id: &str,
        because: SkipReason,
        timestamp_ns: u64,
    ) -> Result<Recorded, ControllerError> {
        let skip = self.decide_skip(work_id, because)?;
        let now = Now::from(timestamp_ns);
        let event = self.emit(CoordinationEvent::WorkSkipped(skip), &now, &caller(), None)?.clone();
        self.skip_doomed(&now)?;
        Ok(event)
    }

    /// Skips what can never run any more; nobody else would for a bare controller.
    fn skip_doomed(&mut self, now: &Now) -> Result<(), ControllerError> {
        while let Some(skip) = self.started()?.propose_skip() {
            self.emit(CoordinationEvent::WorkSkipped(skip), now, &caller(), None)?;
        }
        Ok(())
    }

    pub(crate) fn decide_skip(
        &self,
        work_id: &str,
        because: SkipReason,
    ) -> Result<WorkSkipped, ControllerError> {
        let session = self.started()?;
        let item = session.known_item(work_id)?;
        self.refuse_ended()?;
        if !because.is_own_rule() {
            return Err(
                session.not_in_state("skips dependents of failed work itself; give another reason")
            );
        }
        if matches!(item.state, WorkState::Bound(_) | WorkState::Done(_)) {
            return Err(ControllerError::WorkNotClaimable {
                work_id: item.spec.id.clone(),
                state: item.state.as_str(),
                instead: "only work that does not run and has no outcome can be skipped",
            });
        }
        Ok(WorkSkipped { works: vec![item.spec.id.clone()], because })
    }

    /// Completes the coordination with a stop condition that holds; sessions that are still bound
    /// are closed first.
    ///
    /// # Errors
    /// [`ControllerError::WrongStopCondition`] if another holds, or none; `UserRequested` and
    /// `Error` may always be given.
    pub fn complete(
        &mut self,
        stop: StopCondition,
        timestamp_ns: u64,
    ) -> Result<End, ControllerError> {
        let now = Now::from(timestamp_ns);
        let session = self.started()?;
        self.refuse_ended()?;
        let holds = session.stop_condition_at(now.at);
        let stop = match stop {
            StopCondition::Error(CoordinationError::InvalidBudget { field }) => {
                StopCondition::Error(CoordinationError::InvalidBudget {
                    field: shortened(field, MAX_TEXT_BYTES),
                })
            }
            stop => stop,
        };
        let free = matches!(stop, StopCondition::UserRequested | StopCondition::Error(_));
        if !free && holds.as_ref() != Some(&stop) {
            return Err(ControllerError::WrongStopCondition { claimed: stop, actual: holds });
        }
        self.close_sessions(&now)?;
        self.finish(Ending::Completed(stop), CommitTip::default(), &now, &caller())
    }

    /// Aborts the coordination; sessions that are still bound are closed first.
    ///
    /// # Errors
    /// [`ControllerError::CoordinationTerminal`] if it has ended, [`ControllerError::NotStarted`]
    /// if it never began.
    pub fn abort(
        &mut self,
        reason: AbortReason,
        timestamp_ns: u64,
    ) -> Result<End, ControllerError> {
        let now = Now::from(timestamp_ns);
        let reason = match reason {
            AbortReason::Cancelled { reason } => {
                AbortReason::Cancelled { reason: shortened(reason, MAX_TEXT_BYTES) }
            }
            AbortReason::Error { message } => {
                AbortReason::Error { message: shortened(message, MAX_TEXT_BYTES) }
            }
            AbortReason::NoEligibleWork => reason,
        };
        self.refuse_ended()?;
        self.close_sessions(&now)?;
        self.finish(Ending::Aborted(reason), CommitTip::default(), &now, &caller())
    }

    fn close_sessions(&mut self, now: &Now) -> Result<(), ControllerError> {
        let open: Vec<u64> =
            self.started()?.bindings().map(|(binding, _)| binding.session).collect();
        for session in open {
            let end = SessionEnd::new(SessionOutcome::Cancelled)
                .with_text("the coordination ended")
                // What nobody reported must not move the stop condition that is being recorded.
                .with_report(Report { estimated: true, ..Report::default() });
            let mut unbound = self.started()?.decide_unbinding(session, end, now)?;
            // The end is in the same append, so that its item stays without an outcome whatever its
            // attempts.
            unbound.then = NextStep::Retry(now.at);
            self.emit(CoordinationEvent::SessionUnbound(unbound), now, &caller(), None)?;
        }
        Ok(())
    }

    /// Ends the coordination: receipt, terminal event, receipt blob. No session may be bound.
    pub(crate) fn finish(
        &mut self,
        ending: Ending,
        commit: CommitTip,
        now: &Now,
        actor: &Actor,
    ) -> Result<End, ControllerError> {
        self.refuse_regression(now)?;
        let session = self.started()?;
        let receipt = session.receipt(ending.clone(), now.at, now.wall, self.tip, commit);
        let blob = Blob::new(receipt.canonical_bytes());
        let receipt_hash = blob.digest;
        let (verdict, usage, totals) =
            (receipt.verdict, receipt.budget_usage.clone(), receipt.totals);
        let event = match ending {
            Ending::Completed(stop) => CoordinationEvent::Completed(Box::new(Completed {
                stop,
                verdict,
                usage,
                totals,
                receipt: receipt_hash,
            })),
            Ending::Aborted(reason) => CoordinationEvent::Aborted(Box::new(Aborted {
                reason,
                verdict,
                usage,
                totals,
                receipt: receipt_hash,
            })),
        };
        self.blobs.push(blob);
        let event = self.emit(event, now, actor, None)?.clone();
        Ok(End { receipt, receipt_hash, event })
    }

    /// Scores an item for the planner; an item that escalated leaves a receipt of the decision.
    ///
    /// # Errors
    /// [`ControllerError::WorkNotFound`], or [`ControllerError::OutOfRange`] beyond
    /// [`MAX_TRACKED_OBJECTIVES`].
    pub fn record_advisory_objective(
        &mut self,
        objective: EfeObjective,
    ) -> Result<Option<CoordinationObjectiveReceiptV1>, ControllerError> {
        let session = self.started()?;
        let attempts = session.known_item(objective.work_id().as_str())?.attempts;
        let receipt = CoordinationObjectiveReceiptV1::new(
            session.coordination_id().clone(),
            &objective,
            attempts,
            session.last_at.0,
        );
        if !self.objectives.contains_key(objective.work_id())
            && self.objectives.len() == MAX_TRACKED_OBJECTIVES
        {
            let max = MAX_TRACKED_OBJECTIVES as u64;
            return Err(ControllerError::OutOfRange {
                field: "objectives",
                actual: max + 1,
                min: 0,
                max,
            });
        }
        self.objectives.insert(objective.work_id().clone(), objective);
        Ok(receipt)
    }

    /// The planner's score of an item, in millionths, if it was scored.
    #[must_use]
    pub fn advisory_score_for(&self, work_id: &str) -> Option<u32> {
        self.objectives.get(work_id).map(EfeObjective::efe_score)
    }

    /// The ready item that goes first.
    #[must_use]
    pub fn current_work_id(&self) -> Option<&WorkId> {
        self.session.as_ref()?.current_work_id()
    }

    /// Version of the last event, 0 before the start.
    #[must_use]
    pub fn version(&self) -> Version {
        self.tip.version
    }

    /// The end of the stream's chain.
    #[must_use]
    pub fn tip(&self) -> StreamTip {
        self.tip
    }

    /// The state, once started.
    #[must_use]
    pub fn session(&self) -> Option<&Coordination> {
        self.session.as_ref()
    }

    /// The events since the last call, in order. Append them before acting on them.
    #[must_use = "what is not appended is lost"]
    pub fn take_events(&mut self) -> Vec<Recorded> {
        std::mem::take(&mut self.events)
    }

    /// The blobs that follow from the events: receipts, and finished items that left memory.
    #[must_use = "blobs go into the same append as the events that name them"]
    pub fn take_blobs(&mut self) -> Vec<Blob> {
        std::mem::take(&mut self.blobs)
    }

    pub(crate) fn started(&self) -> Result<&Coordination, ControllerError> {
        self.session.as_ref().ok_or(ControllerError::NotStarted)
    }

    pub(crate) fn refuse_ended(&self) -> Result<(), ControllerError> {
        let session = self.started()?;
        if session.status().is_terminal() {
            return Err(ControllerError::CoordinationTerminal {
                coordination_id: session.coordination_id().clone(),
            });
        }
        Ok(())
    }

    pub(crate) fn refuse_regression(&self, now: &Now) -> Result<(), ControllerError> {
        let last = self.started()?.last_at;
        if now.at < last {
            return Err(ControllerError::ClockRegression { last: last.0, current: now.at.0 });
        }
        Ok(())
    }

    /// Applies a decided event and puts it into the outbox.
    ///
    /// # Errors
    /// [`ControllerError::ClockRegression`] or [`ControllerError::CoordinationTerminal`]; nothing
    /// has changed then.
    ///
    /// # Panics
    /// If the event was decided wrongly: what is decided can be applied.
    pub(crate) fn emit(
        &mut self,
        event: CoordinationEvent,
        now: &Now,
        actor: &Actor,
        cause: Option<CommandId>,
    ) -> Result<&Recorded, ControllerError> {
        self.refuse_ended()?;
        self.refuse_regression(now)?;
        let session = self.session.as_mut().ok_or(ControllerError::NotStarted)?;
        let meta = Meta {
            version: self.tip.version.next(),
            at: now.at,
            wall: now.wall,
            cause: cause.clone(),
        };
        if let Err(error) = session.apply(&event, &meta) {
            panic!("BUG: a decided event cannot be applied: {error}");
        }
        self.blobs.extend_from_slice(session.archived());
        Ok(self.record(&event, now, actor, cause))
    }

    fn record(
        &mut self,
        event: &CoordinationEvent,
        now: &Now,
        actor: &Actor,
        cause: Option<CommandId>,
    ) -> &Recorded {
        let id = self.session.as_ref().map(|session| session.coordination_id().clone());
        let stream = StreamName::Coordination(id.expect("BUG: only started coordinations record"));
        let recorded = chained(stream, self.tip, event, now, actor, cause);
        self.tip = StreamTip { version: recorded.version, hash: recorded.hash };
        self.events.push(recorded);
        &self.events[self.events.len() - 1]
    }

    /// Says that the coordination's secrets are here.
    pub(crate) fn hold_secrets(&mut self) {
        if let Some(session) = &mut self.session {
            session.hold_secrets();
        }
    }

    /// The next thing to do of itself.
    pub(crate) fn propose(
        &self,
        now: &Now,
        runners: &Runners,
        expanding: &BTreeSet<WorkId>,
    ) -> Option<Proposal> {
        self.session.as_ref()?.propose(now, runners, expanding)
    }

    /// Makes due work ready and notes the sessions whose time is over; returns those not asked to
    /// stop before.
    pub(crate) fn wake(&mut self, now: &Now) -> Vec<u64> {
        let Some(session) = self.session.as_mut() else { return Vec::new() };
        let overdue = session.wake(now);
        overdue.into_iter().filter(|number| self.ask(*number, StopCause::Timeout)).collect()
    }

    /// Notes the sessions to be stopped because the coordination ends; returns those not asked
    /// before.
    pub(crate) fn stop_sessions(&mut self) -> Vec<u64> {
        let Some(session) = self.session.as_ref().filter(|session| session.must_stop_sessions())
        else {
            return Vec::new();
        };
        let open: Vec<u64> = session.bindings().map(|(binding, _)| binding.session).collect();
        open.into_iter().filter(|number| self.ask(*number, StopCause::Ending)).collect()
    }

    /// Notes why a session is asked to stop; the first cause stays. Returns whether it was not
    /// asked before.
    fn ask(&mut self, number: u64, cause: StopCause) -> bool {
        let fresh = !self.asked.contains_key(&number);
        self.asked.entry(number).or_insert(cause);
        fresh
    }

    /// Ends a session as it really ended: one that was asked to stop for its time has timed out,
    /// whatever it says. What its runner remembers of having been asked goes before what is noted
    /// here.
    pub(crate) fn unbind(
        &mut self,
        number: u64,
        mut end: SessionEnd,
        asked: Option<StopCause>,
        now: &Now,
        actor: &Actor,
    ) -> Result<SessionUnbound, ControllerError> {
        end.outcome = match (asked.or_else(|| self.asked.get(&number).copied()), end.outcome) {
            (
                Some(StopCause::Timeout),
                SessionOutcome::Success | SessionOutcome::Failure | SessionOutcome::Cancelled,
            ) => SessionOutcome::Timeout,
            (Some(StopCause::Ending), SessionOutcome::Failure) => SessionOutcome::Cancelled,
            // A nested coordination that was cancelled for its time before a restart, which forgets
            // who was asked.
            (None, SessionOutcome::Cancelled) if self.is_overdue(number, now) => {
                SessionOutcome::Timeout
            }
            (_, outcome) => outcome,
        };
        end.text = end.text.map(|text| shortened(text, MAX_TEXT_BYTES));
        let unbound = self.started()?.decide_unbinding(number, end, now)?;
        self.emit(CoordinationEvent::SessionUnbound(unbound.clone()), now, actor, None)?;
        self.asked.remove(&number);
        Ok(unbound)
    }

    fn is_overdue(&self, number: u64, now: &Now) -> bool {
        let binding = self.session.as_ref().and_then(|session| session.binding(number));
        binding.is_some_and(|(binding, _)| binding.deadline <= now.at)
    }

    /// The event that binds a nested item, if it may still be bound.
    pub(crate) fn decide_nested(
        &self,
        work: &str,
        runners: &Runners,
        now: &Now,
    ) -> Result<SessionBound, ControllerError> {
        let session = self.started()?;
        let item = session.known_item(work)?;
        let Some(capability) = runners.get(&item.spec.runner) else {
            return Err(session.not_in_state("has no plan for this item any more"));
        };
        session.decide_binding(work, None, capability, now)
    }

    /// The events that add work, checked against what is there; `recalled` is what has left memory
    /// and may be meant.
    pub(crate) fn decide_work(
        &self,
        items: Vec<WorkSpec>,
        adder: Option<u64>,
        recalled: &[Recalled],
    ) -> Result<Vec<CoordinationEvent>, ControllerError> {
        self.refuse_ended()?;
        let session = self.started()?;
        if items.is_empty() {
            return Err(ControllerError::EmptyWorkQueue);
        }
        if !session.status().is_running() {
            return Err(
                session.not_in_state("is still being started; add work once its start is complete")
            );
        }
        if session.stop_request().is_some() {
            return Err(session.not_in_state("is ending and takes no more work"));
        }
        if let Some(number) = adder {
            let id = session.session_id(number).to_string();
            let (_, own) = session
                .binding(number)
                .ok_or(ControllerError::SessionNotBound { session_id: id })?;
            if let Some(item) = items.iter().find(|item| item.priority > own.priority) {
                return Err(ControllerError::OutranksAdder {
                    work_id: item.id.clone(),
                    actual: item.priority,
                    max: own.priority,
                });
            }
        }
        let away = session.found_in(recalled, &items);
        let order = admission::admit(Some(session), &away, &items)?;
        let mut events = admission::recalls(away.into_values().collect());
        let mut added = admission::events(items.clone())?;
        if added.len() > 1 {
            // Each event must hold by itself on what is there before it.
            added = admission::events(
                order.into_iter().map(|position| items[position as usize].clone()).collect(),
            )?;
        }
        events.extend(added);
        let actual = events.iter().map(|event| event.encode().len() as u64).sum();
        let max = MAX_APPEND_BYTES as u64 / 2;
        if actual > max {
            return Err(ControllerError::OutOfRange {
                field: "bytes of work added at once",
                actual,
                min: 1,
                max,
            });
        }
        Ok(events)
    }
}

/// Puts an event into its envelope and links it to its stream.
pub(crate) fn chained<E: AggregateEvent>(
    stream: StreamName,
    tip: StreamTip,
    event: &E,
    now: &Now,
    actor: &Actor,
    cause: Option<CommandId>,
) -> Recorded {
    let payload = event.encode();
    assert!(
        payload.len() <= MAX_PAYLOAD_BYTES,
        "BUG: {} takes {} bytes",
        event.kind(),
        payload.len()
    );
    let mut recorded = Recorded {
        stream,
        version: tip.version.next(),
        kind: event.kind().into(),
        schema: event.schema(),
        at: now.at,
        wall: now.wall,
        actor: actor.clone(),
        cause,
        payload: Payload::Bytes(payload),
        prev: tip.hash,
        hash: Digest::GENESIS,
    };
    recorded.hash = recorded.computed_hash();
    recorded
}
