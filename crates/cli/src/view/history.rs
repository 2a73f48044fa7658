//! Recorded events of a coordination, made up one by one for tests; the reducer refuses those that
//! could not follow.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::collections::BTreeMap;

use antiphon::coordination::{
    CoordinationBudget, Grant, NextStep, SessionOutcome, SkipReason, TreeReport, Usage,
    WorkItemOutcome, WorkSpec,
};
use antiphon::digest::Digest;
use antiphon::envelope::{Payload, Recorded};
use antiphon::event::{
    AggregateEvent as _, CoordinationEvent, Mode, OnExhausted, OnTripped, Policies, SessionBound,
    SessionUnbound, Started, WorkAdded, WorkSkipped,
};
use antiphon::id::{Actor, CoordinationId, Epoch, StreamName, Version, WorkId};
use antiphon::time::{Deadline, LedgerTime, NANOS_PER_SECOND, WallTime};

use super::board::Board;

/// Wall-clock time of the start: 2025-11-21T03:16:00Z.
const START: u64 = 1_763_694_960 * NANOS_PER_SECOND;

/// A history and what it is followed by.
pub(super) struct History {
    pub(super) events: Vec<Recorded>,
    second: u64,
    sessions: u64,
    bound: BTreeMap<String, (u64, u32)>,
    attempts: BTreeMap<String, u32>,
}

impl History {
    /// Work that was started at second 0 with 2 attempts for each item.
    pub(super) fn of(work: Vec<WorkSpec>, concurrency: u32) -> Self {
        let budget = CoordinationBudget::new(200_000, 600_000, 1_000, Some(200_000))
            .unwrap()
            .with_max_cost(5_000_000, "EUR");
        let started = Started {
            name: Some("codegen".to_owned()),
            plan: Digest::of(b"plan"),
            mode: Mode::Closed,
            budget,
            concurrency,
            policies: Policies {
                max_attempts: 2,
                breaker: 1_000,
                on_exhausted: OnExhausted::Stop,
                on_tripped: OnTripped::Stop,
                planner: None,
            },
            parent: None,
            depth: 0,
            minted: false,
            labels: BTreeMap::new(),
            widths: BTreeMap::new(),
            forerunner: None,
            origin: None,
            on_end: None,
            signal_schemas: None,
            items: u32::try_from(work.len()).unwrap(),
            engine: "0.1.0".to_owned(),
            epoch: Epoch(1),
        };
        let mut history = Self {
            events: Vec::new(),
            second: 0,
            sessions: 0,
            bound: BTreeMap::new(),
            attempts: BTreeMap::new(),
        };
        history.push(&CoordinationEvent::Started(Box::new(started)));
        for items in work.chunks(1_000) {
            history.push(&CoordinationEvent::WorkAdded(WorkAdded {
                items: items.to_vec(),
                recalled: Vec::new(),
            }));
        }
        history
    }

    /// Lets seconds pass before what comes next.
    pub(super) fn after(&mut self, seconds: u64) -> &mut Self {
        self.second += seconds;
        self
    }

    pub(super) fn push(&mut self, event: &CoordinationEvent) {
        let version = Version(self.events.len() as u64 + 1);
        self.events.push(Recorded {
            stream: StreamName::Coordination(id()),
            version,
            kind: event.kind().into(),
            schema: event.schema(),
            at: LedgerTime(self.second * NANOS_PER_SECOND),
            wall: self.wall(),
            actor: Actor::new("engine").unwrap(),
            cause: None,
            payload: Payload::Bytes(event.encode()),
            prev: Digest::GENESIS,
            hash: Digest::of(&version.0.to_be_bytes()),
        });
    }

    pub(super) fn bind(&mut self, work: &str) -> &mut Self {
        self.sessions += 1;
        let attempt = self.attempts.get(work).copied().unwrap_or(0) + 1;
        self.bound.insert(work.to_owned(), (self.sessions, attempt));
        self.push(&CoordinationEvent::SessionBound(SessionBound {
            session: self.sessions,
            work: work_id(work),
            attempt,
            looked_at: Version(self.events.len() as u64),
            grant: Grant { sessions: 1, ticks: 1_000, tokens: None, cost: None },
            deadline: LedgerTime((self.second + 1_000) * NANOS_PER_SECOND),
            token: Digest::of(b"token"),
            nested: false,
            leases: Vec::new(),
            context: None,
            met: Vec::new(),
            assigned: None,
        }));
        self
    }

    pub(super) fn succeed(&mut self, work: &str, tokens: u64, estimated: bool) -> &mut Self {
        let used = Usage { sessions: 1, tokens, cost: tokens * 10, estimated, ..Usage::default() };
        self.unbind(
            work,
            SessionOutcome::Success,
            NextStep::Done(WorkItemOutcome::Succeeded),
            None,
            used,
            true,
        )
    }

    /// Fails an attempt; the last one for good.
    pub(super) fn fail(&mut self, work: &str, text: &str) -> &mut Self {
        let last = self.bound[work].1 == 2;
        let retry = LedgerTime((self.second + 30) * NANOS_PER_SECOND);
        let then =
            if last { NextStep::Done(WorkItemOutcome::Failed) } else { NextStep::Retry(retry) };
        self.unbind(work, SessionOutcome::Failure, then, Some(text), one(), true)
    }

    pub(super) fn defer(&mut self, work: &str, text: &str) -> &mut Self {
        let until = Deadline::Wall(WallTime(START + 3_600 * NANOS_PER_SECOND));
        self.unbind(
            work,
            SessionOutcome::Deferred { until },
            NextStep::Wait(until),
            Some(text),
            one(),
            true,
        )
    }

    pub(super) fn leave_something(&mut self, work: &str) -> &mut Self {
        self.unbind(
            work,
            SessionOutcome::Failure,
            NextStep::Hold,
            Some("left a process"),
            one(),
            false,
        )
    }

    pub(super) fn skip(&mut self, work: &str, root: &str) -> &mut Self {
        let because = SkipReason::NeedFailed(work_id(root));
        self.push(&CoordinationEvent::WorkSkipped(WorkSkipped {
            works: vec![work_id(work)],
            because,
        }));
        self
    }

    fn unbind(
        &mut self,
        work: &str,
        outcome: SessionOutcome,
        then: NextStep,
        text: Option<&str>,
        used: Usage,
        clean: bool,
    ) -> &mut Self {
        let (session, _) = self.bound.remove(work).unwrap();
        *self.attempts.entry(work.to_owned()).or_default() += u32::from(outcome.is_attempt());
        self.push(&CoordinationEvent::SessionUnbound(SessionUnbound {
            session,
            work: work_id(work),
            outcome,
            text: text.map(str::to_owned),
            used,
            scores: BTreeMap::new(),
            output: None,
            then,
            tree: Some(Box::new(TreeReport {
                containment: "warden".to_owned(),
                clean,
                ..TreeReport::default()
            })),
        }));
        self
    }

    /// Takes a payload away, as erasing does.
    pub(super) fn erase(&mut self, version: usize) {
        let event = &mut self.events[version - 1];
        event.payload = Payload::Erased(event.payload.digest());
    }

    /// The board after all of it.
    pub(super) fn board(&self) -> Board {
        let mut board = Board::new(id());
        self.events.iter().for_each(|event| board.take(event));
        board
    }

    pub(super) fn wall(&self) -> WallTime {
        WallTime(START + self.second * NANOS_PER_SECOND)
    }
}

fn one() -> Usage {
    Usage { sessions: 1, ..Usage::default() }
}

pub(super) fn id() -> CoordinationId {
    CoordinationId::new("run-1").unwrap()
}

fn work_id(id: &str) -> WorkId {
    WorkId::new(id).unwrap()
}
