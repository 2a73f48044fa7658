//! One item as it is shown: its state in a word, and why it does not go on or how its last session
//! went.

use std::collections::BTreeMap;

use antiphon::coordination::{
    Blocked, Coordination, Reused, Runners, SessionOutcome, WorkItemOutcome, WorkItemTracking,
    WorkStage, WorkState,
};
use antiphon::id::{SessionId, WorkId};
use antiphon::time::{Deadline, Now};

use super::board::{Board, Last};
use crate::labels::skip_reason;
use crate::session_end::{self, NextTry};
use crate::text::printable;
use crate::timestamps;

/// Needs that are spelled out before the rest is counted.
const NAMED: usize = 3;

/// Items with more needs than this are not asked which of them are met: that would cost each look
/// too much.
const ASKED: usize = 64;

/// An item for people. Nothing in it is obeyed by a terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) stage: WorkStage,
    /// The same in a word, unless it is not known what became of the item.
    pub(crate) state: &'static str,
    /// Attempts that counted, with the one that runs.
    pub(crate) attempt: u32,
    /// How long it runs, or its last session took.
    pub(crate) time_ns: Option<u64>,
    /// Its sessions, oldest first.
    pub(crate) sessions: Vec<u64>,
    /// The run that carries it out, or did last.
    pub(crate) child: Option<SessionId>,
    /// Why it does not go on.
    pub(crate) waits: Option<String>,
    /// What is recorded of how its last session went.
    pub(crate) text: Option<String>,
    /// What people read instead of the last two: how its last session ended and when the next one
    /// starts, if one is to follow; or where it was taken over from.
    told: Option<String>,
}

impl Row {
    /// Whether its last session is to be followed by another one, and that is said.
    pub(crate) fn is_tried_again(&self) -> bool {
        self.stage == WorkStage::Delayed && self.told.is_some()
    }

    /// What is worth saying besides the numbers.
    pub(crate) fn detail(&self) -> String {
        let text = match (self.stage, &self.text) {
            (WorkStage::Running, Some(text)) => Some(format!("before: {text}")),
            (_, text) => text.clone(),
        };
        let child = self.child.as_ref().map(|child| format!("run {child}"));
        let (first, last) = match &self.told {
            Some(told) => (Some(told.clone()), None),
            None => (self.waits.clone(), text),
        };
        let parts: Vec<String> = [first, child, last].into_iter().flatten().collect();
        parts.join("; ")
    }
}

/// What rows are made with.
pub(crate) struct Rows<'a> {
    board: &'a Board,
    now: Now,
    asked: &'a BTreeMap<WorkId, String>,
    runners: Runners,
}

impl<'a> Rows<'a> {
    /// Rows as of a moment; `asked` are reasons from the engine, which knows more than the events
    /// say.
    pub(crate) fn new(board: &'a Board, now: Now, asked: &'a BTreeMap<WorkId, String>) -> Self {
        Self { board, now, asked, runners: Runners::default() }
    }

    pub(crate) fn row(&self, place: usize) -> Row {
        let item = self.board.item(place);
        let stage = item.class.stage();
        let mut row = Row {
            id: printable(item.id.as_str()).into_owned(),
            stage,
            state: self.board.state(stage),
            attempt: 0,
            time_ns: item.last.as_ref().map(|last| last.took_ns),
            sessions: Vec::new(),
            child: None,
            waits: None,
            text: item.last.as_ref().and_then(|last| last.text.as_deref()).map(str::to_owned),
            told: None,
        };
        let Some(run) = self.board.run() else { return row };
        let Some(tracking) = run.work_tracking(item.id.as_str()) else { return row };
        if !self.board.is_known(stage) {
            row.waits = Some("what became of it cannot be read".to_owned());
            return row;
        }
        row.told = tracking.spec.reused.as_ref().map(|reused| {
            let Reused { from, work, session, .. } = &**reused;
            let work = work.as_ref().unwrap_or(&item.id);
            let session = session.as_ref().filter(|_| reused.earlier_run().is_some());
            let session =
                session.map(|id| format!("; session {id} carried it out")).unwrap_or_default();
            printable(&format!("taken over from {work} of {from}{session}")).into_owned()
        });
        row.attempt = tracking.attempt_count;
        row.sessions = tracking.sessions.to_vec();
        row.child = tracking
            .sessions
            .last()
            .filter(|_| tracking.spec.runner.is_plan())
            .map(|number| run.session_id(*number));
        match tracking.state {
            WorkState::Bound(number) => {
                let Some((binding, _)) = run.binding(*number) else { return row };
                row.attempt = binding.attempt;
                row.time_ns = Some(self.now.at.since(binding.bound_at));
                row.waits = self.asked.get(&item.id).map(|why| printable(why).into_owned());
            }
            _ if row.stage == WorkStage::Unfinished => {
                let never_ran = tracking.sessions.is_empty();
                row.waits = Some(match never_ran {
                    true => "not run: the run ended first".to_owned(),
                    false => "the run ended before it did".to_owned(),
                });
            }
            WorkState::AwaitingCleanup(number) => {
                row.waits = Some(format!(
                    "session {number} left something running; waiting until that is gone"
                ));
            }
            WorkState::Done(WorkItemOutcome::Skipped(reason)) => {
                row.waits = Some(printable(&skip_reason(reason)).into_owned());
            }
            WorkState::Done(_) => {}
            WorkState::Delayed(until) if !until.has_come(&self.now) => {
                row.waits = Some(delay(item.last.as_ref(), *until, &self.now));
                let next = NextTry::of(*until, self.now.at);
                row.told = item.last.as_ref().map(|last| again(last, next));
            }
            WorkState::Delayed(_) => {
                let reason = self.ready(run, &item.id);
                row.waits = Some(match reason {
                    Some(reason) => format!("due; {reason}"),
                    None => "due".to_owned(),
                });
            }
            WorkState::Waiting(_) => row.waits = self.needs(run, &tracking),
            WorkState::Ready => {
                row.waits = self.ready(run, &item.id);
                let last = item.last.as_ref().filter(|_| row.waits.is_none());
                row.told = last.map(|last| again(last, NextTry::In(0)));
            }
        }
        row
    }

    /// The needs that are not met.
    fn needs(&self, run: &Coordination, tracking: &WorkItemTracking<'_>) -> Option<String> {
        if tracking.spec.needs.len() > ASKED {
            let WorkState::Waiting(unmet) = tracking.state else { return None };
            return Some(format!("needs {unmet} of {}", tracking.spec.needs.len()));
        }
        let blocked = run.why(tracking.spec.id.as_str(), &self.now, &self.runners).ok()?;
        let needs: Vec<String> = blocked
            .iter()
            .filter_map(|reason| match reason {
                Blocked::NeedsWork { work, .. } => Some(work.to_string()),
                Blocked::NeedsGroup { group, unfinished } => {
                    Some(format!("{group} ({unfinished} left)"))
                }
                Blocked::NeedsSignal { need, .. } => Some(need.to_string()),
                Blocked::NeedsKey { need, .. } => Some(need.to_string()),
                Blocked::NeedsApproval { question, asked: Some(id) } => {
                    Some(format!("approval {id}: {question}"))
                }
                Blocked::NeedsRoute { .. } => Some("a route".to_owned()),
                Blocked::GroupFailed { group, work } => {
                    Some(format!("{group}, in which {work} failed"))
                }
                _ => None,
            })
            .collect();
        let more = needs.len().saturating_sub(NAMED);
        let named = needs
            .iter()
            .take(NAMED)
            .map(|need| printable(need).into_owned())
            .collect::<Vec<_>>()
            .join(", ");
        match (named.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(format!("needs {named}")),
            (false, more) => Some(format!("needs {named} and {more} more")),
        }
    }

    /// Why an item that may start does not. The whole run's reasons stand elsewhere.
    fn ready(&self, run: &Coordination, id: &WorkId) -> Option<String> {
        if let Some(reason) = self.asked.get(id) {
            return Some(printable(reason).into_owned());
        }
        (!run.has_slot(0)).then(|| match run.started().concurrency {
            1 => "one at a time".to_owned(),
            slots => format!("all {slots} slots are taken"),
        })
    }
}

/// How the last session of an item ended, and what the item does now.
fn again(last: &Last, next: NextTry) -> String {
    let outcome = last.outcome.as_str();
    let next = next.in_words(outcome);
    let text = last.text.as_deref().or_else(|| session_end::reason(outcome));
    let text = text.map(|text| format!(": {text}")).unwrap_or_default();
    match next {
        Some(next) if session_end::is_deferred(outcome) => format!("{next}{text}"),
        next => {
            let (word, took) = (session_end::word(outcome), timestamps::elapsed(last.took_ns));
            let next = next.map(|next| format!(", {next}")).unwrap_or_default();
            format!("{word} after {took}{next}{text}")
        }
    }
}

/// What an item waits for that had a session before; moments are in UTC.
fn delay(last: Option<&Last>, until: Deadline, now: &Now) -> String {
    let is_deferred =
        last.is_some_and(|last| matches!(last.outcome, SessionOutcome::Deferred { .. }));
    let what = if is_deferred { "deferred" } else { "retry" };
    match until {
        Deadline::Ledger(at) if is_deferred => {
            format!("{what} for {}", timestamps::elapsed(at.since(now.at)))
        }
        Deadline::Ledger(at) => format!("{what} in {}", timestamps::elapsed(at.since(now.at))),
        Deadline::Wall(wall) if is_deferred => {
            format!("{what} until {wall}")
        }
        Deadline::Wall(wall) => format!("{what} at {wall}"),
    }
}
