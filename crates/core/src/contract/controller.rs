//! One coordination driven by its caller: it decides, applies and keeps the events to be appended.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;

use crate::coordination::event::CoordinationEvent;
use crate::coordination::{
    AbortReason, Capability, Change, ControllerError, Coordination, CoordinationConfig,
    CoordinationError, CoordinationObjectiveReceiptV1, EfeObjective, End, Ending, MAX_TEXT_BYTES,
    MAX_TRACKED_OBJECTIVES, NextStep, Report, Runner, Runners, SessionEnd, SessionOutcome,
    SkipReason, StartFacts, StopCondition, TerminationError, shortened,
};
use crate::digest::{Canonical, Digest};
use crate::envelope::{Blob, CommitTip, Recorded, StreamTip};
use crate::id::{Actor, CoordinationId, Epoch, SessionId, Version, WorkId};
use crate::live::{Live, Stamp};
use crate::time::Now;

/// A coordination that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Start {
    pub coordination_id: CoordinationId,
    /// The `coordination.started` event; the items follow in
    /// [`CoordinationController::take_events`].
    pub event: Recorded,
}

/// Whether work may be bound on what the caller has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct FreshnessCheck {
    pub work_id: WorkId,
    /// The version that the caller looked at.
    pub seq_id: u64,
    /// Whether it may be bound.
    pub is_eligible: bool,
    pub skip_reason: Option<String>,
}

/// A session that may start once its event is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "append the binding event before spawning the session"]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SpawnResult {
    /// The session's id, known before it is bound.
    pub session_id: SessionId,
    pub work_id: WorkId,
    /// Which attempt it is, from 1.
    pub attempt_number: u32,
    /// The `coordination.session_bound` event.
    pub binding_event: Recorded,
}

/// A session that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct TerminationResult {
    pub session_id: SessionId,
    pub work_id: WorkId,
    pub outcome: SessionOutcome,
    /// Tokens charged.
    pub tokens_consumed: u64,
    /// What follows for the item.
    pub then: NextStep,
    /// The `coordination.session_unbound` event.
    pub event: Recorded,
}

/// One coordination live. Its methods decide, apply, and leave events in the outbox; refused calls
/// change nothing.
///
/// The caller appends what [`CoordinationController::take_events`] gives before it acts on it, and
/// carries the sessions out.
///
/// ```
/// use antiphon_core::coordination::{
///     CoordinationBudget, CoordinationConfig, CoordinationController, SessionOutcome, StopCondition,
/// };
/// let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
/// let config = CoordinationConfig::new(vec!["build".to_owned()], budget, 3)?.with_id("nightly")?;
/// let mut controller = CoordinationController::new(config);
/// controller.start(1_000)?;
///
/// let bound = controller.prepare_session_spawn("build", controller.version().0, 2_000)?;
/// assert_eq!(bound.session_id.to_string(), "nightly.1");
/// let events = controller.take_events(); // to be appended before the session starts
/// assert_eq!(events.len(), 3);
///
/// let (session, work) = (&bound.session_id, &bound.work_id);
/// controller.record_session_termination(session, work, SessionOutcome::Success, 250, 3_000)?;
/// assert_eq!(controller.check_stop_condition(), Some(StopCondition::AllWorkCompleted));
/// let end = controller.complete(StopCondition::AllWorkCompleted, 4_000)?;
/// assert_eq!(end.receipt.budget_usage.consumed_tokens(), 250);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CoordinationController {
    config: Option<CoordinationConfig>,
    live: Option<Live<Coordination>>,
    objectives: BTreeMap<WorkId, EfeObjective>,
}

/// Bare coordinations that were started without a chosen id. It tells two of them apart that have
/// the same configuration and time, which nothing else that is handed in here could.
#[expect(
    clippy::disallowed_types,
    reason = "the id that it makes is recorded; nothing reads it back"
)]
static STARTED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

fn caller() -> Actor {
    Actor::new("caller").expect("BUG: a constant name")
}

/// What the driver of a bare controller can do, whatever an item's runner.
fn capability() -> Capability {
    Runners::caller().get(&Runner::Caller).unwrap_or_default()
}

fn stamp<'a>(now: &'a Now, actor: &'a Actor) -> Stamp<'a> {
    Stamp { now, actor, cause: None }
}

impl CoordinationController {
    /// A coordination that is not started yet.
    #[must_use]
    pub fn new(config: CoordinationConfig) -> Self {
        Self { config: Some(config), live: None, objectives: BTreeMap::new() }
    }

    /// Takes over what replay or a snapshot gave, and where its stream ends.
    ///
    /// # Errors
    /// [`ControllerError::AnotherTip`] if the stream ends at another version than the state.
    pub fn resume(run: Coordination, tip: StreamTip) -> Result<Self, ControllerError> {
        if tip.version != run.version() {
            return Err(ControllerError::AnotherTip {
                coordination_id: run.coordination_id().clone(),
                state: run.version(),
                tip: tip.version,
            });
        }
        let live = Some(Live::restore(run, tip));
        Ok(Self { config: None, live, objectives: BTreeMap::new() })
    }

    /// Starts the coordination. Without a chosen id it gets one made of its configuration, the time,
    /// and how many were started before in this process. Where several processes may start the same
    /// configuration at the same nanosecond, choose ids, or use
    /// [`CoordinationController::start_at`].
    ///
    /// # Errors
    /// [`ControllerError::CoordinationAlreadyExists`] if it was started before, or an item is too
    /// large to record.
    pub fn start(&mut self, timestamp_ns: u64) -> Result<Start, ControllerError> {
        self.start_at(&Now::from(timestamp_ns))
    }

    /// The same with random bytes of the caller, which make an id that is not chosen distinct
    /// everywhere.
    ///
    /// # Errors
    /// As [`CoordinationController::start`].
    pub fn start_at(&mut self, now: &Now) -> Result<Start, ControllerError> {
        if let Some(session) = self.session() {
            return Err(ControllerError::CoordinationAlreadyExists {
                coordination_id: session.coordination_id().clone(),
            });
        }
        let config = self.config.clone().ok_or(ControllerError::NotStarted)?;
        let id = match config.id() {
            Some(id) => id.clone(),
            None => {
                let mut bytes = Canonical::new("antiphon.coordination-id.2");
                bytes.digest(&config.digest()).u64(now.at.0).u64(now.wall.0);
                // Recorded with the first event: replay never asks for it again.
                bytes.u64(STARTED.fetch_add(1, Ordering::Relaxed)).digest(&Digest(now.random));
                CoordinationId::new(format!("c-{:.16}", bytes.hash().to_string()))?
            }
        };
        let facts = StartFacts::new(env!("CARGO_PKG_VERSION").to_owned(), Epoch(0));
        let actor = caller();
        let stamp = stamp(now, &actor);
        let (mut live, rest) = Live::start(id.clone(), config, facts, stamp)?;
        for event in rest {
            live.record(&event, stamp)?;
        }
        let event = live.outbox()[0].clone();
        *self = Self { config: None, live: Some(live), objectives: BTreeMap::new() };
        Ok(Start { coordination_id: id, event })
    }

    /// Why the coordination must stop, as of its last event; `None` while it may go on, and before
    /// its start.
    #[must_use]
    pub fn check_stop_condition(&self) -> Option<StopCondition> {
        let session = self.session()?;
        session.stop_condition_at(session.last_times().0)
    }

    /// Whether work may be bound by a caller that looked at version `seq_id`, given what the work's
    /// owner says. Judged at the latest time that the controller was given, by the same rule that
    /// [`CoordinationController::prepare_session_spawn`] goes by.
    ///
    /// # Errors
    /// [`ControllerError::Work`] if there is no such item in memory, or
    /// [`ControllerError::NotStarted`].
    pub fn check_work_freshness(
        &self,
        work_id: impl AsRef<str>,
        seq_id: u64,
        is_claimable: bool,
    ) -> Result<FreshnessCheck, ControllerError> {
        let session = self.started()?;
        let work_id = session.known_work(work_id.as_ref())?.spec.id.clone();
        let (at, wall) = (session.latest_at(), session.last_times().1);
        let now = Now { at, wall, random: [0; 32] };
        let skip_reason = if is_claimable {
            let looked_at = Some(Version(seq_id));
            let decided = session.decide_binding(work_id.as_str(), looked_at, capability(), &now);
            decided.err().map(|error| error.to_string())
        } else {
            Some("work is not claimable".to_owned())
        };
        Ok(FreshnessCheck { work_id, seq_id, is_eligible: skip_reason.is_none(), skip_reason })
    }

    /// Binds the next session to an item. Append the event before the session starts.
    ///
    /// # Errors
    /// A [`ControllerError`] says what is in the way.
    pub fn prepare_session_spawn(
        &mut self,
        work_id: impl AsRef<str>,
        seq_id: u64,
        timestamp_ns: u64,
    ) -> Result<SpawnResult, ControllerError> {
        let work_id = work_id.as_ref();
        let now = Now::from(timestamp_ns);
        let session = self.started()?;
        let bound = session.decide_binding(work_id, Some(Version(seq_id)), capability(), &now)?;
        let (session_id, attempt_number) = (session.session_id(bound.session), bound.attempt);
        let work_id = bound.work.clone();
        let binding_event = self.emit(&CoordinationEvent::SessionBound(bound), &now)?.clone();
        Ok(SpawnResult { session_id, work_id, attempt_number, binding_event })
    }

    /// Makes work ready whose moment has come, such as a retry after its back-off, and names the
    /// sessions whose time is over since the last call. [`Coordination::next_deadlines`]
    /// says when to call it.
    pub fn expire(&mut self, timestamp_ns: u64) -> Vec<SessionId> {
        let Some(live) = self.live.as_mut() else { return Vec::new() };
        let overdue = live.derived().wake(&Now::from(timestamp_ns));
        overdue.into_iter().map(|number| live.state().session_id(number)).collect()
    }

    /// Ends a session: charges it and decides what follows for its item. The session is given as a
    /// [`SessionId`] or as text.
    ///
    /// # Errors
    /// [`ControllerError::Termination`] or
    /// [`ControllerError::ClockRegression`].
    pub fn record_session_termination(
        &mut self,
        session_id: impl fmt::Display,
        work_id: impl AsRef<str>,
        outcome: SessionOutcome,
        tokens: u64,
        timestamp_ns: u64,
    ) -> Result<TerminationResult, ControllerError> {
        let (session_id, work_id) = (session_id.to_string(), work_id.as_ref());
        let now = Now::from(timestamp_ns);
        let session = self.started()?;
        let not_bound = || TerminationError::SessionNotBound { session_id: session_id.clone() };
        let id: SessionId = session_id.parse().map_err(|_| not_bound())?;
        if id.coordination != *session.coordination_id() {
            return Err(not_bound().into());
        }
        let (_, spec) = session.binding(id.number).ok_or_else(not_bound)?;
        if spec.id != *work_id {
            return Err(TerminationError::SessionWorkMismatch {
                session_id: id,
                actual: spec.id.clone(),
                claimed: work_id.to_owned(),
            }
            .into());
        }
        let end = SessionEnd::new(outcome).with_report(Report { tokens, ..Report::default() });
        let unbound = session.decide_unbinding(id.number, end, &now)?;
        let (work_id, then, tokens_consumed) =
            (unbound.work.clone(), unbound.then.clone(), unbound.used.tokens);
        let event = self.emit(&CoordinationEvent::SessionUnbound(unbound), &now)?.clone();
        self.skip_hopeless(&now)?;
        Ok(TerminationResult { session_id: id, work_id, outcome, tokens_consumed, then, event })
    }

    /// Skips an item that its owner says cannot be claimed, or that is no longer wanted.
    ///
    /// # Errors
    /// [`ControllerError::Work`] if there is no such item, or it runs or has its outcome.
    pub fn skip_work_item(
        &mut self,
        work_id: impl AsRef<str>,
        because: SkipReason,
        timestamp_ns: u64,
    ) -> Result<Recorded, ControllerError> {
        let skip = self.started()?.decide_skip(work_id.as_ref(), because)?;
        let now = Now::from(timestamp_ns);
        let event = self.emit(&CoordinationEvent::WorkSkipped(skip), &now)?.clone();
        self.skip_hopeless(&now)?;
        Ok(event)
    }

    /// Skips what can never run any more; a bare controller has no world to do it.
    fn skip_hopeless(&mut self, now: &Now) -> Result<(), ControllerError> {
        while let Some(skip) = self.started()?.propose_skip() {
            self.emit(&CoordinationEvent::WorkSkipped(skip), now)?;
        }
        Ok(())
    }

    /// Completes the coordination with a stop condition that holds; sessions that are still bound
    /// are closed first. Where there was work and none of it could ever be claimed, it is aborted
    /// for that instead.
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
        session.allow(Change::Complete)?;
        let stop = match stop {
            // What the first version worded is recorded as a code by now.
            StopCondition::Error(error) | StopCondition::WordedError(error) => {
                StopCondition::Error(match error {
                    CoordinationError::InvalidBudget { field } => {
                        let field = shortened(field, MAX_TEXT_BYTES);
                        CoordinationError::InvalidBudget { field }
                    }
                    error => error,
                })
            }
            stop => stop,
        };
        session.may_complete(&stop, now.at)?;
        self.close_sessions(&now)?;
        // The driver of a bare controller can claim whatever is ready.
        let ending = self.started()?.ending_on(stop, |_| true);
        Ok(self.live()?.finish(ending, CommitTip::default(), stamp(&now, &caller()))?)
    }

    /// Aborts the coordination; sessions that are still bound are closed first.
    ///
    /// # Errors
    /// [`ControllerError::State`] if it has ended, [`ControllerError::NotStarted`]
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
            reason => reason,
        };
        self.started()?.allow(Change::Abort)?;
        self.close_sessions(&now)?;
        let ending = Ending::Aborted(reason);
        Ok(self.live()?.finish(ending, CommitTip::default(), stamp(&now, &caller()))?)
    }

    fn close_sessions(&mut self, now: &Now) -> Result<(), ControllerError> {
        let open: Vec<u64> =
            self.started()?.bindings().map(|(binding, _)| binding.session).collect();
        for session in open {
            let end = SessionEnd::new(SessionOutcome::Cancelled)
                .with_text("the run ended")
                // What was not reported must not move the stop condition that is being recorded.
                .with_report(Report { estimated: true, ..Report::default() });
            let unbound = self.started()?.decide_unbinding(session, end, now)?;
            self.emit(&CoordinationEvent::SessionUnbound(unbound), now)?;
        }
        Ok(())
    }

    /// Scores an item for the planner, which orders ready work by it while it is on; an item that
    /// escalated leaves a receipt of the decision. A score is not in the record: it is gone with
    /// the controller.
    ///
    /// # Errors
    /// [`ControllerError::Work`], or [`ControllerError::TooManyObjectives`] beyond
    /// [`MAX_TRACKED_OBJECTIVES`].
    pub fn record_advisory_objective(
        &mut self,
        objective: EfeObjective,
    ) -> Result<Option<CoordinationObjectiveReceiptV1>, ControllerError> {
        let session = self.started()?;
        let attempts = session.known_work(objective.work_id().as_str())?.attempt_count;
        let receipt = CoordinationObjectiveReceiptV1::new(
            session.coordination_id().clone(),
            &objective,
            attempts,
            session.last_times().0.0,
        );
        if !self.objectives.contains_key(objective.work_id())
            && self.objectives.len() == MAX_TRACKED_OBJECTIVES
        {
            return Err(ControllerError::TooManyObjectives { max: MAX_TRACKED_OBJECTIVES });
        }
        let (work, score) = (objective.work_id().clone(), objective.efe_score());
        self.live()?.derived().record_score(work.as_str(), score);
        self.objectives.insert(work, objective);
        Ok(receipt)
    }

    /// The planner's score of an item, in millionths, if it was scored.
    #[must_use]
    pub fn advisory_score_for(&self, work_id: impl AsRef<str>) -> Option<u32> {
        self.objectives.get(work_id.as_ref()).map(EfeObjective::efe_score)
    }

    /// The ready item that goes first.
    #[must_use]
    pub fn current_work_id(&self) -> Option<&WorkId> {
        self.session()?.current_work_id()
    }

    /// Version of the last event, 0 before the start.
    #[must_use]
    pub fn version(&self) -> Version {
        self.tip().version
    }

    /// The end of the stream's chain.
    #[must_use]
    pub fn tip(&self) -> StreamTip {
        self.live.as_ref().map_or_else(StreamTip::default, Live::tip)
    }

    /// The state, once started.
    #[must_use]
    pub fn session(&self) -> Option<&Coordination> {
        self.live.as_ref().map(Live::state)
    }

    /// The events since the last call, in order. Append them before acting on them.
    #[must_use = "what is not appended is lost"]
    pub fn take_events(&mut self) -> Vec<Recorded> {
        self.live.as_mut().map(Live::take_events).unwrap_or_default()
    }

    /// The blobs that follow from the events: receipts, and finished items that left memory.
    #[must_use = "blobs go into the same append as the events that name them"]
    pub fn take_blobs(&mut self) -> Vec<Blob> {
        self.live.as_mut().map(Live::take_blobs).unwrap_or_default()
    }

    fn started(&self) -> Result<&Coordination, ControllerError> {
        self.session().ok_or(ControllerError::NotStarted)
    }

    fn live(&mut self) -> Result<&mut Live<Coordination>, ControllerError> {
        self.live.as_mut().ok_or(ControllerError::NotStarted)
    }

    fn emit(&mut self, event: &CoordinationEvent, now: &Now) -> Result<&Recorded, ControllerError> {
        Ok(self.live()?.record(event, stamp(now, &caller()))?)
    }
}
