//! One coordination driven through a random history, with everything that must hold after every event.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::{
    ApplyError, Backoff, BudgetUsage, Capability, CoordinationBudget, CoordinationConfig, CoordinationController,
    CoordinationReducer, CoordinationSession, EfeWeights, Ending, FailurePolicy, Finished, Grant, Meta, Need, Proposal, Reducer,
    ReducerContext, Runner, Runners, SessionOutcome, SkipReason, StopCondition, Then, Totals, Used, Verdict, WorkItemOutcome,
    WorkSpec, WorkState,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Payload, Recorded, StreamTip};
use antiphon_core::event::{
    Aborted, BudgetRaised, Completed, Continued, Event, LedgerClosed, Paused, Resumed, SessionBound, SessionUnbound, StopKind,
    StopRequested, WorkAdded, WorkSkipped, WriteRefused,
};
use antiphon_core::id::{Actor, CommandId, Epoch, StreamName, Version, WorkId};
use antiphon_core::time::{At, Deadline, Now, Wall};

/// How one item is drawn; turned into a [`WorkSpec`] as far as what is there allows it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) needs: Vec<u8>,
    pub(crate) needs_group: Option<u8>,
    pub(crate) group: Option<u8>,
    pub(crate) priority: i32,
    pub(crate) critical: bool,
    pub(crate) attempts: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout_ticks: Option<u64>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_cost: Option<u64>,
    pub(crate) on_failure: FailurePolicy,
    pub(crate) runner: u8,
}

/// How a coordination is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) open: bool,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) episodes: u32,
    pub(crate) ticks: u64,
    pub(crate) tokens: Option<u64>,
    pub(crate) cost: Option<u64>,
    pub(crate) concurrency: u32,
    pub(crate) breaker: u32,
    pub(crate) pausing: bool,
    pub(crate) planner: bool,
    /// By how much the order of addition is turned, so that items need what comes later.
    pub(crate) turn: usize,
    /// Items in one event while it starts.
    pub(crate) batch: usize,
}

/// What happens next, as far as it is possible.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Propose,
    End { pick: u8, outcome: SessionOutcome, tokens: u64, cost: u64, output: bool },
    Skip(u8),
    Pause,
    Continue,
    Raise(u64),
    Stop(StopKind),
    Resume,
    Add(Draft),
    Refuse(u8),
    Restore,
    Pass(u64),
}

impl Plan {
    pub(crate) fn config(&self) -> CoordinationConfig {
        let mut budget = CoordinationBudget::new(self.episodes, self.ticks, 1_000, self.tokens).unwrap();
        if let Some(cost) = self.cost {
            budget = budget.with_max_cost(cost, "EUR");
        }
        let mut work: Vec<WorkSpec> = Vec::new();
        for draft in &self.drafts {
            let item = draft.spec(&work.iter().map(|item| item.id.clone()).collect::<Vec<_>>());
            let mut with_group = item.clone();
            if let Some(group) = draft.needs_group {
                with_group = with_group.needs_group(&format!("g{group}")).unwrap();
            }
            work.push(with_group);
            // A need on a group that nobody is in, and what would close a circle, is left out.
            if CoordinationConfig::of_work(work.clone(), budget.clone()).is_err() {
                *work.last_mut().unwrap() = item;
            }
            if CoordinationConfig::of_work(work.clone(), budget.clone()).is_err() {
                work.last_mut().unwrap().group = None;
            }
        }
        if !work.is_empty() {
            let turn = self.turn % work.len();
            work.rotate_left(turn);
        }
        let config = if self.open { CoordinationConfig::open(work, budget) } else { CoordinationConfig::of_work(work, budget) };
        let config = config.unwrap().with_id("c").unwrap().with_concurrency(self.concurrency).unwrap();
        let config = config.with_breaker(self.breaker).unwrap().with_max_attempts(2).unwrap();
        let config = if self.pausing { config.pausing_when_exhausted() } else { config };
        if self.planner { config.with_planner(EfeWeights::new(1.0, 0.5, 0.25).unwrap()) } else { config }
    }
}

impl Draft {
    fn spec(&self, there: &[WorkId]) -> WorkSpec {
        let id = format!("w{}", there.len());
        let mut item = match self.runner % 3 {
            0 => WorkSpec::new(id.parse().unwrap(), Runner::Caller),
            1 => WorkSpec::function(&id, "metered").unwrap(),
            _ => WorkSpec::function(&id, "silent").unwrap(),
        };
        for need in &self.needs {
            if let Some(id) = there.get(usize::from(*need) % there.len().max(1)) {
                item.needs.push(Need::Work(id.clone()));
            }
        }
        if let Some(group) = self.group {
            item = item.in_group(&format!("g{group}")).unwrap();
        }
        WorkSpec {
            priority: self.priority,
            critical: self.critical,
            attempts: self.attempts,
            backoff: self.backoff,
            timeout_ticks: self.timeout_ticks,
            max_tokens: self.max_tokens,
            max_cost: self.max_cost,
            on_failure: self.on_failure,
            ..item
        }
    }
}

pub(crate) fn runners() -> Runners {
    let mut runners = Runners::caller();
    let metered = Capability { reports_tokens: true, reports_cost: true, sessions: None };
    runners.add_function("metered".parse().unwrap(), metered);
    runners.add_function("silent".parse().unwrap(), Capability::default());
    runners
}

pub(crate) fn actor() -> Actor {
    Actor::new("operator").unwrap()
}

/// A coordination that lives, the same one replayed, and the same one read back from a snapshot.
pub(crate) struct History {
    pub(crate) live: CoordinationSession,
    restored: CoordinationSession,
    replayed: CoordinationReducer,
    pub(crate) log: Vec<Recorded>,
    pub(crate) now: Now,
    runners: Runners,
    overshoot: (u64, u64),
    terminal_events: u32,
}

impl History {
    pub(crate) fn begin(plan: &Plan) -> Self {
        Self::of(plan.config(), plan.batch)
    }

    /// A coordination with all its items, recorded so many at a time.
    pub(crate) fn of(config: CoordinationConfig, batch: usize) -> Self {
        let items = config.work().len();
        let mut history = Self::of_first(config.clone(), batch);
        for batch in config.work()[batch.clamp(1, items.max(1)).min(items)..].chunks(batch.max(1)) {
            history.apply(Event::WorkAdded(WorkAdded { items: batch.to_vec(), recalled: Vec::new() })).unwrap();
        }
        history
    }

    /// A coordination of which so many items are recorded, as when its start was cut off.
    pub(crate) fn of_first(config: CoordinationConfig, first: usize) -> Self {
        let now = Now { random: [7; 32], ..Now::from(1_000) };
        let items: Vec<WorkSpec> = config.work().iter().take(first.max(1)).cloned().collect();
        let mut controller =
            CoordinationController::new(if config.id().is_some() { config } else { config.with_id("c").unwrap() });
        let start = controller.start(now.at.0).unwrap();
        let meta = Meta { version: Version(1), at: now.at, wall: now.wall, cause: None };
        let live = CoordinationSession::begin(start.coordination_id, &decode(&start.event), &meta).unwrap();
        let mut history = Self {
            restored: CoordinationSession::restore(&live.snapshot()).unwrap(),
            live,
            replayed: CoordinationReducer::new(),
            log: Vec::new(),
            now,
            runners: runners(),
            overshoot: (0, 0),
            terminal_events: 0,
        };
        history.replay(start.event);
        if !items.is_empty() {
            history.apply(Event::WorkAdded(WorkAdded { items, recalled: Vec::new() })).unwrap();
        }
        history
    }

    fn replay(&mut self, recorded: Recorded) {
        self.replayed.apply(&recorded, &ReducerContext::replay(recorded.version.0)).unwrap();
        self.log.push(recorded);
    }

    fn meta(&self) -> Meta {
        let version = self.live.version().next();
        let cause = Some(CommandId::new(format!("command {version}")).unwrap());
        Meta { version, at: self.now.at, wall: self.now.wall, cause }
    }

    /// Applies an event everywhere, or nowhere if it is refused.
    pub(crate) fn apply(&mut self, event: Event) -> Result<(), ApplyError> {
        let meta = self.meta();
        let before = (self.live.snapshot(), counters(&self.live));
        if let Err(error) = self.live.apply(&event, &meta) {
            assert_eq!(text(&self.live.snapshot()), text(&before.0), "refused, but changed: {event:?}");
            return Err(error);
        }
        self.note_overshoot(&event);
        self.terminal_events += u32::from(event.is_terminal());
        self.restored.apply(&event, &meta).expect("what was restored takes what the live one takes");
        self.replay(Recorded {
            stream: StreamName::Coordination(self.live.coordination_id().clone()),
            version: meta.version,
            kind: event.kind().into(),
            schema: Event::SCHEMA,
            at: meta.at,
            wall: meta.wall,
            actor: actor(),
            cause: meta.cause,
            payload: Payload::Bytes(event.encode()),
            prev: Digest::GENESIS,
            hash: Digest::GENESIS,
        });
        self.hold(&before.1);
        Ok(())
    }

    fn note_overshoot(&mut self, event: &Event) {
        let Event::SessionUnbound(unbound) = event else { return };
        let bound = self.log.iter().rev().find_map(|recorded| match decode(recorded) {
            Event::SessionBound(bound) if bound.session == unbound.session => Some(bound),
            _ => None,
        });
        let grant = bound.expect("only bound sessions end").grant;
        self.overshoot.0 += unbound.used.tokens.saturating_sub(grant.tokens.unwrap_or(0));
        self.overshoot.1 += unbound.used.cost.saturating_sub(grant.cost.unwrap_or(0));
    }

    /// What holds after every event.
    fn hold(&self, before: &[u64]) {
        let live = self.live.snapshot();
        let replayed = self.replayed.state().get(self.live.coordination_id()).unwrap();
        assert_eq!(text(&live), text(&replayed.snapshot()), "live and replayed");
        assert_eq!(text(&live), text(&self.restored.snapshot()), "live and restored");

        let (budget, usage) = (self.live.budget(), self.live.budget_usage());
        assert!(self.live.bindings().len() <= self.live.started().concurrency as usize);
        let reserved = |meter: fn(&Grant) -> u64| self.live.bindings().map(|(binding, _)| meter(&binding.grant)).sum::<u64>();
        let sessions = u64::from(usage.consumed_episodes()) + reserved(|grant| grant.sessions.into());
        assert!(sessions <= budget.max_episodes().into(), "{sessions} sessions");
        let within = |max: Option<u64>, used: u64, over: u64| max.is_none_or(|max| used <= max + over);
        let tokens = usage.consumed_tokens() + reserved(|grant| grant.tokens.unwrap_or(0));
        assert!(within(budget.max_tokens(), tokens, self.overshoot.0), "{tokens} tokens");
        let cost = usage.consumed_cost() + reserved(|grant| grant.cost.unwrap_or(0));
        assert!(within(budget.max_cost(), cost, self.overshoot.1), "{cost} cost");

        for (old, new) in before.iter().zip(counters(&self.live)) {
            assert!(*old <= new, "a counter fell: {before:?} {:?}", counters(&self.live));
        }
        assert_eq!(u32::from(self.live.status().is_terminal()), self.terminal_events, "one terminal event");
        let left = self.live.work_queue().filter(|id| !matches!(self.state(id), WorkState::Done(_))).count();
        assert_eq!(left, self.live.work_left() as usize);
    }

    pub(crate) fn state(&self, work: &WorkId) -> &WorkState {
        self.live.work_tracking(work.as_str()).unwrap().state
    }

    /// The items that were never skipped for a failed need, though one of their needs has failed, and the reverse.
    pub(crate) fn needs_were_kept(&self) {
        let outcome = |id: &WorkId| match self.state(id) {
            WorkState::Done(outcome) => Some(outcome),
            _ => None,
        };
        for id in self.live.work_queue() {
            let item = self.live.work_tracking(id.as_str()).unwrap();
            if outcome(id) != Some(&WorkItemOutcome::Succeeded) {
                continue;
            }
            for need in &item.spec.needs {
                if let Need::Work(needed) = need {
                    let policy = self.live.work_tracking(needed.as_str()).unwrap().spec.on_failure;
                    assert!(outcome(needed).is_some_and(|outcome| outcome.satisfies(policy)), "{id} ran before {needed}");
                }
            }
        }
    }

    /// What the coordination would do next; the restored one would do the same.
    pub(crate) fn proposal(&mut self) -> Option<Proposal> {
        self.live.wake(&self.now);
        self.restored.wake(&self.now);
        let proposal = self.live.propose(&self.now, &self.runners, &BTreeSet::new());
        assert_eq!(proposal, self.restored.propose(&self.now, &self.runners, &BTreeSet::new()), "live and restored");
        assert_eq!(self.live.current_work_id(), self.restored.current_work_id());
        assert_eq!(self.live.must_stop_sessions(), self.restored.must_stop_sessions());
        for work in self.live.work_queue() {
            let why = self.live.why(work.as_str(), &self.now, &self.runners);
            assert_eq!(why, self.restored.why(work.as_str(), &self.now, &self.runners));
            match &proposal {
                // Skips come first and take no slot.
                Some(Proposal::Event(Event::WorkSkipped(_))) => {}
                Some(Proposal::Event(Event::SessionBound(bound))) => {
                    assert_eq!(why.unwrap().is_empty(), bound.work == *work, "`why` of {work} and {bound:?}");
                }
                _ => assert_ne!(why, Ok(Vec::new()), "`why` of {work} and {proposal:?}"),
            }
        }
        proposal
    }

    pub(crate) fn follow(&mut self, proposal: Proposal) {
        let event = match proposal {
            Proposal::Event(event) => event,
            Proposal::Expand(work) => panic!("{work} is not nested"),
            Proposal::End(ending) => self.end_event(ending),
        };
        self.apply(event).expect("what is proposed can be applied");
    }

    pub(crate) fn end_event(&self, ending: Ending) -> Event {
        let receipt = self.live.receipt(ending.clone(), self.now.at, self.now.wall, StreamTip::default(), Default::default());
        let (verdict, usage, totals) = (receipt.verdict, receipt.budget_usage.clone(), receipt.totals);
        let digest = receipt.compute_hash();
        match ending {
            Ending::Completed(stop) => Event::Completed(Box::new(Completed { stop, verdict, usage, totals, receipt: digest })),
            Ending::Aborted(reason) => Event::Aborted(Box::new(Aborted { reason, verdict, usage, totals, receipt: digest })),
        }
    }

    pub(crate) fn pass(&mut self, nanos: u64) {
        self.now.at = self.now.at.after(nanos);
        self.now.wall = Wall(self.now.wall.0.saturating_add(nanos));
    }

    /// Takes a step; one that is not possible now is refused and changes nothing.
    pub(crate) fn take(&mut self, step: &Step) {
        let by = actor();
        let event = match step {
            Step::Propose => {
                if let Some(proposal) = self.proposal() {
                    self.follow(proposal);
                }
                return;
            }
            Step::Pass(nanos) => return self.pass(*nanos),
            Step::Restore => {
                self.restored = CoordinationSession::restore(&self.live.snapshot()).unwrap();
                return;
            }
            Step::End { pick, outcome, tokens, cost, output } => {
                let open: Vec<u64> = self.live.bindings().map(|(binding, _)| binding.session).collect();
                let Some(session) = open.get(usize::from(*pick) % open.len().max(1)) else { return };
                let event = self.unbound(*session, *outcome, *tokens, *cost, output.then(|| Digest::of(&[*pick])));
                self.apply(event).expect("a bound session ends");
                return;
            }
            Step::Skip(pick) => {
                let Some(work) = self.nth_work(*pick) else { return };
                Event::WorkSkipped(WorkSkipped { works: vec![work], because: SkipReason::Requested })
            }
            Step::Pause => Event::Paused(Paused { by, reason: "wanted".to_owned() }),
            Step::Continue => Event::Continued(Continued { by }),
            Step::Raise(by_how_much) => Event::BudgetRaised(BudgetRaised { by, budget: self.raised(*by_how_much) }),
            Step::Stop(kind) => Event::StopRequested(StopRequested { kind: *kind, by, reason: String::new() }),
            Step::Resume => return self.resume(),
            Step::Add(draft) => {
                let there: Vec<WorkId> = self.live.work_queue().cloned().collect();
                let mut item = draft.spec(&there);
                // Without needs of its own it cannot close a circle through the group that it joins.
                if item.group.is_some() {
                    item.needs.clear();
                } else if let Some(group) = draft.needs_group {
                    item = item.needs_group(&format!("g{group}")).unwrap();
                }
                Event::WorkAdded(WorkAdded { items: vec![item], recalled: Vec::new() })
            }
            Step::Refuse(pick) => {
                let session = u64::from(*pick) % 8;
                Event::WriteRefused(WriteRefused { session, fence: Version(0), kind: "completion".to_owned() })
            }
        };
        let _refused_or_not = self.apply(event);
    }

    fn nth_work(&self, pick: u8) -> Option<WorkId> {
        let count = self.live.work_queue().count().max(1);
        self.live.work_queue().nth(usize::from(pick) % count).cloned()
    }

    fn raised(&self, more: u64) -> CoordinationBudget {
        let old = self.live.budget();
        let episodes = old.max_episodes() + u32::try_from(more).unwrap();
        let tokens = old.max_tokens().map(|max| max + more);
        let budget = CoordinationBudget::new(episodes, old.max_duration_ticks() + more, old.tick_rate_hz(), tokens).unwrap();
        match old.max_cost() {
            Some(max) => budget.with_max_cost(max + more, "EUR"),
            None => budget,
        }
    }

    /// A restart: every open session is lost.
    fn resume(&mut self) {
        let open: Vec<u64> = self.live.bindings().map(|(binding, _)| binding.session).collect();
        let swept = u32::try_from(open.len()).unwrap();
        let resumed = Resumed { epoch: Epoch(self.live.totals().resumes + 2), engine: "0".to_owned(), swept };
        if self.apply(Event::Resumed(resumed)).is_err() {
            return;
        }
        for session in open {
            let event = self.unbound(session, SessionOutcome::Lost, 0, 0, None);
            self.apply(event).expect("a lost session is closed");
        }
    }

    /// What the end of a session means, written down a second time.
    pub(crate) fn unbound(&self, session: u64, outcome: SessionOutcome, tokens: u64, cost: u64, output: Option<Digest>) -> Event {
        let (_, spec) = self.live.binding(session).unwrap();
        let item = self.live.work_tracking(spec.id.as_str()).unwrap();
        let last = item.attempt_count + 1 >= spec.attempts.unwrap_or(self.live.started().policies.max_attempts);
        let wait = spec.backoff.map_or(0, |backoff| backoff.wait_ns(item.attempt_count + 1, 0));
        let then = match outcome {
            SessionOutcome::Success => Then::Done(WorkItemOutcome::Succeeded),
            SessionOutcome::Deferred { until } => Then::Wait(until),
            SessionOutcome::Lost | SessionOutcome::Cancelled => Then::Retry(self.now.at),
            _ if last => Then::Done(WorkItemOutcome::Failed),
            _ => Then::Retry(self.now.at.after(wait)),
        };
        Event::SessionUnbound(SessionUnbound {
            session,
            work: spec.id.clone(),
            outcome,
            text: None,
            used: Used { sessions: 1, tokens, cost, ..Used::default() },
            scores: BTreeMap::new(),
            output,
            then,
            tree: None,
        })
    }

    /// Goes on until the coordination has ended, ending every session that it opens. Fails if it ever stands still.
    pub(crate) fn run_to_the_end(&mut self) {
        for turn in 0..10_000 {
            if self.live.status().is_terminal() {
                return;
            }
            if let Some(proposal) = self.proposal() {
                self.follow(proposal);
                continue;
            }
            let open = self.live.bindings().next().map(|(binding, _)| binding.session);
            if let Some(session) = open {
                let outcome = if turn % 3 == 0 { SessionOutcome::Failure } else { SessionOutcome::Success };
                self.apply(self.unbound(session, outcome, 1, 1, None)).unwrap();
            } else if self.live.pause_reason().is_some() {
                // An open coordination that only pauses would never end.
                self.take(&Step::Stop(StopKind::Close));
                self.take(&Step::Raise(1_000));
                self.apply(Event::Continued(Continued { by: actor() })).unwrap();
            } else if let (Some(at), _) = self.live.next_deadlines(self.now.at) {
                let (_, wall) = self.live.next_deadlines(self.now.at);
                let first = at.since(self.now.at).min(wall.map_or(u64::MAX, |wall| wall.0.saturating_sub(self.now.wall.0)));
                self.pass(first.max(1));
            } else {
                panic!("it stands still: {}", text(&self.live.snapshot()));
            }
        }
        panic!("it never ends: {}", text(&self.live.snapshot()));
    }

    /// Every item is in the receipt, once.
    pub(crate) fn receipt_names_every_item(&self) {
        let ending = Ending::Completed(StopCondition::UserRequested);
        let at_the_end = self.replay_until_the_end();
        let receipt = at_the_end.receipt(ending, self.now.at, self.now.wall, StreamTip::default(), Default::default());
        let mut named: Vec<&WorkId> = receipt.work_outcomes.iter().map(|outcome| &outcome.work_id).collect();
        named.sort();
        let mut queue: Vec<&WorkId> = self.live.work_queue().collect();
        queue.sort();
        assert_eq!(named, queue);
        let counted = receipt.totals;
        let items = counted.work_succeeded
            + counted.work_failed
            + counted.work_skipped
            + counted.work_skipped_by_rule
            + counted.work_unfinished;
        assert_eq!(items, queue.len() as u64);
    }

    /// The state before the terminal event, from a replay of the whole stream.
    fn replay_until_the_end(&self) -> CoordinationSession {
        let mut reducer = CoordinationReducer::new();
        for recorded in self.log.iter().filter(|recorded| !decode(recorded).is_terminal()) {
            reducer.apply(recorded, &ReducerContext::replay(recorded.version.0)).unwrap();
        }
        reducer.state().get(self.live.coordination_id()).unwrap().clone()
    }

    /// Offers everything that may never follow, whatever the state; all of it is refused and changes nothing.
    pub(crate) fn refuses_what_may_not_follow(&mut self) {
        let before = self.live.snapshot();
        let meta = self.meta();
        let events = self.illegal_events();
        for event in &events {
            let refused = self.live.apply(event, &meta);
            assert!(matches!(refused, Err(ApplyError::Illegal { .. })), "{event:?} gave {refused:?}");
        }
        let resumed = Event::Resumed(Resumed { epoch: Epoch(9), engine: String::new(), swept: 0 });
        for version in [Version(0), Version(1), self.live.version(), Version(meta.version.0 + 1), Version(u64::MAX)] {
            let refused = self.live.apply(&resumed, &Meta { version, ..meta.clone() });
            assert_eq!(refused, Err(ApplyError::OutOfOrder { last: self.live.version(), actual: version }));
        }
        let last = self.log.last().unwrap().at;
        let refused = self.live.apply(&resumed, &Meta { at: At(last.0 - 1), ..meta });
        assert_eq!(refused, Err(ApplyError::ClockRegression { last: last.0, current: last.0 - 1 }));
        assert_eq!(text(&self.live.snapshot()), text(&before));
        // A repeated event is one that was seen: replay leaves it alone.
        for recorded in self.log.iter().rev().take(2) {
            self.replayed.apply(recorded, &ReducerContext::replay(1)).unwrap();
        }
        assert_eq!(text(&self.replayed.state().get(self.live.coordination_id()).unwrap().snapshot()), text(&before));
    }

    fn illegal_events(&self) -> Vec<Event> {
        let live = &self.live;
        let by = actor();
        let unknown: WorkId = "unknown".parse().unwrap();
        let mut events = vec![
            decode(&self.log[0]),
            Event::LedgerClosed(LedgerClosed {}),
            Event::WorkAdded(WorkAdded { items: Vec::new(), recalled: Vec::new() }),
            Event::WorkAdded(WorkAdded { items: Vec::new(), recalled: vec![never_left()] }),
            Event::WorkSkipped(WorkSkipped { works: Vec::new(), because: SkipReason::Requested }),
            Event::WorkSkipped(WorkSkipped { works: vec![unknown.clone()], because: SkipReason::Requested }),
            Event::Resumed(Resumed { epoch: Epoch(2), engine: String::new(), swept: live.bindings().len() as u32 + 1 }),
            Event::WriteRefused(WriteRefused { session: u64::MAX, fence: Version(0), kind: "completion".to_owned() }),
        ];
        events.push(match live.pause_reason() {
            Some(_) => Event::Paused(Paused { by: by.clone(), reason: String::new() }),
            None => Event::Continued(Continued { by: by.clone() }),
        });
        if let Some(stop) = live.stop_request() {
            events.push(Event::StopRequested(stop.clone()));
        }
        self.illegal_budgets(&mut events);
        self.illegal_items(&mut events, &unknown);
        self.illegal_sessions(&mut events, &unknown);
        self.illegal_ends(&mut events);
        events
    }

    fn illegal_budgets(&self, events: &mut Vec<Event>) {
        let old = self.live.budget();
        let budget = |episodes, ticks, rate, tokens| CoordinationBudget::new(episodes, ticks, rate, tokens).unwrap();
        let (episodes, ticks, rate) = (old.max_episodes(), old.max_duration_ticks(), old.tick_rate_hz());
        let mut offers = vec![budget(episodes, ticks, rate + 1, None), budget(episodes, ticks - 1, rate, None)];
        if episodes > 1 {
            offers.push(budget(episodes - 1, ticks, rate, None));
        }
        if let Some(tokens) = old.max_tokens().filter(|tokens| *tokens > 0) {
            offers.push(budget(episodes, ticks, rate, Some(tokens - 1)));
        }
        if old.max_cost().is_some() {
            offers.push(budget(episodes, ticks, rate, None).with_max_cost(u64::MAX, "USD"));
        }
        events.extend(offers.into_iter().map(|budget| Event::BudgetRaised(BudgetRaised { by: actor(), budget })));
    }

    fn illegal_items(&self, events: &mut Vec<Event>, unknown: &WorkId) {
        let item = |id: &str| WorkSpec::new(id.parse().unwrap(), Runner::Caller);
        let mut batches = vec![vec![item("x"), item("x")]];
        batches.push(vec![item("x").with_attempts(0)]);
        batches.push(vec![item("x").with_attempts(101)]);
        batches.push(vec![item("x").with_timeout_ticks(0)]);
        batches.push(vec![WorkSpec { max_tokens: Some(0), ..item("x") }]);
        if let Some(there) = self.live.work_queue().next() {
            batches.push(vec![item(there.as_str())]);
            let twice = vec![there.clone(), there.clone()];
            events.push(Event::WorkSkipped(WorkSkipped { works: twice, because: SkipReason::Requested }));
        }
        if self.live.status().is_running() {
            batches.push(vec![item("x").needs_work(unknown.as_str()).unwrap()]);
            batches.push(vec![item("x").needs_group("nobody").unwrap()]);
        }
        events.extend(batches.into_iter().map(|items| Event::WorkAdded(WorkAdded { items, recalled: Vec::new() })));
        for work in self.live.work_queue() {
            let because = match self.state(work) {
                WorkState::Done(_) | WorkState::Bound(_) => SkipReason::Requested,
                _ => SkipReason::NeedFailed(unknown.clone()),
            };
            events.push(Event::WorkSkipped(WorkSkipped { works: vec![work.clone()], because }));
        }
    }

    fn illegal_sessions(&self, events: &mut Vec<Event>, unknown: &WorkId) {
        let live = &self.live;
        let mut proposing = live.clone();
        proposing.wake(&self.now);
        let proposal = proposing.propose(&self.now, &self.runners, &BTreeSet::new());
        if let Some(Proposal::Event(Event::SessionBound(bound))) = proposal {
            let grant = bound.grant;
            let mut forged = vec![
                SessionBound { session: bound.session - 1, ..bound.clone() },
                SessionBound { session: bound.session + 1, ..bound.clone() },
                SessionBound { work: unknown.clone(), ..bound.clone() },
                SessionBound { attempt: bound.attempt + 1, ..bound.clone() },
                SessionBound { attempt: bound.attempt - 1, ..bound.clone() },
                SessionBound { looked_at: Version(0), ..bound.clone() },
                SessionBound { looked_at: live.version().next(), ..bound.clone() },
                SessionBound { deadline: At(self.now.at.0 - 1), ..bound.clone() },
                SessionBound { grant: Grant { sessions: 0, ..grant }, ..bound.clone() },
                SessionBound { grant: Grant { sessions: u32::MAX, ..grant }, ..bound.clone() },
                SessionBound { grant: Grant { ticks: u64::MAX, ..grant }, ..bound.clone() },
                SessionBound { grant: Grant { ticks: 0, ..grant }, ..bound.clone() },
            ];
            if live.budget().max_tokens().is_some() {
                forged.push(SessionBound { grant: Grant { tokens: Some(u64::MAX), ..grant }, ..bound.clone() });
            }
            if live.budget().max_cost().is_some() {
                forged.push(SessionBound { grant: Grant { cost: Some(u64::MAX), ..grant }, ..bound.clone() });
            }
            for work in live.work_queue().filter(|work| !matches!(self.state(work), WorkState::Ready | WorkState::Until(_))) {
                forged.push(SessionBound { work: work.clone(), ..bound.clone() });
            }
            events.extend(forged.into_iter().map(Event::SessionBound));
        }
        // No session may start while one of these holds, even if an item is ready for it.
        if let Some(work) = live.current_work_id()
            && (live.stop_condition_at(self.now.at).is_some() || live.pause_reason().is_some())
        {
            events.push(Event::SessionBound(SessionBound {
                session: 1 + live.totals().sessions + live.bindings().len() as u64,
                work: work.clone(),
                attempt: live.work_tracking(work.as_str()).unwrap().attempt_count + 1,
                looked_at: live.version(),
                grant: Grant { sessions: 1, ticks: 1, tokens: None, cost: None },
                deadline: At(u64::MAX),
                token: Digest::GENESIS,
                nested: false,
                leases: Vec::new(),
                context: None,
            }));
        }
        for (binding, work) in live.bindings() {
            let Event::SessionUnbound(sound) = self.unbound(binding.session, SessionOutcome::Success, 0, 0, None) else {
                unreachable!("it is an unbound event")
            };
            let used = |sessions| Used { sessions, ..Used::default() };
            let retry = Then::Retry(self.now.at);
            let forged = [
                SessionUnbound { session: u64::MAX, ..sound.clone() },
                SessionUnbound { session: 0, ..sound.clone() },
                SessionUnbound { work: unknown.clone(), ..sound.clone() },
                SessionUnbound { used: used(0), ..sound.clone() },
                SessionUnbound { used: used(binding.grant.sessions + 1), ..sound.clone() },
                SessionUnbound { then: retry, ..sound.clone() },
                SessionUnbound { then: Then::Wait(Deadline::At(At(0))), ..sound.clone() },
                SessionUnbound { outcome: SessionOutcome::Lost, ..sound.clone() },
                SessionUnbound { outcome: SessionOutcome::Failure, ..sound.clone() },
                SessionUnbound { then: Then::Done(WorkItemOutcome::Failed), ..sound.clone() },
                SessionUnbound { then: Then::Done(WorkItemOutcome::Skipped(SkipReason::Requested)), ..sound.clone() },
            ];
            events.extend(forged.into_iter().map(Event::SessionUnbound));
            let fence = binding.fence;
            events.push(Event::WriteRefused(WriteRefused { session: binding.session, fence, kind: "completion".to_owned() }));
            assert_eq!(live.binding(binding.session).unwrap().1.id, *work);
        }
    }

    fn illegal_ends(&self, events: &mut Vec<Event>) {
        let holds = self.live.stop_condition_at(self.now.at);
        let stops = [
            StopCondition::AllWorkCompleted,
            StopCondition::CircuitBreakerTripped,
            StopCondition::BudgetExhausted(antiphon_core::coordination::BudgetType::Episodes),
        ];
        for stop in stops.into_iter().filter(|stop| holds.as_ref() != Some(stop)) {
            events.push(self.end_event(Ending::Completed(stop)));
        }
        if let Event::Completed(sound) = self.end_event(Ending::Completed(StopCondition::UserRequested)) {
            let totals = Totals { sessions: sound.totals.sessions + 1, ..sound.totals };
            events.push(Event::Completed(Box::new(Completed { totals, ..(*sound).clone() })));
            let usage = BudgetUsage::with_tick_rate(1);
            events.push(Event::Completed(Box::new(Completed { usage, ..(*sound).clone() })));
            events.push(Event::Completed(Box::new(Completed { verdict: Verdict::Aborted, ..(*sound).clone() })));
            if self.live.bindings().len() > 0 || self.live.status().is_terminal() {
                events.push(Event::Completed(sound));
            }
        }
        let reason = antiphon_core::coordination::AbortReason::NoEligibleWork;
        if let Event::Aborted(sound) = self.end_event(Ending::Aborted(reason)) {
            events.push(Event::Aborted(Box::new(Aborted { verdict: Verdict::Succeeded, ..(*sound).clone() })));
            if self.live.bindings().len() > 0 || self.live.status().is_terminal() {
                events.push(Event::Aborted(sound));
            }
        }
    }
}

pub(crate) fn decode(recorded: &Recorded) -> Event {
    Event::decode(&recorded.kind, recorded.schema, recorded.payload.bytes().unwrap()).unwrap()
}

pub(crate) fn text(snapshot: &[u8]) -> &str {
    str::from_utf8(snapshot).unwrap()
}

/// Everything that only counts up.
fn counters(session: &CoordinationSession) -> Vec<u64> {
    let (usage, totals) = (session.budget_usage(), session.totals());
    vec![
        usage.consumed_episodes().into(),
        usage.elapsed_ticks(),
        usage.consumed_tokens(),
        usage.consumed_cache_tokens(),
        usage.consumed_cost(),
        totals.sessions,
        totals.successful,
        totals.failed,
        totals.cancelled,
        totals.lost,
        totals.deferred,
        totals.work_succeeded,
        totals.work_failed,
        totals.work_skipped,
        totals.work_skipped_by_rule,
        totals.work_unfinished,
        totals.resumes,
        totals.writes_refused,
    ]
}

/// An item that no archive holds.
fn never_left() -> Finished {
    Finished {
        work: WorkSpec::new("elsewhere".parse().unwrap(), Runner::Caller),
        outcome: WorkItemOutcome::Succeeded,
        attempts: 1,
        sessions: vec![1],
        changed: Version(1),
        tokens: 0,
        output: None,
    }
}
