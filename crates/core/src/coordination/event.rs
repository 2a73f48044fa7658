//! What can happen to a coordination, with the shape it is recorded in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::approval::Answer;
use super::budget::{BudgetUsage, CoordinationBudget, Grant, Usage};
use super::key::{KeyChange, MetElsewhere};
use super::planner::EfeWeights;
use super::receipt::{Counts, Ending};
use super::reused::Forerunner;
use super::route::RouteVote;
use super::session::{NextStep, SessionOutcome, TreeReport};
use super::signal::{Dedup, SignalType};
use super::stop::{AbortReason, ParentStop, StopCondition, Verdict};
use super::work::{Assigned, Finished, SkipReason, WorkSpec};
use super::{
    MAX_ADDRESSEES, MAX_CHANGES_PER_EVENT, MAX_ITEMS_PER_EVENT, MAX_ROUTES, MAX_SCORES,
    MAX_SHARED_NEEDS, MAX_VOTES,
};
use crate::digest::Digest;
use crate::id::{Actor, AgentId, Epoch, GroupName, QuestionId, SessionId, Version, WorkId};
use crate::json_text::JsonText;
use crate::routing::{Name, RoutingDecision};
use crate::schema::events;
use crate::time::LedgerTime;

events! {
    /// An event of a coordination's stream.
    #[non_exhaustive]
    pub enum CoordinationEvent {
        /// A coordination began.
        Started(Box<Started>) = "coordination.started" up to 6 by lowest_started;
            read by needed_for_started,
        /// Items were added.
        WorkAdded(WorkAdded) = "coordination.work_added" up to 9 by WorkAdded::lowest;
            read by WorkAdded::needed,
        /// A session was bound to an item.
        SessionBound(SessionBound) = "coordination.session_bound" up to 4 by SessionBound::lowest,
        /// A session ended; what follows for its item is inside.
        SessionUnbound(SessionUnbound) = "coordination.session_unbound"
            up to 3 by SessionUnbound::lowest,
        /// What follows an attempt was decided; the end of its session comes next.
        Routed(Box<Routed>) = "coordination.routed" up to 2 by lowest_routed,
        /// Nothing is left of a session that had left something running.
        SessionCleared(SessionCleared) = "coordination.session_cleared",
        /// Items will never run.
        WorkSkipped(WorkSkipped) = "coordination.work_skipped" up to 3 by WorkSkipped::lowest,
        /// An agent, or somebody outside, sent a signal.
        Signalled(Box<Signalled>) = "coordination.signalled",
        /// Keys were set or removed.
        KeySet(KeySet) = "coordination.key_set",
        /// A person was asked something.
        Asked(Asked) = "coordination.asked",
        /// A question was answered, or nobody did in its time.
        Answered(Answered) = "coordination.answered",
        /// Nothing new starts for a while.
        Paused(Paused) = "coordination.paused",
        /// Work continues.
        Continued(Continued) = "coordination.continued",
        /// Ceilings were raised.
        BudgetRaised(BudgetRaised) = "coordination.budget_raised",
        /// It was asked to end.
        StopRequested(StopRequested) = "coordination.stop_requested"
            up to 2 by StopRequested::lowest,
        /// Nobody carries it out until it is resumed.
        Interrupted(Interrupted) = "coordination.interrupted",
        /// An engine took it up after a restart or an interruption.
        Resumed(Resumed) = "coordination.resumed" up to 2 by Resumed::lowest,
        /// A session without a valid fence tried to write.
        WriteRefused(WriteRefused) = "coordination.write_refused",
        /// It completed.
        Completed(Box<Completed>) = "coordination.completed" up to 3 by lowest_completed,
        /// It was ended from outside.
        Aborted(Box<Aborted>) = "coordination.aborted" up to 3 by lowest_aborted,
    }
}

impl CoordinationEvent {
    /// Whether it ends its stream.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Aborted(_))
    }

    /// Whether an event of this type ends its stream. The type is known also where the payload was
    /// erased or cannot be read.
    #[must_use]
    pub fn is_terminal_kind(kind: &str) -> bool {
        matches!(kind, "coordination.completed" | "coordination.aborted")
    }
}

/// Whether work may come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// Its work is given; it ends when that is done.
    #[default]
    Closed,
    /// Work may come and go; it ends by a request, its budget or an abort.
    Open,
}

/// What happens when a ceiling is reached while work is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnExhausted {
    /// The coordination completes.
    #[default]
    Stop,
    /// It pauses; an operator may raise the ceiling and let it go on.
    Pause,
}

/// What happens when too many items in a row have failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnTripped {
    /// Running sessions are ended, and the coordination completes.
    #[default]
    Stop,
    /// Running sessions come to their end, and it pauses; whoever continues it starts the count
    /// anew.
    Pause,
    /// Nothing: failures in a row are not counted against it.
    Ignore,
}

impl OnTripped {
    /// Whether it is what happens unless something else is asked for.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Rules of a coordination that hold for all its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// Attempts of an item that does not say otherwise.
    pub max_attempts: u32,
    /// Items failed for good in a row that trip the breaker.
    pub breaker: u32,
    /// What happens when a ceiling is reached.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
    /// What happens when the breaker trips. Came with schema 3.
    #[serde(default, skip_serializing_if = "OnTripped::is_default")]
    pub on_tripped: OnTripped,
    /// Weights of the advisory planner, if it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner: Option<EfeWeights>,
}

/// Payload of `coordination.started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Started {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digest of everything it was started with; a repeated start with the same one continues where
    /// the first was cut off.
    pub plan: Digest,
    /// Whether work may come and go.
    #[serde(default)]
    pub mode: Mode,
    pub budget: CoordinationBudget,
    /// Sessions at a time.
    pub concurrency: u32,
    /// Rules for all items.
    pub policies: Policies,
    /// The session that carries it out, if it is nested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SessionId>,
    /// How deep it is nested; 0 if it is not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u8,
    /// Whether the engine made its id, so that no caller can repeat the start if it is cut off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub minted: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// At most so many items of a group run at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub widths: BTreeMap<GroupName, u32>,
    /// How many items follow in `work_added` before anything may bind.
    pub items: u32,
    /// The ended run that it retries. Came with schema 2, as items may be taken over from it and its
    /// receipt names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forerunner: Option<Forerunner>,
    /// Digest of the blob that says where it was started from and what its sessions inherit from
    /// there. It is no part of `plan`: the same from elsewhere is the same start. What is nested has
    /// that of the run that it is in. Has schema 5 since, and was written in lower ones before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Digest>,
    /// Digest of the description of the command that is carried out once it has ended. Came with
    /// schema 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_end: Option<Digest>,
    /// Digest of the blob with the schemas that the data of its own types of signals must fit. Came with
    /// schema 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_schemas: Option<Digest>,
    /// Version of the engine.
    pub engine: String,
    /// The epoch it was started under.
    pub epoch: Epoch,
}

fn is_zero(value: &u8) -> bool {
    *value == 0
}

/// Payload of `coordination.work_added`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkAdded {
    /// The items, at most 1,000, in order.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_ITEMS_PER_EVENT, _, _>")]
    pub items: Vec<WorkSpec>,
    /// Finished items that had left memory and are needed again.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_ITEMS_PER_EVENT, _, _>"
    )]
    pub recalled: Vec<Finished>,
}

impl WorkAdded {
    fn all(&self) -> impl Iterator<Item = &WorkSpec> {
        self.items.iter().chain(self.recalled.iter().map(|item| &item.work))
    }

    /// Schema 3 says why a retry carries an item out, too.
    fn lowest(&self) -> u32 {
        let again = self.all().any(|item| item.again.is_some());
        self.needed().max(if again { 3 } else { 1 })
    }

    /// Schema 2 adds items that have their outcome already; schema 3 names the sessions that carried
    /// them out; schema 4 waits for signals and keys, and for no longer than it says; schema 6 lends
    /// keys that all share; schema 7 waits for approvals and routes, says who scores gates and routes
    /// where, and gives contexts; schema 8 needs keys that all share; schema 9 names runners that have what
    /// an item wants. The reason of a retry was written before it had a schema.
    fn needed(&self) -> u32 {
        if self.all().any(|item| item.capable.is_some()) {
            return 9;
        }
        if self.all().any(WorkSpec::looks_at_shared) {
            return 8;
        }
        if self.all().any(WorkSpec::waits_for_people_or_routes) {
            return 7;
        }
        if self.all().any(|item| !item.shared.is_empty()) {
            return 6;
        }
        if self.all().any(WorkSpec::waits_for_more_than_items) {
            return 4;
        }
        let reused = self.all().filter_map(|item| item.reused.as_ref());
        reused.map(|reused| if reused.session.is_some() { 3 } else { 2 }).max().unwrap_or(1)
    }
}

/// Payload of `coordination.session_bound`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SessionBound {
    /// Number of the session; its id is `<coordination>.<number>`.
    pub session: u64,
    pub work: WorkId,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Version of the stream that the decision rests on.
    pub looked_at: Version,
    /// What the session may use.
    pub grant: Grant,
    /// When its time is over.
    pub deadline: LedgerTime,
    /// Digest of the token that the session shows.
    pub token: Digest,
    /// Whether it is carried out by a nested coordination, which has the session's id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nested: bool,
    /// Leases granted with it. Reserved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<String>,
    /// Digest of the context it was given, the value of the key `context/<agent>`. Came with schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Digest>,
    /// What met needs of the item outside of this stream. Came with schema 3.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_SHARED_NEEDS, _, _>"
    )]
    pub met: Vec<MetElsewhere>,
    /// The runner that it was given to, of those that have what its item wants. Came with schema 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Box<Assigned>>,
}

impl SessionBound {
    /// Schema 2 says which context the session was given, schema 3 what met needs elsewhere, schema 4 to
    /// which runner it was given.
    fn lowest(&self) -> u32 {
        match self {
            Self { assigned: Some(_), .. } => 4,
            Self { met, .. } if !met.is_empty() => 3,
            Self { context: Some(_), .. } => 2,
            _ => 1,
        }
    }
}

/// Payload of `coordination.session_unbound`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SessionUnbound {
    /// Number of the session.
    pub session: u64,
    pub work: WorkId,
    pub outcome: SessionOutcome,
    /// What it said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub used: Usage,
    /// Scores it gave, in millionths, by name.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "crate::bounded::map::<MAX_SCORES, _, _, _>"
    )]
    pub scores: BTreeMap<String, i64>,
    /// Digest of what it put out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
    /// What follows for the item.
    pub then: NextStep,
    /// What became of its processes, if it had some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Box<TreeReport>>,
}

impl SessionUnbound {
    /// Why the session ended, where it did not end by itself: `SPAWN_FAILED`, `TIMEOUT`,
    /// `CANCELLED`, `LOST` or `DEFERRED`.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self.outcome {
            SessionOutcome::Success | SessionOutcome::Failure => None,
            other => Some(other.as_str()),
        }
    }

    /// Schema 2 says what is left of declared files; schema 3 says what went wrong with the program.
    fn lowest(&self) -> u32 {
        match self.tree.as_deref() {
            Some(TreeReport { fault: Some(_), .. }) => 3,
            Some(TreeReport { files: Some(_), .. }) => 2,
            _ => 1,
        }
    }
}

/// Payload of `coordination.routed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Routed {
    /// Number of the session whose end it is about.
    pub session: u64,
    pub work: WorkId,
    pub decision: RoutingDecision,
    /// The items that go on, where it names some. Came with schema 2.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_ROUTES, _, _>"
    )]
    pub to: Vec<WorkId>,
    /// How sure it is, in millionths.
    pub confidence: u32,
    /// The rule that decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// What every router said.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_VOTES, _, _>"
    )]
    pub votes: Vec<RouteVote>,
}

/// Payload of `coordination.session_cleared`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionCleared {
    /// Number of the session.
    pub session: u64,
}

/// Payload of `coordination.work_skipped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkSkipped {
    /// The items, at most 1,000.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_ITEMS_PER_EVENT, _, _>")]
    pub works: Vec<WorkId>,
    /// Why, the same for all.
    pub because: SkipReason,
}

impl WorkSkipped {
    /// Schema 2 says which need was not met in time; schema 3 which question was answered with no, and
    /// that nothing routed to them.
    fn lowest(&self) -> u32 {
        match self.because {
            SkipReason::Denied(_) | SkipReason::NotRouted => 3,
            SkipReason::NeedTimedOut(_) => 2,
            _ => 1,
        }
    }
}

/// Payload of `coordination.signalled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signalled {
    /// What kind of message it is.
    #[serde(rename = "type")]
    pub kind: SignalType,
    /// Who sent it.
    pub from: AgentId,
    /// Whom it is for; everybody if it names nobody.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_ADDRESSEES, _, _>"
    )]
    pub to: Vec<AgentId>,
    /// Whom it is about, if that is not its sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<AgentId>,
    /// Whether it tells of a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// What it carries, up to 4 KiB.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::json_text::present"
    )]
    pub data: Option<JsonText>,
    /// Digest of the blob that holds what it carries, if that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// How it is known when it is sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup: Option<Dedup>,
}

/// Payload of `coordination.key_set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// The changes, at most 1,000, none of the same key.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_CHANGES_PER_EVENT, _, _>")]
    pub changes: Vec<KeyChange>,
    /// Who made them.
    pub by: Actor,
}

/// Payload of `coordination.asked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What the answer names.
    pub id: QuestionId,
    /// What is asked.
    pub question: String,
    /// When the engine answers with no, unless somebody has answered before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<LedgerTime>,
    /// Who asked.
    pub by: Actor,
}

/// Payload of `coordination.answered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The question.
    pub id: QuestionId,
    /// Yes or no.
    pub answer: Answer,
    /// Who answered; the engine, where nobody did in time.
    pub by: Actor,
    /// Why, in their words; `expired` where nobody answered in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Payload of `coordination.paused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Paused {
    pub by: Actor,
    pub reason: String,
}

/// Payload of `coordination.continued`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Continued {
    pub by: Actor,
}

/// Payload of `coordination.budget_raised`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct BudgetRaised {
    pub by: Actor,
    pub budget: CoordinationBudget,
}

/// How a coordination is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopKind {
    /// No work is added any more; what is there is done.
    Close,
    /// Nothing new starts; running sessions come to their end.
    Drain,
    /// Running sessions are ended.
    Cancel,
}

/// Payload of `coordination.stop_requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct StopRequested {
    /// How it is to end.
    pub kind: StopKind,
    pub by: Actor,
    /// Why, in the caller's words.
    pub reason: String,
    /// Why the engine wanted it of a nested coordination. Came with schema 2, as the reason that is
    /// recorded in the end follows from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentStop>,
}

impl StopRequested {
    /// Why, for people.
    #[must_use]
    pub fn why(&self) -> String {
        self.parent.map_or_else(|| self.reason.clone(), |parent| parent.to_string())
    }

    fn lowest(&self) -> u32 {
        if self.parent.is_some() { 2 } else { 1 }
    }
}

/// Payload of `coordination.interrupted`. Whatever is recorded of a run that nobody carries out
/// comes behind one, so that the time in between does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Interrupted {
    pub epoch: Epoch,
    /// Version of the engine.
    pub engine: String,
    pub by: Actor,
    /// Why, in a few words; empty where an engine only notes that nobody carries it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Whether running sessions are ended; else they come to their own end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_sessions: bool,
    /// Sessions that were found bound and died with an earlier engine; each is unbound next.
    #[serde(default, skip_serializing_if = "is_none")]
    pub swept: u32,
    /// Nanoseconds of ledger time before this in which nobody carried it out.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub away: u64,
}

fn is_none(count: &u32) -> bool {
    *count == 0
}

fn is_no_time(ns: &u64) -> bool {
    *ns == 0
}

/// Payload of `coordination.resumed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Resumed {
    pub epoch: Epoch,
    /// Version of the engine.
    pub engine: String,
    /// Sessions that the restart found bound; each is unbound next.
    pub swept: u32,
    /// Nanoseconds of ledger time before this in which nobody carried it out. Came with schema 2,
    /// as every moment that the run waits for is so much later.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub away: u64,
}

impl Resumed {
    fn lowest(&self) -> u32 {
        if self.away > 0 { 2 } else { 1 }
    }
}

/// Payload of `coordination.write_refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteRefused {
    /// Number of the session.
    pub session: u64,
    /// The fence it showed.
    pub fence: Version,
    /// What it tried: `completion`.
    pub kind: String,
}

/// Payload of `coordination.completed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Completed {
    pub stop: StopCondition,
    pub verdict: Verdict,
    pub usage: BudgetUsage,
    /// Sessions and items, counted.
    pub totals: Counts,
    /// Digest of the receipt.
    pub receipt: Digest,
}

/// Payload of `coordination.aborted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Aborted {
    pub reason: AbortReason,
    pub verdict: Verdict,
    pub usage: BudgetUsage,
    /// Sessions and items, counted.
    pub totals: Counts,
    /// Digest of the receipt.
    pub receipt: Digest,
}

/// What the event that ends a coordination says, however it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct RecordedEnding<'a> {
    pub ending: Ending,
    pub verdict: Verdict,
    pub usage: &'a BudgetUsage,
    /// Sessions and items, counted.
    pub totals: Counts,
    /// Digest of the receipt.
    pub receipt: Digest,
}

impl<'a> From<&'a Completed> for RecordedEnding<'a> {
    fn from(end: &'a Completed) -> Self {
        let Completed { stop, verdict, usage, totals, receipt } = end;
        let ending = Ending::Completed(stop.clone());
        Self { ending, verdict: *verdict, usage, totals: *totals, receipt: *receipt }
    }
}

impl<'a> From<&'a Aborted> for RecordedEnding<'a> {
    fn from(end: &'a Aborted) -> Self {
        let Aborted { reason, verdict, usage, totals, receipt } = end;
        let ending = Ending::Aborted(reason.clone());
        Self { ending, verdict: *verdict, usage, totals: *totals, receipt: *receipt }
    }
}

impl CoordinationEvent {
    /// How the coordination ended, if this is the event that ends it.
    #[must_use]
    pub fn ending(&self) -> Option<RecordedEnding<'_>> {
        match self {
            Self::Completed(end) => Some(RecordedEnding::from(&**end)),
            Self::Aborted(end) => Some(RecordedEnding::from(&**end)),
            _ => None,
        }
    }
}

/// Schema 5 says where it was started from.
#[expect(clippy::borrowed_box, reason = "it is what the table of events hands in")]
fn lowest_started(started: &Box<Started>) -> u32 {
    let needed = needed_for_started(started);
    if started.origin.is_some() { needed.max(5) } else { needed }
}

/// Schema 2 names the run that is retried; schema 3 says that the breaker does not end it; schema 4
/// names a command for its end; schema 6 names schemas of signals. Where it was started from was written before it had a schema.
#[expect(clippy::borrowed_box, reason = "it is what the table of events hands in")]
fn needed_for_started(started: &Box<Started>) -> u32 {
    match started.forerunner {
        _ if started.signal_schemas.is_some() => 6,
        _ if started.on_end.is_some() => 4,
        _ if !started.policies.on_tripped.is_default() => 3,
        Some(_) => 2,
        None => 1,
    }
}

/// Schema 2 names the items that go on.
#[expect(clippy::borrowed_box, reason = "it is what the table of events hands in")]
fn lowest_routed(routed: &Box<Routed>) -> u32 {
    if routed.to.is_empty() { 1 } else { 2 }
}

/// Schema 2 records an error as a code, which the receipt hashes instead of a sentence; schema 3
/// counts items that were taken over.
#[expect(clippy::borrowed_box, reason = "it is what the table of events hands in")]
fn lowest_completed(completed: &Box<Completed>) -> u32 {
    match completed.stop {
        _ if completed.totals.work_reused > 0 => 3,
        StopCondition::Error(_) => 2,
        _ => 1,
    }
}

/// Schema 2 records as codes what ended a coordination that was not cancelled; schema 3 counts
/// items that were taken over.
#[expect(clippy::borrowed_box, reason = "it is what the table of events hands in")]
fn lowest_aborted(aborted: &Box<Aborted>) -> u32 {
    match aborted.reason {
        _ if aborted.totals.work_reused > 0 => 3,
        AbortReason::StartCutOff | AbortReason::ParentStopped(_) => 2,
        _ => 1,
    }
}
