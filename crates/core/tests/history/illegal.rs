//! Events that may not follow on a state, each to be refused without a trace.

use std::collections::BTreeSet;

use antiphon_core::coordination::{
    ApplyError, BudgetUsage, CoordinationBudget, Counts, Ending, Finished, Grant, Meta, NextStep,
    Proposal, Reducer, ReducerContext, Reused, Runner, SessionOutcome, SkipReason, StopCondition,
    Usage, Verdict, WorkItemOutcome, WorkSpec, WorkState,
};
use antiphon_core::event::{
    Aborted, BudgetRaised, Completed, Continued, CoordinationEvent, Paused, Resumed, Routed,
    SessionBound, SessionUnbound, WorkAdded, WorkSkipped, WriteRefused,
};
use antiphon_core::id::{Epoch, OutOfOrder, Version, WorkId};
use antiphon_core::routing::RoutingDecision;
use antiphon_core::time::{ClockRegression, Deadline, LedgerTime};

use super::draft::reused;
use super::{History, actor, decode, text};

fn routed(session: u64, work: WorkId, decision: RoutingDecision) -> CoordinationEvent {
    CoordinationEvent::Routed(Box::new(Routed {
        session,
        work,
        decision,
        to: Vec::new(),
        confidence: 1_000_000,
        rule: None,
        reasoning: String::new(),
        votes: Vec::new(),
    }))
}

impl History {
    /// Offers everything that may never follow, whatever the state; all of it is refused and
    /// changes nothing.
    pub(crate) fn refuses_what_may_not_follow(&mut self) {
        let before = self.live.snapshot();
        let meta = self.meta();
        let events = self.illegal_events();
        for event in &events {
            let refused = self.live.apply(event, &meta);
            assert!(
                matches!(refused, Err(ApplyError::Illegal { .. })),
                "{event:?} gave {refused:?}"
            );
        }
        let resumed = CoordinationEvent::Resumed(Resumed {
            epoch: Epoch(9),
            engine: String::new(),
            swept: 0,
            away: 0,
        });
        for version in [
            Version(0),
            Version(1),
            self.live.version(),
            Version(meta.version.0 + 1),
            Version(u64::MAX),
        ] {
            let refused = self.live.apply(&resumed, &Meta { version, ..meta.clone() });
            assert_eq!(
                refused,
                Err(OutOfOrder { last: self.live.version(), actual: version }.into())
            );
        }
        let last = self.log.last().unwrap().at;
        let refused = self.live.apply(&resumed, &Meta { at: LedgerTime(last.0 - 1), ..meta });
        assert_eq!(refused, Err(ClockRegression { last: last.0, current: last.0 - 1 }.into()));
        assert_eq!(text(&self.live.snapshot()), text(&before));
        // A repeated event is one that was seen: replay leaves it alone.
        for recorded in self.log.iter().rev().take(2) {
            self.replayed.apply(recorded, &ReducerContext::replay(1)).unwrap();
        }
        assert_eq!(
            text(&self.replayed.state().get(self.live.coordination_id()).unwrap().snapshot()),
            text(&before)
        );
    }

    fn illegal_events(&self) -> Vec<CoordinationEvent> {
        let live = &self.live;
        let by = actor();
        let unknown: WorkId = "unknown".parse().unwrap();
        let mut events = vec![
            decode(&self.log[0]),
            CoordinationEvent::WorkAdded(WorkAdded { items: Vec::new(), recalled: Vec::new() }),
            CoordinationEvent::WorkAdded(WorkAdded {
                items: Vec::new(),
                recalled: vec![never_left()],
            }),
            CoordinationEvent::WorkSkipped(WorkSkipped {
                works: Vec::new(),
                because: SkipReason::Requested,
            }),
            CoordinationEvent::WorkSkipped(WorkSkipped {
                works: vec![unknown.clone()],
                because: SkipReason::Requested,
            }),
            CoordinationEvent::Resumed(Resumed {
                epoch: Epoch(2),
                engine: String::new(),
                swept: live.bindings().len() as u32 + 1,
                away: 0,
            }),
            CoordinationEvent::Resumed(Resumed {
                epoch: Epoch(2),
                engine: String::new(),
                swept: 0,
                away: self.now.at.since(live.last_times().0) + 1,
            }),
            routed(u64::MAX, unknown.clone(), RoutingDecision::Retry),
            CoordinationEvent::WriteRefused(WriteRefused {
                session: u64::MAX,
                fence: Version(0),
                kind: "completion".to_owned(),
            }),
        ];
        events.push(match live.pause_reason() {
            Some(_) => CoordinationEvent::Paused(Paused { by: by.clone(), reason: String::new() }),
            None => CoordinationEvent::Continued(Continued { by: by.clone() }),
        });
        if let Some(stop) = live.stop_request() {
            events.push(CoordinationEvent::StopRequested(stop.clone()));
        }
        self.illegal_budgets(&mut events);
        self.illegal_items(&mut events, &unknown);
        self.illegal_sessions(&mut events, &unknown);
        self.illegal_ends(&mut events);
        events
    }

    fn illegal_budgets(&self, events: &mut Vec<CoordinationEvent>) {
        let old = self.live.budget();
        let budget = |episodes, ticks, rate, tokens| {
            CoordinationBudget::new(episodes, ticks, rate, tokens).unwrap()
        };
        let (episodes, ticks, rate) =
            (old.max_episodes(), old.max_duration_ticks(), old.tick_rate_hz());
        let mut offers =
            vec![budget(episodes, ticks, rate + 1, None), budget(episodes, ticks - 1, rate, None)];
        if episodes > 1 {
            offers.push(budget(episodes - 1, ticks, rate, None));
        }
        if let Some(tokens) = old.max_tokens().filter(|tokens| *tokens > 0) {
            offers.push(budget(episodes, ticks, rate, Some(tokens - 1)));
        }
        if old.max_cost().is_some() {
            offers.push(budget(episodes, ticks, rate, None).with_max_cost(u64::MAX, "USD"));
        }
        events.extend(
            offers.into_iter().map(|budget| {
                CoordinationEvent::BudgetRaised(BudgetRaised { by: actor(), budget })
            }),
        );
    }

    fn illegal_items(&self, events: &mut Vec<CoordinationEvent>, unknown: &WorkId) {
        let item = |id: &str| WorkSpec::new(id.parse().unwrap(), Runner::Caller);
        let mut batches = vec![vec![item("x"), item("x")]];
        batches.push(vec![item("x").with_attempts(0)]);
        batches.push(vec![item("x").with_attempts(101)]);
        batches.push(vec![item("x").with_timeout_ticks(0)]);
        batches.push(vec![WorkSpec { max_tokens: Some(0), ..item("x") }]);
        let elsewhere = Reused { from: "other".parse().unwrap(), ..reused(false) };
        batches.push(vec![item("x").reused(elsewhere)]);
        if !self.live.is_starting() || self.live.started().forerunner.is_none() {
            batches.push(vec![item("x").reused(reused(false))]);
        }
        if let Some(there) = self.live.work_queue().next() {
            batches.push(vec![item(there.as_str())]);
            let twice = vec![there.clone(), there.clone()];
            events.push(CoordinationEvent::WorkSkipped(WorkSkipped {
                works: twice,
                because: SkipReason::Requested,
            }));
        }
        if self.live.status().is_running() {
            batches.push(vec![item("x").needs_work(unknown.as_str()).unwrap()]);
            batches.push(vec![item("x").needs_group("nobody").unwrap()]);
        }
        events.extend(
            batches.into_iter().map(|items| {
                CoordinationEvent::WorkAdded(WorkAdded { items, recalled: Vec::new() })
            }),
        );
        for work in self.live.work_queue() {
            let because = match self.state(work) {
                WorkState::Done(_) | WorkState::Bound(_) => SkipReason::Requested,
                _ => SkipReason::NeedFailed(unknown.clone()),
            };
            events.push(CoordinationEvent::WorkSkipped(WorkSkipped {
                works: vec![work.clone()],
                because,
            }));
        }
    }

    fn illegal_sessions(&self, events: &mut Vec<CoordinationEvent>, unknown: &WorkId) {
        let live = &self.live;
        let mut proposing = live.clone();
        proposing.wake(&self.now);
        let proposal = proposing.propose(&self.now, &self.runners, &BTreeSet::new());
        if let Some(Proposal::Event(CoordinationEvent::SessionBound(bound))) = proposal {
            let grant = bound.grant;
            let mut forged = vec![
                SessionBound { session: bound.session - 1, ..bound.clone() },
                SessionBound { session: bound.session + 1, ..bound.clone() },
                SessionBound { work: unknown.clone(), ..bound.clone() },
                SessionBound { attempt: bound.attempt + 1, ..bound.clone() },
                SessionBound { attempt: bound.attempt - 1, ..bound.clone() },
                SessionBound { looked_at: Version(0), ..bound.clone() },
                SessionBound { looked_at: live.version().next(), ..bound.clone() },
                SessionBound { deadline: LedgerTime(self.now.at.0 - 1), ..bound.clone() },
                SessionBound { grant: Grant { sessions: 0, ..grant }, ..bound.clone() },
                SessionBound { grant: Grant { sessions: u32::MAX, ..grant }, ..bound.clone() },
                SessionBound { grant: Grant { ticks: u64::MAX, ..grant }, ..bound.clone() },
                SessionBound { grant: Grant { ticks: 0, ..grant }, ..bound.clone() },
            ];
            if live.budget().max_tokens().is_some() {
                forged.push(SessionBound {
                    grant: Grant { tokens: Some(u64::MAX), ..grant },
                    ..bound.clone()
                });
            }
            if live.budget().max_cost().is_some() {
                forged.push(SessionBound {
                    grant: Grant { cost: Some(u64::MAX), ..grant },
                    ..bound.clone()
                });
            }
            for work in live.work_queue().filter(|work| {
                !matches!(self.state(work), WorkState::Ready | WorkState::Delayed(_))
            }) {
                forged.push(SessionBound { work: work.clone(), ..bound.clone() });
            }
            events.extend(forged.into_iter().map(CoordinationEvent::SessionBound));
        }
        // No session may start while one of these holds, even if an item is ready for it.
        if let Some(work) = live.current_work_id()
            && (live.stop_condition_at(self.now.at).is_some() || live.pause_reason().is_some())
        {
            events.push(CoordinationEvent::SessionBound(self.next_binding(work, live.version())));
        }
        for (binding, work) in live.bindings() {
            let CoordinationEvent::SessionUnbound(sound) =
                self.unbound(binding.session, SessionOutcome::Success, (0, 0), None, None)
            else {
                unreachable!("it is an unbound event")
            };
            let used = |sessions| Usage { sessions, ..Usage::default() };
            let retry = NextStep::Retry(self.now.at);
            let forged = [
                SessionUnbound { session: u64::MAX, ..sound.clone() },
                SessionUnbound { session: 0, ..sound.clone() },
                SessionUnbound { work: unknown.clone(), ..sound.clone() },
                SessionUnbound { used: used(0), ..sound.clone() },
                SessionUnbound { used: used(binding.grant.sessions + 1), ..sound.clone() },
                SessionUnbound { then: retry, ..sound.clone() },
                SessionUnbound {
                    then: NextStep::Wait(Deadline::Ledger(LedgerTime(0))),
                    ..sound.clone()
                },
                SessionUnbound { outcome: SessionOutcome::Lost, ..sound.clone() },
                SessionUnbound { outcome: SessionOutcome::Failure, ..sound.clone() },
                SessionUnbound { then: NextStep::Done(WorkItemOutcome::Failed), ..sound.clone() },
                SessionUnbound {
                    then: NextStep::Done(WorkItemOutcome::Skipped(SkipReason::Requested)),
                    ..sound.clone()
                },
            ];
            events.extend(forged.into_iter().map(CoordinationEvent::SessionUnbound));
            let decided = |decision| routed(binding.session, work.clone(), decision);
            events.push(routed(binding.session, unknown.clone(), RoutingDecision::Retry));
            events.push(decided(RoutingDecision::Branch));
            events.push(decided(RoutingDecision::Parallel));
            let fence = binding.fence;
            events.push(CoordinationEvent::WriteRefused(WriteRefused {
                session: binding.session,
                fence,
                kind: "completion".to_owned(),
            }));
            assert_eq!(live.binding(binding.session).unwrap().1.id, *work);
        }
    }

    fn illegal_ends(&self, events: &mut Vec<CoordinationEvent>) {
        let holds = self.live.stop_condition_at(self.now.at);
        let stops = [
            StopCondition::AllWorkCompleted,
            StopCondition::CircuitBreakerTripped,
            StopCondition::BudgetExhausted(antiphon_core::coordination::BudgetType::Episodes),
        ];
        for stop in stops.into_iter().filter(|stop| holds.as_ref() != Some(stop)) {
            events.push(self.end_event(Ending::Completed(stop)));
        }
        if let CoordinationEvent::Completed(sound) =
            self.end_event(Ending::Completed(StopCondition::UserRequested))
        {
            let totals = Counts { sessions: sound.totals.sessions + 1, ..sound.totals };
            events.push(CoordinationEvent::Completed(Box::new(Completed {
                totals,
                ..(*sound).clone()
            })));
            let usage = BudgetUsage::with_tick_rate(1);
            events.push(CoordinationEvent::Completed(Box::new(Completed {
                usage,
                ..(*sound).clone()
            })));
            events.push(CoordinationEvent::Completed(Box::new(Completed {
                verdict: Verdict::Aborted,
                ..(*sound).clone()
            })));
            if self.live.bindings().len() > 0 || self.live.status().is_terminal() {
                events.push(CoordinationEvent::Completed(sound));
            }
        }
        let reason = antiphon_core::coordination::AbortReason::NoEligibleWork;
        if let CoordinationEvent::Aborted(sound) = self.end_event(Ending::Aborted(reason)) {
            events.push(CoordinationEvent::Aborted(Box::new(Aborted {
                verdict: Verdict::Succeeded,
                ..(*sound).clone()
            })));
            if self.live.bindings().len() > 0 || self.live.status().is_terminal() {
                events.push(CoordinationEvent::Aborted(sound));
            }
        }
    }
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
