//! What can be asked of a coordination. Nothing here changes it.

use std::collections::BTreeSet;

use super::Coordination;
use crate::coordination::approval::{Question, QuestionState};
use crate::coordination::budget::{BudgetUsage, CoordinationBudget};
use crate::coordination::error::{ApprovalError, KeyError, TerminationError, WorkError};
use crate::coordination::event::{
    Answered, Asked, KeySet, Signalled, Started, StopRequested, WorkSkipped,
};
use crate::coordination::failure_streak::FailureStreak;
use crate::coordination::key::{KeyState, KeyValue, KeyWrite};
use crate::coordination::life::Life;
use crate::coordination::receipt::{Counts, Ending, GateScore, ReceiptBuilder, SignalCounts};
use crate::coordination::remembered::Accepted;
use crate::coordination::session::{Binding, Sessions};
use crate::coordination::signal::{About, Latest, SignalType};
use crate::coordination::stop::CoordinationStatus;
use crate::coordination::work::{
    ArchivedWork, Need, NeedStanding, Told, Work, WorkItem, WorkItemTracking, WorkSpec, WorkStage,
};
use crate::digest::Digest;
use crate::envelope::Blob;
use crate::id::{
    Actor, AgentId, CommandId, CoordinationId, Epoch, Fence, KeyName, QuestionId, SessionId,
    Version, WorkId,
};
use crate::time::{LedgerTime, WallTime, nanos, ticks};

/// The parts, for those that decide.
impl Coordination {
    pub(in crate::coordination) fn life(&self) -> &Life {
        &self.life
    }

    pub(in crate::coordination) fn work(&self) -> &Work {
        &self.work
    }

    pub(in crate::coordination) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(in crate::coordination) fn receipt_so_far(&self) -> &ReceiptBuilder {
        &self.receipt
    }
}

impl Coordination {
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

    /// Where it is in its life, as the seed says it.
    #[must_use]
    pub fn status(&self) -> &CoordinationStatus {
        self.life.status()
    }

    /// Whether its start is not recorded whole, so that nothing is bound.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.life.is_starting()
    }

    /// Whether it has ended, so that nothing can follow.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.life.is_ended()
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
        self.receipt.usage()
    }

    /// Sessions and items, counted.
    #[must_use]
    pub fn totals(&self) -> &Counts {
        self.receipt.totals()
    }

    /// Ids of the items in memory, in the order of addition: of all, unless the coordination is
    /// open and finished many.
    pub fn work_queue(&self) -> impl Iterator<Item = &WorkId> {
        self.work.iter().map(|(_, item)| item.id())
    }

    /// How many items were ever added.
    #[must_use]
    pub fn work_count(&self) -> u64 {
        // The terminal event counts the unfinished ones.
        let uncounted = if self.is_ended() { 0 } else { u64::from(self.work.unfinished()) };
        self.totals().items() + uncounted
    }

    /// Items without an outcome.
    #[must_use]
    pub fn work_left(&self) -> u32 {
        self.work.unfinished()
    }

    /// Whether an item without an outcome needs secrets, which are never recorded.
    #[must_use]
    pub fn needs_secrets(&self) -> bool {
        self.work.iter_unfinished().any(|item| item.spec().runner.needs_secrets())
    }

    /// Whether something that is left of it may need secrets: an item, or what a nested plan holds.
    #[must_use]
    pub fn may_need_secrets(&self) -> bool {
        let mut left = self.work.iter_unfinished().map(|item| &item.spec().runner);
        self.is_starting() || left.any(|runner| runner.needs_secrets() || runner.is_plan())
    }

    /// What is known of one item.
    #[must_use]
    pub fn work_tracking(&self, work: &str) -> Option<WorkItemTracking<'_>> {
        self.work.find(work).map(|item| item.tracking())
    }

    /// Where an item is in its life; `None` if it is not in memory.
    #[must_use]
    pub fn work_stage(&self, work: &str) -> Option<WorkStage> {
        let item = self.work.find(work)?;
        let stage = WorkStage::from(item.state());
        Some(match stage {
            _ if self.is_ended() && !stage.has_outcome() => WorkStage::Unfinished,
            // A nested run is left alone together with the one that it is in.
            WorkStage::Running if item.spec().runner.is_plan() && !self.is_carried() => {
                WorkStage::Interrupted
            }
            stage => stage,
        })
    }

    /// What is known of one item, or why nothing is.
    pub(crate) fn known_work(&self, work: &str) -> Result<WorkItemTracking<'_>, WorkError> {
        self.work.known(work).map(WorkItem::tracking)
    }

    /// The next items that can never run, all of one root.
    pub(crate) fn propose_skip(&self) -> Option<WorkSkipped> {
        self.work.propose_skip()
    }

    /// The ready item that goes first, whatever its runner; what a serial caller takes next.
    #[must_use]
    pub fn current_work_id(&self) -> Option<&WorkId> {
        self.work.first_ready()
    }

    /// Items failed for good in a row.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.work.failed_in_a_row().failures()
    }

    /// The failures that tripped the breaker, if they did: also after it has ended, or paused for
    /// them.
    #[must_use]
    pub fn tripped(&self) -> Option<&FailureStreak> {
        self.life.tripped()
    }

    /// The live sessions, by number.
    pub fn bindings(&self) -> impl ExactSizeIterator<Item = (&Binding, &WorkId)> {
        self.sessions.iter().map(|live| (live, self.work.item(live.item()).id()))
    }

    /// One live session.
    #[must_use]
    pub fn binding(&self, session: u64) -> Option<(&Binding, &WorkSpec)> {
        let live = self.sessions.get(session)?;
        Some((live, self.work.item(live.item()).spec()))
    }

    /// The item that waits until nothing of a session is left.
    #[must_use]
    pub fn held_by(&self, session: u64) -> Option<&WorkId> {
        self.sessions.waits_for(session).map(|item| self.work.item(item).id())
    }

    /// The sessions that ended and left something running which an item waits for.
    pub fn holding(&self) -> impl Iterator<Item = u64> {
        self.sessions.with_leftovers()
    }

    /// Number of the last session that was bound, 0 if none was.
    #[must_use]
    pub fn last_session(&self) -> u64 {
        self.sessions.last()
    }

    /// The id of its n-th session.
    #[must_use]
    pub fn session_id(&self, number: u64) -> SessionId {
        SessionId { coordination: self.coordination_id.clone(), number }
    }

    /// Whether another session may run at the same time, besides those that are live and so many
    /// items whose plan is being fetched, each of which keeps a slot.
    #[must_use]
    pub fn has_slot(&self, expanding: usize) -> bool {
        self.sessions.len() + expanding < self.started.concurrency as usize
    }

    /// Whether this is the fence of a live session.
    #[must_use]
    pub fn shows_fence(&self, session: u64, fence: Fence) -> bool {
        self.sessions.shows_fence(session, fence)
    }

    /// Whether a stale write of this kind by this session is still to be recorded.
    pub(crate) fn is_first_refusal(&self, session: u64, kind: &str) -> bool {
        self.sessions.is_first_refusal(session, kind)
    }

    /// Whether an item waits until nothing of a session is left. Deciding and checking that it is
    /// gone both ask here.
    ///
    /// # Errors
    /// [`TerminationError::HoldsNothing`].
    pub(crate) fn may_clear(&self, session: u64) -> Result<(), TerminationError> {
        match self.sessions.waits_for(session) {
            Some(_) => Ok(()),
            None => Err(TerminationError::HoldsNothing { session_id: self.session_id(session) }),
        }
    }

    /// Its signals so far, counted; none if there were none.
    #[must_use]
    pub fn signal_counts(&self) -> Option<&SignalCounts> {
        self.receipt.signals()
    }

    /// Where the last signals of a type are; `None` also where so many others came since that only
    /// the stream has them.
    #[must_use]
    pub fn latest_signal(&self, kind: &SignalType, about: &About) -> Option<Latest> {
        self.signals.latest(kind, about)
    }

    /// Where a sender has sent the same signal before, while that counts.
    pub(crate) fn sent_before(&self, sent: &Signalled, at: LedgerTime) -> Option<Version> {
        let dedup = sent.dedup.as_ref()?;
        self.signals.sent_before(&sent.from, &sent.kind, dedup, at)
    }

    /// A key, if it is there.
    #[must_use]
    pub fn key(&self, key: &str) -> Option<&KeyState> {
        self.keys.get(key)
    }

    /// Whether an item needs keys that all runs share.
    pub(crate) fn looks_at_shared(&self) -> bool {
        self.work.looks_at_shared()
    }

    /// Takes out the shared keys that items need and that nobody has told yet.
    pub(crate) fn take_untold(&mut self) -> BTreeSet<KeyName> {
        self.work.take_untold()
    }

    /// Says what a key is that all runs share. Items that need it may start, or may no more.
    pub(crate) fn see_shared(&mut self, key: &KeyName, is: Option<&KeyState>) {
        self.work.see_shared(key, is);
    }

    /// The items in memory that speak under a name.
    pub fn speakers(&self, agent: &AgentId) -> impl Iterator<Item = WorkItemTracking<'_>> {
        self.work.speakers(agent).map(WorkItem::tracking)
    }

    /// How a need stands now, whoever waits for it.
    #[must_use]
    pub fn standing(&self, need: &Need) -> NeedStanding {
        self.work.standing_of(need, Told::new(&self.signals, &self.keys, &self.questions))
    }

    /// What the next session of an item is given to go by: the key `context/<agent>`, else what its
    /// description says. A nested
    /// coordination has contexts of its own.
    pub(crate) fn context_of(&self, item: &WorkSpec) -> Option<KeyValue> {
        match item.runner.is_plan() {
            true => None,
            false => {
                let set = self.keys.context(&item.speaks_as()).cloned();
                set.or_else(|| item.context.clone().map(KeyValue::Here))
            }
        }
    }

    /// The scores of its gates, by name.
    pub(in crate::coordination) fn gate_scores(&self) -> impl Iterator<Item = GateScore> {
        self.keys.gates().map(|(gate, score, version)| {
            let gate = gate.to_owned();
            GateScore { gate, score, version }
        })
    }

    /// The keys that begin so, after one of them, by name.
    pub fn keys<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a KeyName, &'a KeyState)> {
        self.keys.below(prefix, after)
    }

    /// What a change of keys is recorded as; a session may score only these gates.
    pub(crate) fn decide_keys(
        &self,
        writes: Vec<KeyWrite>,
        by: Actor,
        scored: Option<&[KeyName]>,
    ) -> Result<Option<(KeySet, Vec<Blob>)>, KeyError> {
        self.keys.decide(writes, by, scored)
    }

    /// A question, if it is open or its answer is remembered.
    #[must_use]
    pub fn question(&self, id: &str) -> Option<&QuestionState> {
        self.questions.get(id)
    }

    /// The questions that are open or whose answers are remembered, by id.
    pub fn questions(&self) -> impl Iterator<Item = (&QuestionId, &QuestionState)> {
        self.questions.iter()
    }

    /// The outputs that a session of an item may go by, by the names of the items whose they are: those
    /// that it needs and those that may route to it. Of an item that was visited again it is the latest
    /// that is done.
    pub(crate) fn outputs_for(&self, spec: &WorkSpec) -> Vec<(WorkId, Digest)> {
        self.work.outputs_for(spec)
    }

    /// The question that is to be asked next for items that wait for its answer.
    pub(in crate::coordination) fn question_to_ask(&self, at: LedgerTime) -> Option<Asked> {
        let is_asked = |text: &str| self.questions.of_engine(text).is_some();
        let question = Question::new(self.work.propose_question(is_asked)?).ok()?;
        let by = Actor::engine().clone();
        self.questions.decide_asking(question, by, self.version.next(), at).ok().flatten()
    }

    /// The engine's answer to a question of items that wait for it no more.
    pub(in crate::coordination) fn moot_question(&self) -> Option<Answered> {
        self.questions.moot(|text| self.work.awaits_answer(text))
    }

    /// The question that the engine asked for items, by its text.
    pub(in crate::coordination) fn question_of_items(&self, text: &str) -> Option<&QuestionId> {
        self.questions.of_engine(text).map(|(id, _)| id)
    }

    /// The engine's answer to a question whose time is over.
    pub(in crate::coordination) fn expired_question(&self, at: LedgerTime) -> Option<Answered> {
        self.questions.expired(at)
    }

    /// What a question is recorded as at a version; nothing if it was asked before.
    pub(crate) fn decide_asking(
        &self,
        question: Question,
        by: Actor,
        version: Version,
        at: LedgerTime,
    ) -> Result<Option<Asked>, ApprovalError> {
        self.questions.decide_asking(question, by, version, at)
    }

    /// Where the same answer was recorded before; none if it is to be recorded.
    pub(crate) fn decide_answer(
        &self,
        answered: &Answered,
        at: LedgerTime,
    ) -> Result<Option<Version>, ApprovalError> {
        self.questions.decide_answer(answered, at)
    }

    /// Whether a session is live, and this is its fence, if it shows one.
    pub(crate) fn is_bound(&self, session: u64, fence: Option<Fence>) -> bool {
        let live = self.sessions.get(session);
        live.is_some_and(|live| fence.is_none_or(|fence| live.fence == fence))
    }

    /// Wall-clock time of its start, in nanoseconds since 1970.
    #[must_use]
    pub fn started_at(&self) -> WallTime {
        self.started_wall
    }

    /// Wall-clock time of its end.
    #[must_use]
    pub fn completed_at(&self) -> Option<WallTime> {
        self.life.end_facts().map(|(wall, _)| wall)
    }

    /// Digest of its receipt, once it has ended.
    #[must_use]
    pub fn receipt_digest(&self) -> Option<Digest> {
        self.life.end_facts().map(|(_, receipt)| receipt)
    }

    /// Why it is paused, if it is.
    #[must_use]
    pub fn pause_reason(&self) -> Option<&str> {
        self.life.pause_reason()
    }

    /// The strongest request to end it, if there was one.
    #[must_use]
    pub fn stop_request(&self) -> Option<&StopRequested> {
        self.life.stop_request()
    }

    /// Ledger and wall-clock time of its last event.
    #[must_use]
    pub fn last_times(&self) -> (LedgerTime, WallTime) {
        (self.last_at, self.last_wall)
    }

    /// The latest ledger time that it was given, by an event or by [`Coordination::wake`].
    #[must_use]
    pub fn latest_at(&self) -> LedgerTime {
        self.last_at.max(self.woken_at)
    }

    /// The epoch under which it was started or last resumed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.receipt.epoch()
    }

    /// Whether this engine carries it out, so that work is bound and time counts.
    #[must_use]
    pub fn is_carried(&self) -> bool {
        self.carried.is_carried()
    }

    /// Whether its time passes while an engine owns the ledger: it is carried out, or a session of
    /// it still runs.
    #[must_use]
    pub fn ages(&self) -> bool {
        !self.is_ended() && (self.is_carried() || self.runs_sessions())
    }

    /// Why nobody carries it out, if nobody does; empty if that is not known.
    #[must_use]
    pub fn interruption(&self) -> Option<&str> {
        self.carried.interruption()
    }

    /// Whether the record says that it was interrupted and not resumed since.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.carried.is_interrupted()
    }

    /// Whether it is the one that the engine made for the keys which belong to no other. Before it had
    /// an id of its own, people could choose that for theirs.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.started.minted && self.coordination_id.is_shared()
    }

    /// Whether it only waits for work to be added, and no question of it expires.
    pub(crate) fn is_idle(&self) -> bool {
        self.work.unfinished() == 0
            && self.stop_request().is_none()
            && !self.is_starting()
            && !self.awaits_expiry()
    }

    /// Whether a question of it expires, which its engine answers then.
    pub(crate) fn awaits_expiry(&self) -> bool {
        self.questions.may_expire()
    }

    /// Whether nothing will ever happen in it unless somebody asks for something: it makes no
    /// difference then since when an engine carries it out.
    pub(crate) fn is_dormant(&self) -> bool {
        let ages = self.duration_end().is_some_and(|end| end < LedgerTime(u64::MAX));
        self.is_idle() && !ages && self.started().parent.is_none()
    }

    /// Whether a session is bound that is no nested coordination.
    pub(crate) fn runs_sessions(&self) -> bool {
        self.sessions.any_runs()
    }

    /// Whether it was interrupted so that its running sessions are to end.
    pub(crate) fn ends_sessions(&self) -> bool {
        self.carried.ends_sessions()
    }

    /// Whether a ceiling is reached, as of the last event.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.budget_usage().check_budget_exhausted(self.budget()).is_some()
    }

    /// The version of the event that an accepted command with this id caused, among the last
    /// [`MAX_REMEMBERED_COMMANDS`](crate::coordination::MAX_REMEMBERED_COMMANDS).
    #[must_use]
    pub fn remembered(&self, command: &CommandId) -> Option<Version> {
        self.accepted(command).map(|accepted| accepted.version)
    }

    pub(crate) fn accepted(&self, command: &CommandId) -> Option<&Accepted> {
        self.commands.get(command)
    }

    pub(crate) fn has_secrets(&self) -> bool {
        self.has_secrets
    }

    /// Its age: nanoseconds since the start in which it was carried out and not paused.
    pub(in crate::coordination) fn age_at(&self, at: LedgerTime) -> u64 {
        self.age.at(at)
    }

    /// When it reaches an age, unless it is paused.
    pub(in crate::coordination) fn reaches_age(&self, age: u64) -> Option<LedgerTime> {
        self.age.reaches(age)
    }

    /// Ticks since the start, pauses left out.
    #[must_use]
    pub fn elapsed_ticks_at(&self, at: LedgerTime) -> u64 {
        ticks(self.age.at(at), self.budget().tick_rate_hz())
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        match self.status() {
            CoordinationStatus::Completed(stop) => Some(Ending::Completed(stop.clone())),
            CoordinationStatus::Aborted(reason) => Some(Ending::Aborted(reason.clone())),
            CoordinationStatus::Initializing | CoordinationStatus::Running => None,
        }
    }

    /// When the time budget is used up, unless the coordination is paused or has ended.
    #[must_use]
    pub fn duration_end(&self) -> Option<LedgerTime> {
        let whole = nanos(self.budget().max_duration_ticks(), self.budget().tick_rate_hz());
        self.age.reaches(whole).filter(|_| !self.is_ended())
    }

    /// The earliest moments on the two clocks at which something is due. What was due by `seen` has
    /// been dealt with.
    #[must_use]
    pub fn next_deadlines(&self, seen: LedgerTime) -> (Option<LedgerTime>, Option<WallTime>) {
        if self.is_ended() {
            return (None, None);
        }
        if !self.is_carried() {
            return (self.sessions.next_deadline(), None);
        }
        let (item, wall) = self.work.next_due();
        let end = self.duration_end().filter(|end| *end > seen);
        // One that came is dealt with at once, or not while the run ends.
        let need = self.work.next_timeout().and_then(|age| self.age.reaches(age));
        let need = need.filter(|at| *at > seen);
        let expiry = self.questions.next_expiry(seen);
        let dues = [item, need, self.sessions.next_deadline(), end, expiry];
        let at = dues.into_iter().flatten().min();
        (at, wall)
    }

    /// Archive blobs that the last event made. They belong into the same append as the event.
    #[must_use]
    pub fn archived(&self) -> &[Blob] {
        self.work.archived()
    }

    /// Archive blobs that must be looked into before this work can be added, besides those given.
    #[must_use]
    pub fn archives_needed(&self, items: &[WorkSpec], given: &[ArchivedWork]) -> Vec<Digest> {
        self.work.archives_needed(items, given)
    }

    /// The blobs that hold what has left memory; nothing needs them once the coordination has
    /// ended.
    pub(crate) fn archives(&self) -> &[Digest] {
        self.work.archives()
    }

    /// How much a snapshot holds, in items; what has left weighs little.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.work.weight() + self.signals.weight() + self.keys.weight() + self.questions.weight()
    }
}
