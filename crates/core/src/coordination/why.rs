//! Why an item does not run now: a precise list of reasons.

use std::collections::BTreeSet;
use std::fmt;

use super::error::{BindError, WorkError, verb};
use super::reused::Reused;
use super::runners::Runners;
use super::signal::SignalType;
use super::state::Coordination;
use super::stop::StopCondition;
use super::work::{
    KeyNeed, Need, NeedTarget, Runner, SignalNeed, SkipReason, WorkItem, WorkItemOutcome, WorkState,
};
use crate::id::{CoordinationId, QuestionId, SessionId, Version, WorkId};
use crate::routing::RoutingDecision;
use crate::time::{Deadline, Now};

/// What [`Blocked::NoRunner`] names where the item says no name itself.
const PROCESSES: &str = "process runner";
const CALLER: &str = "caller";

/// One thing that keeps an item from running.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Blocked {
    /// The start is not complete.
    Starting { recorded: usize, announced: u32 },
    /// It waits for another item, which is in this state.
    NeedsWork {
        work: WorkId,
        /// Its state in one word.
        state: &'static str,
    },
    /// It waits for a group, of which so many items have no outcome.
    NeedsGroup {
        group: String,
        /// Items without an outcome.
        unfinished: u32,
    },
    /// It needs a group in which this item failed, or was skipped for one that did.
    GroupFailed { group: String, work: WorkId },
    /// It waits for a signal that has not come.
    NeedsSignal {
        need: SignalNeed,
        /// The last one that does not count, as it tells of a failure.
        failed: Option<Version>,
        /// The items that it would be told by, and their states in one word.
        items: Vec<(WorkId, &'static str)>,
    },
    /// It waits for a key, which has this value, if any.
    NeedsKey {
        need: KeyNeed,
        /// Its value as people write it.
        value: Option<String>,
        /// The value of the key that all runs share, where that counts, too.
        shared: Option<String>,
    },
    /// It waits for a person's yes to this question.
    NeedsApproval {
        question: String,
        /// Its id, once it is asked.
        asked: Option<QuestionId>,
    },
    /// It waits for a route to it.
    NeedsRoute {
        /// The items that may route to it and have no outcome, each with its state.
        by: Vec<(WorkId, &'static str)>,
    },
    /// It has its outcome, and was skipped for this.
    Skipped { because: SkipReason },
    /// It was decided what follows an attempt at it.
    Decided {
        session: SessionId,
        decision: RoutingDecision,
        /// The items that went on, where it named some.
        to: Vec<WorkId>,
        /// The rule that decided, if one did.
        rule: Option<String>,
        reason: String,
    },
    /// It is skipped if this is not there at this moment.
    TimesOut { need: NeedTarget, until: Deadline },
    /// It waits for a moment.
    Delayed { until: Deadline },
    /// A session carries it out.
    Running {
        session: SessionId,
        /// Which attempt it is.
        attempt: u32,
    },
    /// A session is to carry it out and waits until its machine has room for it, before it starts
    /// or in the middle of its work. The state of a coordination does not tell; who starts and
    /// serves sessions does.
    AwaitingRoom {
        session: SessionId,
        /// What there is no room for, with the path or the limit.
        what: String,
    },
    /// This session ended and left something running, which must be gone first.
    AwaitingCleanup {
        session: SessionId,
        /// What is known to be left, or may be, and what to do then. The state of a coordination
        /// does not tell; who looks does.
        left: Vec<String>,
    },
    /// The nested coordination that carries it out is paused.
    NestedPaused { coordination: CoordinationId, reason: String },
    /// It has its outcome.
    Finished { outcome: &'static str },
    /// It succeeded in an earlier run, and was taken over from there.
    TakenOver {
        from: CoordinationId,
        /// The item there.
        work: WorkId,
        /// The session that carried it out, there or in an earlier run, if that is known.
        session: Option<SessionId>,
    },
    /// Nothing that keeps it from running: why this retry carries it out.
    Retried {
        /// The run that is retried.
        of: CoordinationId,
        reason: String,
    },
    /// The coordination is paused.
    Paused { reason: String },
    /// Nobody carries the coordination out.
    Interrupted {
        /// Why, in a few words, if that is known.
        reason: String,
    },
    /// The coordination is ending.
    Stopping { stop: StopCondition },
    /// The coordination has ended.
    Ended,
    /// All slots are taken, by these sessions.
    NoSlot {
        /// Sessions at a time.
        concurrency: u32,
        held_by: Vec<SessionId>,
    },
    /// As many items of its group run as may, in these sessions.
    GroupFull { group: String, held_by: Vec<SessionId> },
    /// Nothing is left to grant because these sessions hold it.
    NothingToGrant {
        meter: &'static str,
        /// The sessions that hold reservations.
        held_by: Vec<SessionId>,
    },
    /// Its runner is not there.
    NoRunner { runner: String },
    /// It needs secrets, which are not recorded, and this engine does not have all of them.
    NoSecrets,
    /// Its nested plan was asked for and has not come yet.
    Expanding,
    /// Other ready work goes first.
    Behind {
        /// The item that goes first.
        work: WorkId,
    },
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |ids: &[SessionId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Starting { recorded, announced } => {
                write!(
                    f,
                    "the start is incomplete: {recorded} of {announced} items are recorded; \
                     submit it again to complete it"
                )
            }
            Self::NeedsWork { work, state } => {
                write!(f, "it needs {work}, which {} {state}", verb(state))
            }
            Self::NeedsGroup { group, unfinished } => {
                let have = if *unfinished == 1 { "has" } else { "have" };
                write!(f, "it needs group {group}, of which {unfinished} {have} no outcome")
            }
            Self::GroupFailed { group, work } => {
                write!(f, "it needs group {group}, in which {work} failed")
            }
            Self::NeedsSignal { need, failed, items } => {
                write!(f, "it needs {need}, which has not come")?;
                if let Some(version) = failed {
                    write!(f, "; the one of version {version} tells of a failure")?;
                }
                for (work, state) in items {
                    write!(f, "; {work} {} {state}", verb(state))?;
                }
                Ok(())
            }
            Self::NeedsKey { need, value: None, shared: None } => {
                write!(f, "it needs {need}, and nothing is there")
            }
            Self::NeedsKey { need, value: Some(value), shared: None } => {
                write!(f, "it needs {need}, and it is {value}")
            }
            Self::NeedsKey { need, value: None, shared: Some(shared) } => {
                write!(f, "it needs {need}, and that of shared is {shared}")
            }
            Self::NeedsKey { need, value: Some(value), shared: Some(shared) } => {
                write!(f, "it needs {need}, and it is {value} in the run and {shared} in shared")
            }
            Self::NeedsApproval { question, asked: Some(id) } => {
                write!(f, "it needs an answer to question {id}: {question}")
            }
            Self::NeedsApproval { question, asked: None } => {
                write!(f, "it needs approval, for which a person will be asked: {question}")
            }
            Self::NeedsRoute { by } if by.is_empty() => {
                f.write_str("it needs an item that routes to it, and none does")
            }
            Self::NeedsRoute { by } => {
                f.write_str("it needs a route to it")?;
                for (work, state) in by {
                    write!(f, "; {work}, which may route to it, {} {state}", verb(state))?;
                }
                Ok(())
            }
            Self::Skipped { because: SkipReason::NeedTimedOut(target) } => {
                write!(f, "{target} was not there in time")
            }
            Self::Skipped { because: SkipReason::Denied(question) } => {
                write!(f, "the answer to question {question} was no")
            }
            Self::Skipped { because: SkipReason::NotRouted } => {
                f.write_str("nothing routed to it, and nothing could any more")
            }
            Self::Skipped { because } => write!(f, "{because:?}"),
            Self::Decided { session, decision, to, rule, reason } => {
                write!(f, "after session {session} it was decided: {}", decision.as_str())?;
                let names: Vec<&str> = to.iter().map(WorkId::as_str).collect();
                if !names.is_empty() {
                    write!(f, " to {}", names.join(", "))?;
                }
                if let Some(rule) = rule {
                    write!(f, ", by {rule}")?;
                }
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::TimesOut { need, until } => {
                write!(f, "it is skipped if {need} is still missing at {until}")
            }
            Self::Delayed { until } => write!(f, "it waits until {}", until),
            Self::Running { session, attempt } => {
                write!(f, "it runs: session {session}, attempt {attempt}")
            }
            Self::AwaitingRoom { session, what } => {
                write!(f, "session {session} waits for room on its machine: {what}")
            }
            Self::NestedPaused { coordination, reason } => {
                write!(f, "it waits for {coordination}, which carries it out and is paused")?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::AwaitingCleanup { session, left } if left.is_empty() => {
                write!(
                    f,
                    "session {session} ended and left something running; it waits until that \
                     is gone"
                )
            }
            Self::AwaitingCleanup { session, left } => {
                write!(
                    f,
                    "session {session} ended; it waits until this is gone: \
                     {}",
                    left.join(", ")
                )
            }
            Self::Finished { outcome } => write!(f, "it {} {outcome}", verb(outcome)),
            Self::TakenOver { from, work, session: None } => {
                write!(f, "it succeeded as {work} of run {from} and was taken over from there")
            }
            Self::TakenOver { from, work, session: Some(session) } => write!(
                f,
                "session {session} carried it out; it succeeded as {work} of run {from} and was \
                 taken over from there"
            ),
            Self::Retried { of, reason } => {
                write!(f, "this retry of {of} carries it out: {reason}")
            }
            Self::Interrupted { reason } if reason.is_empty() => {
                f.write_str("the run is interrupted until it is resumed")
            }
            Self::Interrupted { reason } => {
                write!(f, "the run is interrupted until it is resumed: {reason}")
            }
            Self::Paused { reason } if reason.is_empty() => f.write_str("the run is paused"),
            Self::Paused { reason } => write!(f, "the run is paused: {reason}"),
            Self::Stopping { stop: StopCondition::UserRequested } => {
                f.write_str("the run is stopping on request")
            }
            Self::Stopping { stop } => write!(f, "the run is stopping: {}", stop.describe()),
            Self::Ended => f.write_str("the run has ended"),
            Self::NoSlot { concurrency, held_by } => {
                write!(f, "all {concurrency} slots are taken by {}", list(held_by))
            }
            Self::NothingToGrant { meter, held_by } if held_by.is_empty() => {
                write!(f, "no {meter} left to grant")
            }
            Self::NothingToGrant { meter, held_by } => {
                let hold = if held_by.len() == 1 { "holds" } else { "hold" };
                write!(f, "no {meter} left to grant; {} {hold} the rest", list(held_by))
            }
            Self::GroupFull { group, held_by } => {
                write!(f, "group {group} has reached its limit of sessions: {}", list(held_by))
            }
            Self::NoRunner { runner } => match runner.as_str() {
                PROCESSES => f.write_str("this engine cannot run processes"),
                CALLER => f.write_str("this item is run by its caller"),
                named => write!(f, "no {named} is registered"),
            },
            Self::NoSecrets => f.write_str("it waits for its secrets, which are never recorded"),
            Self::Expanding => f.write_str("its plan is being fetched"),
            Self::Behind { work } => write!(f, "{work} goes first"),
        }
    }
}

impl Coordination {
    /// Everything that keeps an item from running now; empty if it would be bound at the next turn.
    /// What was decided of its last attempt follows; in a retry, the last one says why it is carried out.
    ///
    /// # Errors
    /// [`WorkError::WorkNotFound`].
    pub fn why(&self, work: &str, now: &Now, runners: &Runners) -> Result<Vec<Blocked>, WorkError> {
        let mut reasons = self.kept_by(work, now, runners)?;
        let item = self.work().known(work)?;
        let decided = item.decided().filter(|_| !reasons.is_empty());
        reasons.extend(decided.map(|routed| Blocked::Decided {
            session: self.session_id(routed.session),
            decision: routed.decision,
            to: routed.to.clone(),
            rule: routed.rule.as_ref().map(ToString::to_string),
            reason: routed.reasoning.clone(),
        }));
        let retried = item.spec().again.clone();
        if let (Some(reason), Some(forerunner)) = (retried, &self.started().forerunner) {
            reasons.push(Blocked::Retried { of: forerunner.coordination.clone(), reason });
        }
        Ok(reasons)
    }

    fn kept_by(&self, work: &str, now: &Now, runners: &Runners) -> Result<Vec<Blocked>, WorkError> {
        let item = self.work().known(work)?;
        if let Some(Reused { from, work, session, .. }) = item.spec().reused.as_deref() {
            let work = work.as_ref().unwrap_or_else(|| item.id()).clone();
            let (from, session) = (from.clone(), session.clone());
            return Ok(vec![Blocked::TakenOver { from, work, session }]);
        }
        match item.state() {
            WorkState::Done(outcome) => {
                let mut reasons = vec![Blocked::Finished { outcome: outcome.as_str() }];
                if let WorkItemOutcome::Skipped(
                    because @ (SkipReason::NeedTimedOut(_)
                    | SkipReason::Denied(_)
                    | SkipReason::NotRouted),
                ) = outcome
                {
                    reasons.push(Blocked::Skipped { because: because.clone() });
                }
                if let WorkItemOutcome::Skipped(SkipReason::NeedFailed(root)) = outcome {
                    // One that has left memory is not looked up: it was skipped for failing.
                    let found = self.work().find(root.as_str());
                    let state = found.map_or("failed", |item| item.state().as_str());
                    reasons.push(Blocked::NeedsWork { work: root.clone(), state });
                }
                return Ok(reasons);
            }
            // A nested run is left alone together with the one that it is in.
            WorkState::Bound(_) if item.spec().runner.is_plan() && !self.is_carried() => {
                let reason = self.interruption().unwrap_or_default().to_owned();
                return Ok(vec![Blocked::Interrupted { reason }]);
            }
            WorkState::Bound(session) => {
                let attempt = item.attempts() + 1;
                return Ok(vec![Blocked::Running { session: self.session_id(*session), attempt }]);
            }
            _ => {}
        }
        if self.is_ended() {
            return Ok(vec![Blocked::Ended]);
        }
        let mut reasons = Vec::new();
        if self.is_starting() {
            reasons.push(Blocked::Starting {
                recorded: self.work().len(),
                announced: self.started().items,
            });
        }
        if matches!(item.state(), WorkState::Waiting(_)) {
            reasons.extend(item.spec().needs.iter().filter_map(|need| self.unmet_need(item, need)));
        }
        reasons.extend(self.missing(item));
        if let WorkState::AwaitingCleanup(session) = *item.state() {
            reasons.push(Blocked::AwaitingCleanup {
                session: self.session_id(session),
                left: Vec::new(),
            });
        }
        if let Some(until) = item.until().filter(|_| !self.is_due(item, now)) {
            reasons.push(Blocked::Delayed { until });
        }
        let stop = self.stop_condition_at(now.at);
        if let Some(stop) = stop.filter(|stop| !self.is_held_by_pause(stop)) {
            reasons.push(Blocked::Stopping { stop });
        }
        if let Some(reason) = self.interruption() {
            reasons.push(Blocked::Interrupted { reason: reason.to_owned() });
        }
        if let Some(pause) = self.pause() {
            reasons.push(Blocked::Paused { reason: pause.why().to_owned() });
        }
        match runners.get(&item.spec().runner) {
            None => reasons.push(Blocked::NoRunner {
                runner: match &item.spec().runner {
                    Runner::Function(name) => format!("function {name}"),
                    Runner::Plan(name) => format!("plan {name}"),
                    Runner::Nested { .. } => "nested plan".to_owned(),
                    Runner::Process { .. } => PROCESSES.to_owned(),
                    Runner::Caller => CALLER.to_owned(),
                },
            }),
            Some(_) if !self.has_secrets_for(&item.spec().runner) => {
                reasons.push(Blocked::NoSecrets);
            }
            Some(capability) if reasons.is_empty() => {
                let running = || {
                    let live = self.sessions().iter();
                    live.map(|live| self.session_id(live.session)).collect::<Vec<_>>()
                };
                let concurrency = self.started().concurrency;
                let full = item.spec().group.as_ref();
                if !self.has_slot(0) {
                    reasons.push(Blocked::NoSlot { concurrency, held_by: running() });
                } else if let Some(group) =
                    full.filter(|group| self.is_full(group, &BTreeSet::new()))
                {
                    let held_by = self.sessions().iter().filter(|live| {
                        self.work().item(live.item()).spec().group.as_ref() == Some(group)
                    });
                    reasons.push(Blocked::GroupFull {
                        group: group.to_string(),
                        held_by: held_by.map(|live| self.session_id(live.session)).collect(),
                    });
                } else if let Err(BindError::NothingToGrant { meter }) =
                    self.grant(item, now.at, capability)
                {
                    reasons.push(Blocked::NothingToGrant { meter, held_by: running() });
                }
                let first = self.first_to_bind(now, runners).filter(|first| *first != item.id());
                reasons.extend(first.map(|first| Blocked::Behind { work: first.clone() }));
            }
            Some(_) => {}
        }
        Ok(reasons)
    }

    /// The signals and keys that an item waits for, and when it waits no more.
    fn missing(&self, item: &WorkItem) -> Vec<Blocked> {
        let needs = (0..).zip(&item.spec().needs);
        let is_open =
            |at| self.work().is_unmet(item, at) && !self.work().is_met_by_shared(item, at);
        let unmet = needs.filter(|(at, need)| !need.is_of_items() && is_open(*at));
        let mut reasons: Vec<Blocked> =
            unmet.filter_map(|(_, need)| self.unmet_told(need)).collect();
        for (need, age) in item.deadlines().iter().filter(|(need, _)| is_open(**need)) {
            if let Some(at) = self.reaches_age(*age) {
                let need = item.spec().needs[*need as usize].target();
                reasons.push(Blocked::TimesOut { need, until: Deadline::Ledger(at) });
            }
        }
        reasons
    }

    fn unmet_told(&self, need: &Need) -> Option<Blocked> {
        match need {
            Need::Signal(need) => {
                let latest = self.latest_signal(&need.kind, &need.subject());
                let kind = need.kind.as_str();
                let told_by_items =
                    [SignalType::AGENT_INITIALIZED, SignalType::AGENT_COMPLETED].contains(&kind);
                let agent = need.agent().filter(|_| told_by_items);
                let items = agent.into_iter().flat_map(|agent| self.work().speakers(agent));
                Some(Blocked::NeedsSignal {
                    need: (**need).clone(),
                    failed: latest.map(|latest| latest.version),
                    items: items.map(|item| (item.id().clone(), item.state().as_str())).collect(),
                })
            }
            Need::Key(need) => {
                let value = self.key(need.key.as_str()).map(|key| need.shown(&key.value));
                let shared = self.work().shared_key(&need.key).filter(|_| need.looks_at_shared());
                let shared = shared.map(|key| need.shown(&key.value));
                Some(Blocked::NeedsKey { need: (**need).clone(), value, shared })
            }
            Need::Approval(question) => {
                let asked = self.question_of_items(question).cloned();
                Some(Blocked::NeedsApproval { question: question.clone(), asked })
            }
            Need::Work(_) | Need::Group(_) | Need::Routed => None,
        }
    }

    fn unmet_need(&self, item: &WorkItem, need: &Need) -> Option<Blocked> {
        match need {
            Need::Signal(_) | Need::Key(_) | Need::Approval(_) => None,
            Need::Routed => self
                .work()
                .awaits_route(item)
                .then(|| Blocked::NeedsRoute { by: self.work().routers_of(item.id()) }),
            Need::Work(id) => match self.work().find(id.as_str()) {
                None => Some(Blocked::NeedsWork { work: id.clone(), state: "not recorded yet" }),
                Some(item) => match item.state() {
                    WorkState::Done(outcome) if outcome.satisfies(item.spec().on_failure) => None,
                    state => Some(Blocked::NeedsWork { work: id.clone(), state: state.as_str() }),
                },
            },
            Need::Group(name) => {
                let group = name.to_string();
                Some(match self.work().group_standing(name)? {
                    Err(root) => Blocked::GroupFailed { group, work: root.clone() },
                    Ok(unfinished) => Blocked::NeedsGroup { group, unfinished },
                })
            }
        }
    }
}
