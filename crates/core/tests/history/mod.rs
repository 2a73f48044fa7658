//! One coordination driven through a random history, with everything that must hold after every
//! event.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod draft;
mod guard;
mod illegal;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::{
    Answer, ApplyError, Capability, Coordination, CoordinationBudget, CoordinationConfig,
    CoordinationController, CoordinationReducer, Dedup, Ending, Grant, KeyChange, Meta, Need,
    NextStep, Proposal, Reducer, ReducerContext, Runners, SessionOutcome, SkipReason,
    StopCondition, Usage, WorkItemOutcome, WorkSpec, WorkState,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Payload, Recorded, StreamTip};
use antiphon_core::event::{
    Aborted, AggregateEvent as _, Answered, Asked, BudgetRaised, Completed, Continued,
    CoordinationEvent, Interrupted, KeySet, Paused, Resumed, Routed, SessionBound, SessionUnbound,
    Signalled, StopKind, StopRequested, WorkAdded, WorkSkipped, WriteRefused,
};
use antiphon_core::id::{Actor, CommandId, Epoch, StreamName, Version, WorkId};
use antiphon_core::json_text::JsonText;
use antiphon_core::routing::RoutingDecision;
use antiphon_core::time::{LedgerTime, Now, WallTime};

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub(crate) use draft::{Draft, Plan, Step};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub(crate) use told::ToldNeed;

pub(crate) fn runners() -> Runners {
    let mut runners = Runners::caller();
    let metered = Capability { reports_tokens: true, reports_cost: true, sessions: None };
    runners.add_function("metered".parse().unwrap(), metered);
    runners.add_function("silent".parse().unwrap(), Capability::default());
    runners
}

/// One of the decisions that name no item.
fn followable(pick: u8) -> RoutingDecision {
    let decisions = RoutingDecision::ALL.into_iter().filter(|decision| {
        !matches!(decision, RoutingDecision::Branch | RoutingDecision::Parallel)
    });
    let decisions: Vec<RoutingDecision> = decisions.collect();
    decisions[usize::from(pick) % decisions.len()]
}

pub(crate) fn actor() -> Actor {
    Actor::new("operator").unwrap()
}

/// A coordination that lives, the same one replayed, and the same one read back from a snapshot.
pub(crate) struct History {
    pub(crate) live: Coordination,
    restored: Coordination,
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
            history
                .apply(CoordinationEvent::WorkAdded(WorkAdded {
                    items: batch.to_vec(),
                    recalled: Vec::new(),
                }))
                .unwrap();
        }
        history
    }

    /// A coordination of which so many items are recorded, as when its start was cut off.
    pub(crate) fn of_first(config: CoordinationConfig, first: usize) -> Self {
        let now = Now { random: [7; 32], ..Now::from(1_000) };
        let items: Vec<WorkSpec> = config.work().iter().take(first.max(1)).cloned().collect();
        let mut controller = CoordinationController::new(if config.id().is_some() {
            config
        } else {
            config.with_id("c").unwrap()
        });
        let start = controller.start(now.at.0).unwrap();
        let meta = Meta { version: Version(1), at: now.at, wall: now.wall, cause: None };
        let live =
            Coordination::begin(start.coordination_id, &decode(&start.event), &meta).unwrap();
        let mut history = Self {
            restored: Coordination::restore(&live.snapshot()).unwrap(),
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
            history
                .apply(CoordinationEvent::WorkAdded(WorkAdded { items, recalled: Vec::new() }))
                .unwrap();
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

    /// The next session, bound to an item with as little as can be granted.
    fn next_binding(&self, work: &WorkId, looked_at: Version) -> SessionBound {
        let tracking = self.live.work_tracking(work.as_str()).unwrap();
        SessionBound {
            session: self.live.last_session() + 1,
            work: work.clone(),
            attempt: tracking.attempt_count + 1,
            looked_at,
            grant: Grant { sessions: 1, ticks: 1, tokens: None, cost: None },
            deadline: LedgerTime(u64::MAX),
            token: Digest::GENESIS,
            nested: false,
            leases: Vec::new(),
            context: None,
            met: Vec::new(),
            assigned: None,
        }
    }

    /// Applies an event everywhere, or nowhere if it is refused.
    pub(crate) fn apply(&mut self, event: CoordinationEvent) -> Result<(), ApplyError> {
        let meta = self.meta();
        let before = (self.live.snapshot(), counters(&self.live));
        if let Err(error) = self.live.apply(&event, &meta) {
            assert_eq!(
                text(&self.live.snapshot()),
                text(&before.0),
                "refused, but changed: {event:?}"
            );
            return Err(error);
        }
        self.note_overshoot(&event);
        self.terminal_events += u32::from(event.is_terminal());
        self.restored
            .apply(&event, &meta)
            .expect("what was restored takes what the live one takes");
        self.replay(Recorded {
            stream: StreamName::Coordination(self.live.coordination_id().clone()),
            version: meta.version,
            kind: event.kind().into(),
            schema: event.schema(),
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

    fn note_overshoot(&mut self, event: &CoordinationEvent) {
        let CoordinationEvent::SessionUnbound(unbound) = event else { return };
        let bound = self.log.iter().rev().find_map(|recorded| match decode(recorded) {
            CoordinationEvent::SessionBound(bound) if bound.session == unbound.session => {
                Some(bound)
            }
            _ => None,
        });
        let grant = bound.expect("only bound sessions end").grant;
        self.overshoot.0 += unbound.used.tokens.saturating_sub(grant.tokens.unwrap_or(0));
        self.overshoot.1 += unbound.used.cost.saturating_sub(grant.cost.unwrap_or(0));
    }

    /// What holds after every event.
    fn hold(&self, before: &[u64]) {
        self.what_was_taken_over_never_runs();
        let live = self.live.snapshot();
        let replayed = self.replayed.state().get(self.live.coordination_id()).unwrap();
        assert_eq!(text(&live), text(&replayed.snapshot()), "live and replayed");
        assert_eq!(text(&live), text(&self.restored.snapshot()), "live and restored");

        let (budget, usage) = (self.live.budget(), self.live.budget_usage());
        assert!(self.live.bindings().len() <= self.live.started().concurrency as usize);
        let reserved = |meter: fn(&Grant) -> u64| {
            self.live.bindings().map(|(binding, _)| meter(&binding.grant)).sum::<u64>()
        };
        let sessions =
            u64::from(usage.consumed_episodes()) + reserved(|grant| grant.sessions.into());
        assert!(sessions <= budget.max_episodes().into(), "{sessions} sessions");
        let within =
            |max: Option<u64>, used: u64, over: u64| max.is_none_or(|max| used <= max + over);
        let tokens = usage.consumed_tokens() + reserved(|grant| grant.tokens.unwrap_or(0));
        assert!(within(budget.max_tokens(), tokens, self.overshoot.0), "{tokens} tokens");
        let cost = usage.consumed_cost() + reserved(|grant| grant.cost.unwrap_or(0));
        assert!(within(budget.max_cost(), cost, self.overshoot.1), "{cost} cost");

        for (old, new) in before.iter().zip(counters(&self.live)) {
            assert!(*old <= new, "a counter fell: {before:?} {:?}", counters(&self.live));
        }
        assert_eq!(
            u32::from(self.live.status().is_terminal()),
            self.terminal_events,
            "one terminal event"
        );
        let left = self
            .live
            .work_queue()
            .filter(|id| !matches!(self.state(id), WorkState::Done(_)))
            .count();
        assert_eq!(left, self.live.work_left() as usize);
    }

    pub(crate) fn state(&self, work: &WorkId) -> &WorkState {
        self.live.work_tracking(work.as_str()).unwrap().state
    }

    /// The items that were never skipped for a failed need, though one of their needs has failed,
    /// and the reverse.
    pub(crate) fn needs_were_kept(&self) {
        let outcome = |id: &WorkId| match self.state(id) {
            WorkState::Done(outcome) => Some(outcome),
            _ => None,
        };
        for id in self.live.work_queue() {
            let item = self.live.work_tracking(id.as_str()).unwrap();
            // What was taken over ran in another history.
            if outcome(id) != Some(&WorkItemOutcome::Succeeded) || item.spec.reused.is_some() {
                continue;
            }
            for need in &item.spec.needs {
                if let Need::Work(needed) = need {
                    let policy = self.live.work_tracking(needed.as_str()).unwrap().spec.on_failure;
                    assert!(
                        outcome(needed).is_some_and(|outcome| outcome.satisfies(policy)),
                        "{id} ran before {needed}"
                    );
                }
            }
        }
    }

    /// What the coordination would do next; the restored one would do the same.
    pub(crate) fn proposal(&mut self) -> Option<Proposal> {
        self.live.wake(&self.now);
        self.restored.wake(&self.now);
        let proposal = self.live.propose(&self.now, &self.runners, &BTreeSet::new());
        assert_eq!(
            proposal,
            self.restored.propose(&self.now, &self.runners, &BTreeSet::new()),
            "live and restored"
        );
        assert_eq!(self.live.is_carried(), self.restored.is_carried());
        // Nothing becomes due of a run that nobody carries out.
        if self.live.is_carried() {
            assert_eq!(self.live.current_work_id(), self.restored.current_work_id());
        }
        for work in self.live.work_queue() {
            let why = self.live.why(work.as_str(), &self.now, &self.runners);
            assert_eq!(why, self.restored.why(work.as_str(), &self.now, &self.runners));
            match &proposal {
                // These come first and take no slot.
                Some(Proposal::Event(
                    CoordinationEvent::WorkSkipped(_) | CoordinationEvent::Answered(_),
                )) => {}
                Some(Proposal::Event(CoordinationEvent::SessionBound(bound))) => {
                    assert_eq!(
                        why.unwrap().is_empty(),
                        bound.work == *work,
                        "`why` of {work} and {bound:?}"
                    );
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

    pub(crate) fn end_event(&self, ending: Ending) -> CoordinationEvent {
        let receipt = self.live.receipt(
            ending.clone(),
            self.now.at,
            self.now.wall,
            StreamTip::default(),
            Default::default(),
        );
        let (verdict, usage, totals) =
            (receipt.verdict, receipt.budget_usage.clone(), receipt.totals);
        let digest = receipt.compute_hash();
        match ending {
            Ending::Completed(stop) => CoordinationEvent::Completed(Box::new(Completed {
                stop,
                verdict,
                usage,
                totals,
                receipt: digest,
            })),
            Ending::Aborted(reason) => CoordinationEvent::Aborted(Box::new(Aborted {
                reason,
                verdict,
                usage,
                totals,
                receipt: digest,
            })),
        }
    }

    pub(crate) fn pass(&mut self, nanos: u64) {
        self.now.at = self.now.at.after(nanos);
        self.now.wall = WallTime(self.now.wall.0.saturating_add(nanos));
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
                self.restored = Coordination::restore(&self.live.snapshot()).unwrap();
                return;
            }
            Step::End { pick, outcome, tokens, cost, output, decided } => {
                let open: Vec<u64> =
                    self.live.bindings().map(|(binding, _)| binding.session).collect();
                let Some(session) = open.get(usize::from(*pick) % open.len().max(1)) else {
                    return;
                };
                let session = *session;
                let decided = decided.filter(|_| outcome.is_attempt()).map(followable);
                if let Some(decision) = decided {
                    self.apply(self.routed(session, decision)).expect("a decision is taken");
                    self.only_the_end_follows(session);
                }
                let output = output.then(|| Digest::of(&[*pick]));
                let end = self.unbound(session, *outcome, (*tokens, *cost), output, decided);
                self.apply(end).expect("a bound session ends");
                return;
            }
            Step::Skip(pick) => {
                let Some(work) = self.nth_work(*pick) else { return };
                CoordinationEvent::WorkSkipped(WorkSkipped {
                    works: vec![work],
                    because: SkipReason::Requested,
                })
            }
            Step::Pause => CoordinationEvent::Paused(Paused { by, reason: "wanted".to_owned() }),
            Step::Continue => CoordinationEvent::Continued(Continued { by }),
            Step::Raise(by_how_much) => CoordinationEvent::BudgetRaised(BudgetRaised {
                by,
                budget: self.raised(*by_how_much),
            }),
            Step::Stop(kind) => CoordinationEvent::StopRequested(StopRequested {
                kind: *kind,
                by,
                reason: String::new(),
                parent: None,
            }),
            Step::Resume { away } => return self.resume(*away),
            Step::Interrupt { ends_sessions } => CoordinationEvent::Interrupted(Interrupted {
                epoch: self.live.epoch(),
                engine: "0".to_owned(),
                by,
                reason: "wanted".to_owned(),
                ends_sessions: *ends_sessions,
                swept: 0,
                away: 0,
            }),
            Step::Add(draft) => {
                let there: Vec<WorkId> = self.live.work_queue().cloned().collect();
                let mut item = draft.spec(&there);
                // Without needs of its own it cannot close a circle through the group that it
                // joins.
                if item.group.is_some() {
                    item.needs.clear();
                    item.need_timeouts.clear();
                } else if let Some(group) = draft.needs_group {
                    item = item.needs_group(format!("g{group}")).unwrap();
                }
                CoordinationEvent::WorkAdded(WorkAdded { items: vec![item], recalled: Vec::new() })
            }
            Step::SetKeys(writes) => {
                let changes = writes.iter().map(|(key, value)| KeyChange {
                    key: format!("k{}", key % 5).parse().unwrap(),
                    value: value.map(|value| JsonText::new(value.to_string()).unwrap()),
                    digest: None,
                });
                CoordinationEvent::KeySet(KeySet { changes: changes.collect(), by })
            }
            Step::Ask { id, expires } => {
                let expires =
                    expires.map(|ms| LedgerTime(self.now.at.0 + u64::from(ms) * 1_000_000));
                let (id, question) = (format!("w{}", id % 4).parse().unwrap(), "Go on?".to_owned());
                CoordinationEvent::Asked(Asked { id, question, expires, by })
            }
            Step::Answer { id, yes } => {
                let id = format!("w{}", id % 4).parse().unwrap();
                let answer = if *yes { Answer::Yes } else { Answer::No };
                let reason = yes.then(|| "fine".to_owned());
                CoordinationEvent::Answered(Answered { id, answer, by, reason })
            }
            Step::Signal { kind, from, about, failed, dedup } => {
                let agent = |pick: u8| format!("a{}", pick % 3).parse().unwrap();
                CoordinationEvent::Signalled(Box::new(Signalled {
                    kind: format!("t{}", kind % 3).parse().unwrap(),
                    from: agent(*from),
                    to: Vec::new(),
                    about: about.map(agent),
                    failed: *failed,
                    data: (kind % 2 == 0).then(|| JsonText::new("{\"n\": 1}").unwrap()),
                    digest: None,
                    dedup: dedup.map(|(key, window, cap)| Dedup {
                        key: format!("k{}", key % 4),
                        window,
                        cap,
                    }),
                }))
            }
            Step::Refuse(pick) => {
                let session = u64::from(*pick) % 8;
                CoordinationEvent::WriteRefused(WriteRefused {
                    session,
                    fence: Version(0),
                    kind: "completion".to_owned(),
                })
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
        let budget = CoordinationBudget::new(
            episodes,
            old.max_duration_ticks() + more,
            old.tick_rate_hz(),
            tokens,
        )
        .unwrap();
        match old.max_cost() {
            Some(max) => budget.with_max_cost(max + more, "EUR"),
            None => budget,
        }
    }

    /// A restart: every open session is lost, and a part of the time since the last event, in
    /// 255ths, does not count.
    fn resume(&mut self, away: u8) {
        self.live = Coordination::restore(&self.live.snapshot()).unwrap();
        self.restored = self.live.clone();
        let open: Vec<u64> = self.live.bindings().map(|(binding, _)| binding.session).collect();
        let swept = u32::try_from(open.len()).unwrap();
        let away = self.now.at.since(self.live.last_times().0) / 255 * u64::from(away);
        let epoch = Epoch(self.live.totals().resumes + 2);
        let resumed = Resumed { epoch, engine: "0".to_owned(), swept, away };
        if self.apply(CoordinationEvent::Resumed(resumed)).is_err() {
            return;
        }
        for session in open {
            let event = self.unbound(session, SessionOutcome::Lost, (0, 0), None, None);
            self.apply(event).expect("a lost session is closed");
        }
    }

    /// What the end of a session means, written down a second time.
    fn routed(&self, session: u64, decision: RoutingDecision) -> CoordinationEvent {
        let (_, spec) = self.live.binding(session).unwrap();
        CoordinationEvent::Routed(Box::new(Routed {
            session,
            work: spec.id.clone(),
            decision,
            to: Vec::new(),
            confidence: 1_000_000,
            rule: None,
            reasoning: "so it was drawn".to_owned(),
            votes: Vec::new(),
        }))
    }

    pub(crate) fn unbound(
        &self,
        session: u64,
        outcome: SessionOutcome,
        (tokens, cost): (u64, u64),
        output: Option<Digest>,
        decided: Option<RoutingDecision>,
    ) -> CoordinationEvent {
        let (_, spec) = self.live.binding(session).unwrap();
        let item = self.live.work_tracking(spec.id.as_str()).unwrap();
        let last = item.attempt_count + 1
            >= spec.attempts.unwrap_or(self.live.started().policies.max_attempts);
        let wait =
            spec.backoff.as_ref().map_or(0, |backoff| backoff.wait_ns(item.attempt_count + 1, 0));
        let then = match outcome {
            _ if decided == Some(RoutingDecision::Error) => NextStep::Done(WorkItemOutcome::Failed),
            _ if decided == Some(RoutingDecision::Skip) => {
                NextStep::Done(WorkItemOutcome::Skipped(SkipReason::Rule))
            }
            SessionOutcome::Success if decided != Some(RoutingDecision::Retry) => {
                NextStep::Done(WorkItemOutcome::Succeeded)
            }
            SessionOutcome::Deferred { until } => NextStep::Wait(until),
            SessionOutcome::Lost | SessionOutcome::Cancelled => NextStep::Retry(self.now.at),
            _ if last => NextStep::Done(WorkItemOutcome::Failed),
            _ => NextStep::Retry(self.now.at.after(wait)),
        };
        CoordinationEvent::SessionUnbound(SessionUnbound {
            session,
            work: spec.id.clone(),
            outcome,
            text: None,
            used: Usage { sessions: 1, tokens, cost, ..Usage::default() },
            scores: BTreeMap::new(),
            output,
            then,
            tree: None,
        })
    }

    /// Goes on until the run has ended, ending every session that it opens. Fails if it
    /// ever stands still.
    pub(crate) fn run_to_the_end(&mut self) {
        let mut waits = 0;
        for turn in 0..2_000 {
            if self.live.status().is_terminal() {
                return;
            }
            if let Some(proposal) = self.proposal() {
                self.follow(proposal);
                continue;
            }
            let open = self.live.bindings().next().map(|(binding, _)| binding.session);
            if let Some(session) = open {
                let outcome =
                    if turn % 3 == 0 { SessionOutcome::Failure } else { SessionOutcome::Success };
                self.apply(self.unbound(session, outcome, (1, 1), None, None)).unwrap();
            } else if !self.live.is_carried() {
                self.resume(0);
            } else if self.live.pause_reason().is_some() {
                // An open coordination that only pauses would never end.
                self.take(&Step::Stop(StopKind::Close));
                self.take(&Step::Raise(1_000));
                self.apply(CoordinationEvent::Continued(Continued { by: actor() })).unwrap();
            } else if self.tells_this_time(&mut waits) {
            } else if let (Some(at), _) = self.live.next_deadlines(self.now.at) {
                let (_, wall) = self.live.next_deadlines(self.now.at);
                let first = at
                    .since(self.now.at)
                    .min(wall.map_or(u64::MAX, |wall| wall.0.saturating_sub(self.now.wall.0)));
                self.pass(first.max(1));
            } else if !self.tell_what_is_waited_for() {
                panic!("it stands still: {}", text(&self.live.snapshot()));
            }
        }
        panic!("it never ends: {}", text(&self.live.snapshot()));
    }

    /// Every third time that nothing else goes on, tells what is waited for; the other times it is
    /// waited for, perhaps in vain.
    fn tells_this_time(&mut self, waits: &mut u32) -> bool {
        *waits += 1;
        waits.is_multiple_of(3) && self.tell_what_is_waited_for()
    }

    /// Every item is in the receipt, once.
    pub(crate) fn receipt_names_every_item(&self) {
        let ending = Ending::Completed(StopCondition::UserRequested);
        let at_the_end = self.replay_until_the_end();
        let receipt = at_the_end.receipt(
            ending,
            self.now.at,
            self.now.wall,
            StreamTip::default(),
            Default::default(),
        );
        let mut named: Vec<&WorkId> =
            receipt.work_outcomes.iter().map(|outcome| &outcome.work_id).collect();
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
        let reused: Vec<&WorkId> = queue.iter().copied().filter(|id| self.is_reused(id)).collect();
        assert_eq!(counted.work_reused, reused.len() as u64);
        let taken = receipt.reused.iter().flat_map(|reused| &reused.items);
        let mut taken: Vec<&WorkId> = taken.map(|item| &item.work_id).collect();
        taken.sort();
        assert_eq!(taken, reused);
    }

    fn is_reused(&self, work: &WorkId) -> bool {
        self.live.work_tracking(work.as_str()).unwrap().spec.reused.is_some()
    }

    /// What was taken over has its outcome as soon as it is there, and never runs.
    pub(crate) fn what_was_taken_over_never_runs(&self) {
        for work in self.live.work_queue().filter(|work| self.is_reused(work)) {
            let item = self.live.work_tracking(work.as_str()).unwrap();
            assert_eq!(
                (item.state, item.attempt_count, item.sessions, item.output),
                (
                    &WorkState::Done(WorkItemOutcome::Succeeded),
                    0,
                    [].as_slice(),
                    item.spec.reused.as_ref().unwrap().output
                ),
                "{work}"
            );
        }
    }

    /// The state before the terminal event, from a replay of the whole stream.
    fn replay_until_the_end(&self) -> Coordination {
        let mut reducer = CoordinationReducer::new();
        for recorded in self.log.iter().filter(|recorded| !decode(recorded).is_terminal()) {
            reducer.apply(recorded, &ReducerContext::replay(recorded.version.0)).unwrap();
        }
        reducer.state().get(self.live.coordination_id()).unwrap().clone()
    }
}

pub(crate) fn decode(recorded: &Recorded) -> CoordinationEvent {
    CoordinationEvent::of(recorded).unwrap()
}

pub(crate) fn text(snapshot: &[u8]) -> &str {
    str::from_utf8(snapshot).unwrap()
}

/// Everything that only counts up.
fn counters(run: &Coordination) -> Vec<u64> {
    let (usage, totals) = (run.budget_usage(), run.totals());
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
        totals.work_reused,
        totals.work_failed,
        totals.work_skipped,
        totals.work_skipped_by_rule,
        totals.work_unfinished,
        totals.resumes,
        totals.writes_refused,
    ]
}
