//! What a random history is drawn from: items, a coordination, and steps.

use std::time::Duration;

use antiphon_core::coordination::{
    Backoff, CoordinationBudget, CoordinationConfig, EfeWeights, FailurePolicy, Forerunner, Need,
    Reused, Runner, SessionOutcome, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::event::{OnTripped, StopKind};
use antiphon_core::id::{Version, WorkId};

use super::told::ToldNeed;

/// How one item is drawn; turned into a [`WorkSpec`] as far as what is there allows it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) needs: Vec<u8>,
    pub(crate) needs_group: Option<u8>,
    /// Signals and keys.
    pub(crate) told: Vec<ToldNeed>,
    /// The name it speaks under, if not its id.
    pub(crate) agent: Option<u8>,
    /// For how many milliseconds it waits for one of the other items.
    pub(crate) patience: Option<u8>,
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
    /// Whether a retry takes it over.
    pub(crate) reused: bool,
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
    pub(crate) on_tripped: OnTripped,
    pub(crate) planner: bool,
    /// Whether it retries an earlier run.
    pub(crate) retry: bool,
    /// By how much the order of addition is turned, so that items need what comes later.
    pub(crate) turn: usize,
    /// Items in one event while it starts.
    pub(crate) batch: usize,
}

/// What happens next, as far as it is possible.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Propose,
    End {
        pick: u8,
        outcome: SessionOutcome,
        tokens: u64,
        cost: u64,
        output: bool,
        /// What was decided to follow, by its place among the decisions.
        decided: Option<u8>,
    },
    Skip(u8),
    Pause,
    Continue,
    Raise(u64),
    Stop(StopKind),
    /// A restart, after nobody carried it out for a part of the time since the last event.
    Resume {
        away: u8,
    },
    Interrupt {
        ends_sessions: bool,
    },
    Add(Draft),
    Refuse(u8),
    /// Keys by number, each with a value or without.
    SetKeys(Vec<(u8, Option<u8>)>),
    Ask {
        id: u8,
        /// In how many milliseconds it expires.
        expires: Option<u8>,
    },
    Answer {
        id: u8,
        yes: bool,
    },
    Signal {
        kind: u8,
        from: u8,
        about: Option<u8>,
        failed: bool,
        /// A key, a window and a cap.
        dedup: Option<(u8, u64, u32)>,
    },
    Restore,
    Pass(u64),
}

impl Plan {
    pub(crate) fn config(&self) -> CoordinationConfig {
        let mut budget =
            CoordinationBudget::new(self.episodes, self.ticks, 1_000, self.tokens).unwrap();
        if let Some(cost) = self.cost {
            budget = budget.with_max_cost(cost, "EUR");
        }
        let mut work: Vec<WorkSpec> = Vec::new();
        for draft in &self.drafts {
            let mut item = draft.spec(&work.iter().map(|item| item.id.clone()).collect::<Vec<_>>());
            if self.retry && draft.reused {
                item = item.reused(reused(draft.priority > 0));
            }
            let mut with_group = item.clone();
            if let Some(group) = draft.needs_group {
                with_group = with_group.needs_group(format!("g{group}")).unwrap();
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
        let config = if self.open {
            CoordinationConfig::open(work, budget)
        } else {
            CoordinationConfig::of_work(work, budget)
        };
        let config =
            config.unwrap().with_id("c").unwrap().with_concurrency(self.concurrency).unwrap();
        let config = config.with_breaker(self.breaker).unwrap().with_max_attempts(2).unwrap();
        let config = config.when_tripped(self.on_tripped);
        let config = if self.pausing { config.pausing_when_exhausted() } else { config };
        let config = if self.retry { config.retrying(forerunner()) } else { config };
        if self.planner {
            config.with_planner(EfeWeights::new(1.0, 0.5, 0.25).unwrap())
        } else {
            config
        }
    }
}

/// The run that retries retry.
fn forerunner() -> Forerunner {
    Forerunner {
        coordination: "earlier".parse().unwrap(),
        receipt: Digest::of(b"receipt"),
        version: Version(9),
        hash: Digest::of(b"head"),
    }
}

/// Taken over from there, with or without an output.
pub(super) fn reused(output: bool) -> Reused {
    let output = output.then(|| Digest::of(b"output"));
    Reused { from: forerunner().coordination, work: None, output, files: None, session: None }
}

impl Draft {
    pub(super) fn spec(&self, there: &[WorkId]) -> WorkSpec {
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
        if let Some(ms) = self.patience {
            item = item.within(Duration::from_millis(ms.into()));
        }
        for told in &self.told {
            item = item.with_need(told.need());
            if let Some(ms) = told.patience {
                item = item.within(Duration::from_millis(ms.into()));
            }
        }
        if let Some(group) = self.group {
            item = item.in_group(format!("g{group}")).unwrap();
        }
        WorkSpec {
            agent: self.agent.map(|agent| format!("a{}", agent % 3).parse().unwrap()),
            priority: self.priority,
            critical: self.critical,
            attempts: self.attempts,
            backoff: self.backoff.map(Box::new),
            timeout_ticks: self.timeout_ticks,
            max_tokens: self.max_tokens,
            max_cost: self.max_cost,
            on_failure: self.on_failure,
            ..item
        }
    }
}
