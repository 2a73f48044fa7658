//! The aggregate: one coordination's state, as its events left it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::budget::{BudgetUsage, CoordinationBudget};
use super::error::CoordinationError;
use super::event::{Mode, Started, StopKind, StopRequested};
use super::index::Index;
use super::paged::Paged;
use super::planner::EfeComponents;
use super::receipt::{Counts, Ending, ReceiptBuilder};
use super::stop::{CoordinationStatus, StopCondition};
use super::work::{Binding, WorkItemTracking, WorkSpec, WorkState};
use crate::digest::Digest;
use crate::id::{CommandId, CoordinationId, Epoch, Fence, SessionId, Version, WorkId};
use crate::time::{Deadline, LedgerTime, WallTime, nanos, ticks};

/// An item as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkItem {
    pub(super) spec: WorkSpec,
    pub(super) state: WorkState,
    pub(super) attempts: u32,
    pub(super) sessions: Vec<u64>,
    pub(super) changed: Version,
    pub(super) tokens: u64,
    pub(super) output: Option<Digest>,
    /// It had left memory before; what it counts for was counted then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) recalled: bool,
}

/// One coordination as its events left it. Changes only through [`Coordination::apply`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coordination {
    pub(super) coordination_id: CoordinationId,
    pub(super) started: Box<Started>,
    pub(super) status: CoordinationStatus,
    pub(super) version: Version,
    pub(super) last_at: LedgerTime,
    pub(super) last_wall: WallTime,
    pub(super) started_at: LedgerTime,
    pub(super) started_wall: WallTime,
    pub(super) completed_wall: Option<WallTime>,
    pub(super) paused: Option<(LedgerTime, String)>,
    pub(super) paused_ns: u64,
    pub(super) stop: Option<StopRequested>,
    pub(super) tripped: bool,
    pub(super) fault: Option<CoordinationError>,
    pub(super) consecutive_failures: u32,
    pub(super) items: Paged<WorkItem>,
    pub(super) unfinished: u32,
    pub(super) bound: BTreeMap<u64, Binding>,
    pub(super) sessions: u64,
    /// Sessions that ended and left something running, and the items that wait for it to be gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) held: BTreeMap<u64, u32>,
    /// Items to be skipped because of a failed root, in the order found.
    pub(super) doomed: VecDeque<(u32, WorkId)>,
    pub(super) receipt: ReceiptBuilder,
    pub(super) receipt_digest: Option<Digest>,
    pub(super) refused: BTreeSet<(u64, String)>,
    pub(super) commands: VecDeque<(CommandId, Version)>,
    #[serde(default, skip_serializing_if = "Archive::is_untouched")]
    pub(super) archive: Archive,
    #[serde(skip)]
    pub(super) index: Index,
}

impl Coordination {
    /// Tag of the snapshot bytes; a snapshot with another one is not used.
    pub const SNAPSHOT_FORMAT: &'static str = "coordination.2";

    /// The coordination's id.
    #[must_use]
    pub fn coordination_id(&self) -> &CoordinationId {
        &self.coordination_id
    }

    /// What it was started with.
    #[must_use]
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Where it is in its life.
    #[must_use]
    pub fn status(&self) -> &CoordinationStatus {
        &self.status
    }

    /// Version of its last event.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The ceilings, as raised.
    #[must_use]
    pub fn budget(&self) -> &CoordinationBudget {
        self.receipt.ceiling()
    }

    /// What it has used, as of its last event.
    #[must_use]
    pub fn budget_usage(&self) -> &BudgetUsage {
        &self.receipt.usage
    }

    /// Sessions and items, counted.
    #[must_use]
    pub fn totals(&self) -> &Counts {
        &self.receipt.totals
    }

    /// Ids of the items in memory, in the order of addition: of all, unless the coordination is
    /// open and finished many.
    pub fn work_queue(&self) -> impl Iterator<Item = &WorkId> {
        self.items.iter().map(|(_, item)| &item.spec.id)
    }

    /// How many items were ever added.
    #[must_use]
    pub fn work_count(&self) -> u64 {
        let unfinished = if self.status.is_terminal() { 0 } else { u64::from(self.unfinished) };
        self.totals().items() + unfinished
    }

    /// What is known of one item.
    #[must_use]
    pub fn work_tracking(&self, work: &str) -> Option<WorkItemTracking<'_>> {
        let item = &self.items[*self.index.by_id.get(work)?];
        Some(WorkItemTracking {
            spec: &item.spec,
            state: &item.state,
            attempt_count: item.attempts,
            sessions: &item.sessions,
            changed: item.changed,
            output: item.output,
        })
    }

    /// The live sessions, by number.
    pub fn bindings(&self) -> impl ExactSizeIterator<Item = (&Binding, &WorkId)> {
        self.bound.values().map(|binding| (binding, &self.items[binding.item].spec.id))
    }

    /// One live session.
    #[must_use]
    pub fn binding(&self, session: u64) -> Option<(&Binding, &WorkSpec)> {
        let binding = self.bound.get(&session)?;
        Some((binding, &self.items[binding.item].spec))
    }

    /// The item that waits until nothing of a session is left.
    #[must_use]
    pub fn held_by(&self, session: u64) -> Option<&WorkId> {
        self.held.get(&session).map(|position| &self.items[*position].spec.id)
    }

    /// The sessions that ended and left something running which an item waits for.
    pub fn holding(&self) -> impl Iterator<Item = u64> {
        self.held.keys().copied()
    }

    /// Items failed for good in a row.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// Items without an outcome.
    #[must_use]
    pub fn work_left(&self) -> u32 {
        self.unfinished
    }

    /// Wall-clock time of its start, in nanoseconds since 1970.
    #[must_use]
    pub fn started_at(&self) -> WallTime {
        self.started_wall
    }

    /// Wall-clock time of its end.
    #[must_use]
    pub fn completed_at(&self) -> Option<WallTime> {
        self.completed_wall
    }

    /// Why it is paused, if it is.
    #[must_use]
    pub fn pause_reason(&self) -> Option<&str> {
        self.paused.as_ref().map(|(_, reason)| reason.as_str())
    }

    /// The strongest request to end it, if there was one.
    #[must_use]
    pub fn stop_request(&self) -> Option<&StopRequested> {
        self.stop.as_ref()
    }

    /// Digest of its receipt, once it has ended.
    #[must_use]
    pub fn receipt_digest(&self) -> Option<Digest> {
        self.receipt_digest
    }

    /// Number of the last session that was bound, 0 if none was.
    #[must_use]
    pub fn last_session(&self) -> u64 {
        self.sessions
    }

    /// Ledger and wall-clock time of its last event.
    #[must_use]
    pub fn last_times(&self) -> (LedgerTime, WallTime) {
        (self.last_at, self.last_wall)
    }

    /// Whether a stale write of this kind by this session is recorded already.
    #[must_use]
    pub fn has_refused(&self, session: u64, kind: &str) -> bool {
        self.refused.contains(&(session, kind.to_owned()))
    }

    /// The epoch under which it was started or last resumed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.receipt.epoch()
    }

    /// Whether this is the fence of a live session.
    #[must_use]
    pub fn shows_fence(&self, session: u64, fence: Fence) -> bool {
        self.binding(session).is_some_and(|(binding, _)| binding.fence == fence)
    }

    /// Whether a ceiling is reached, as of the last event.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.receipt.usage.check_budget_exhausted(self.budget()).is_some()
    }

    /// The id of its n-th session.
    #[must_use]
    pub fn session_id(&self, number: u64) -> SessionId {
        SessionId { coordination: self.coordination_id.clone(), number }
    }

    /// The version of the event that an accepted command with this id caused, among the last
    /// [`MAX_REMEMBERED_COMMANDS`](super::MAX_REMEMBERED_COMMANDS).
    #[must_use]
    pub fn remembered(&self, command: &CommandId) -> Option<Version> {
        self.index.commands.get(command).copied()
    }

    /// Why it must stop now, judged at a ledger time; see DESIGN's order of stops in
    /// ARCHITECTURE.md.
    #[must_use]
    pub fn stop_condition_at(&self, at: LedgerTime) -> Option<StopCondition> {
        if self.status == CoordinationStatus::Initializing {
            return None;
        }
        let ends_when_done = self.started.mode == Mode::Closed || self.stop.is_some();
        if self.unfinished == 0 && ends_when_done {
            return Some(StopCondition::AllWorkCompleted);
        }
        if self.stop.as_ref().is_some_and(|stop| stop.kind >= StopKind::Drain) {
            return Some(StopCondition::UserRequested);
        }
        if let Some(fault) = &self.fault {
            return Some(StopCondition::Error(fault.clone()));
        }
        if self.tripped {
            return Some(StopCondition::CircuitBreakerTripped);
        }
        let mut usage = self.receipt.usage.clone();
        usage.elapsed_ticks = usage.elapsed_ticks.max(self.elapsed_ticks_at(at));
        usage.check_budget_exhausted(self.budget()).map(StopCondition::BudgetExhausted)
    }

    /// Ticks since the start, pauses left out.
    #[must_use]
    pub fn elapsed_ticks_at(&self, at: LedgerTime) -> u64 {
        ticks(self.elapsed_ns_at(at), self.budget().tick_rate_hz())
    }

    fn elapsed_ns_at(&self, at: LedgerTime) -> u64 {
        let until = self.paused.as_ref().map_or(at, |(since, _)| at.min(*since));
        until.since(self.started_at).saturating_sub(self.paused_ns)
    }

    /// When the time budget is used up, unless the coordination is paused or has ended.
    #[must_use]
    pub fn duration_end(&self) -> Option<LedgerTime> {
        let whole = nanos(self.budget().max_duration_ticks(), self.budget().tick_rate_hz());
        (self.paused.is_none() && !self.status.is_terminal())
            .then(|| self.started_at.after(self.paused_ns).after(whole))
    }

    /// The earliest moments on the two clocks at which something is due. What was due by `seen` has
    /// been dealt with.
    #[must_use]
    pub fn next_deadlines(&self, seen: LedgerTime) -> (Option<LedgerTime>, Option<WallTime>) {
        if self.status.is_terminal() {
            return (None, None);
        }
        let first = self.index.due_at.first().map(|(at, _)| *at);
        let end = self.duration_end().filter(|end| *end > seen);
        let at = match (first, end) {
            (Some(first), Some(end)) => Some(first.min(end)),
            (first, end) => first.or(end),
        };
        (at, self.index.due_wall.first().map(|(wall, _)| *wall))
    }

    /// What the receipt is, given where its evidence lies; unfinished items come last, in the order
    /// of addition.
    #[must_use]
    pub fn receipt(
        &self,
        ending: Ending,
        at: LedgerTime,
        wall: WallTime,
        tip: crate::envelope::StreamTip,
        commit: crate::envelope::CommitTip,
    ) -> super::CoordinationReceipt {
        let mut builder = self.receipt.clone().with_evidence(tip, commit);
        builder.usage.elapsed_ticks = builder.usage.elapsed_ticks.max(self.elapsed_ticks_at(at));
        // The terminal event has counted them already.
        let uncounted = self.items.iter().filter(|_| !self.status.is_terminal());
        for (_, item) in uncounted.filter(|(_, item)| !matches!(item.state, WorkState::Done(_))) {
            builder.record_work_outcome(item.outcome(), item.spec.critical);
        }
        builder.end(ending, wall)
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
        let mut session: Self = serde_json::from_slice(snapshot)?;
        if !session.is_coherent() {
            return Err(serde::de::Error::custom(
                "the snapshot contradicts itself; replay the stream instead",
            ));
        }
        session.rebuild_index();
        Ok(session)
    }

    /// Whether what is stored twice agrees, so that a forged snapshot cannot lead out of bounds
    /// later.
    fn is_coherent(&self) -> bool {
        let state = |position: u32| self.items.get(position).map(|item| &item.state);
        let left =
            self.items.iter().filter(|(_, item)| !matches!(item.state, WorkState::Done(_))).count();
        let running =
            self.items.iter().filter(|(_, item)| matches!(item.state, WorkState::Bound(_))).count();
        left == self.unfinished as usize
            && running == self.bound.len()
            && self.budget_usage().tick_rate_hz() == self.budget().tick_rate_hz()
            && self.held.iter().all(|(session, position)| {
                state(*position) == Some(&WorkState::AwaitingCleanup(*session))
            })
            && self.archive_is_coherent()
            && self.bound.iter().all(|(number, binding)| {
                *number == binding.session
                    && *number <= self.sessions
                    && state(binding.item) == Some(&WorkState::Bound(*number))
            })
    }

    /// The planner's score of an item, 0 if the planner is off.
    pub(super) fn score(&self, item: &WorkItem) -> u32 {
        self.started.policies.planner.as_ref().map_or(0, |weights| {
            let most = self.max_attempts(item);
            EfeComponents::observed(
                item.attempts,
                most,
                item.output.is_some(),
                item.tokens,
                self.started.budget.max_tokens(),
            )
            .compute_efe(weights)
        })
    }

    /// Attempts that an item may take.
    pub(super) fn max_attempts(&self, item: &WorkItem) -> u32 {
        item.spec.attempts.unwrap_or(self.started.policies.max_attempts)
    }
}

impl WorkItem {
    /// The moment it waits for, if it does.
    pub(super) fn until(&self) -> Option<Deadline> {
        match self.state {
            WorkState::Delayed(deadline) => Some(deadline),
            _ => None,
        }
    }

    /// Whether a group that it needs may still hold it back: once it had a session, no more.
    pub(super) fn can_wait_again(&self) -> bool {
        match self.state {
            WorkState::Waiting(_) => true,
            WorkState::Ready => self.sessions.is_empty(),
            _ => false,
        }
    }

    pub(super) fn outcome(&self) -> super::WorkOutcome {
        super::WorkOutcome {
            work_id: self.spec.id.clone(),
            attempts: self.attempts,
            final_outcome: match &self.state {
                WorkState::Done(outcome) => Some(outcome.clone()),
                _ => None,
            },
            sessions: self.sessions.clone(),
            output: self.output,
        }
    }
}
