//! What a receipt says of an ending, of each item, and of where the evidence lies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::coordination::approval::Answer;
use crate::coordination::reused::Forerunner;
use crate::coordination::signal::SignalType;
use crate::coordination::stop::{AbortReason, StopCondition};
use crate::coordination::work::WorkItemOutcome;
use crate::coordination::{
    MAX_ANSWERS_IN_RECEIPT, MAX_COUNTED_SIGNAL_TYPES, MAX_GATES_IN_RECEIPT,
    MAX_SESSION_IDS_PER_OUTCOME, MAX_WORK_OUTCOMES,
};
use crate::digest::Digest;
use crate::envelope::CommitTip;
use crate::id::{Actor, Epoch, QuestionId, SessionId, Version, WorkId};
use crate::routing::{Name, RoutingDecision};

/// How a coordination ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It completed.
    Completed(StopCondition),
    /// It was ended from outside.
    Aborted(AbortReason),
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct WorkOutcome {
    pub work_id: WorkId,
    /// Attempts counted against its limit.
    pub attempts: u32,
    /// Its outcome; none if the coordination ended before it.
    pub final_outcome: Option<WorkItemOutcome>,
    /// Numbers of its sessions, the last [`MAX_SESSION_IDS_PER_OUTCOME`] of them; ids are
    /// `<coordination>.<number>`.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_SESSION_IDS_PER_OUTCOME, _, _>")]
    pub sessions: Vec<u64>,
    /// Digest of what its last session put out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
}

/// Where in the ledger the evidence lies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Version of the last event before the terminal one; the first is always 1.
    pub last_version: Version,
    /// Hash of that event.
    pub head_hash: Digest,
    /// The commit before the append that ends the coordination.
    pub commit: CommitTip,
    /// The epochs that worked on it, in order, each with the engine's version.
    pub epochs: Vec<(Epoch, String)>,
}

/// The signals of a run, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalCounts {
    /// By type: as many as were sent of each of the first thousand types.
    #[serde(deserialize_with = "crate::bounded::map::<MAX_COUNTED_SIGNAL_TYPES, _, _, _>")]
    pub by_type: BTreeMap<SignalType, u64>,
    /// Those of all other types.
    pub others: u64,
}

impl SignalCounts {
    pub(super) fn add(&mut self, kind: &SignalType) {
        let room = self.by_type.len() < MAX_COUNTED_SIGNAL_TYPES;
        match self.by_type.get_mut(kind) {
            Some(count) => *count += 1,
            None if room => {
                self.by_type.insert(kind.clone(), 1);
            }
            None => self.others += 1,
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_type.values().fold(self.others, |sum, count| sum.saturating_add(*count))
    }
}

/// The scores of a run's gates when it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateScores {
    /// The first thousand of them, by name.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_GATES_IN_RECEIPT, _, _>")]
    pub gates: Vec<GateScore>,
    /// How many others there are.
    pub others: u64,
}

/// The score of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateScore {
    /// The gate: its key without the prefix.
    pub gate: String,
    /// In millionths.
    pub score: i64,
    /// Version of the event that set it.
    pub version: Version,
}

impl GateScores {
    /// Those scores, in the order of their names; nothing if there are none.
    pub(in crate::coordination) fn of(scores: impl Iterator<Item = GateScore>) -> Option<Self> {
        let mut all = Self::default();
        for score in scores {
            match all.gates.len() < MAX_GATES_IN_RECEIPT {
                true => all.gates.push(score),
                false => all.others += 1,
            }
        }
        (!all.gates.is_empty()).then_some(all)
    }
}

/// The answers to a run's questions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// The first thousand of them, in the order in which they were given.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_ANSWERS_IN_RECEIPT, _, _>")]
    pub answers: Vec<ApprovedQuestion>,
    /// How many others there are.
    pub others: u64,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovedQuestion {
    /// Its id.
    pub question: QuestionId,
    /// Digest of what was asked.
    pub text: Digest,
    /// Yes or no.
    pub answer: Answer,
    /// Who answered.
    pub by: Actor,
    /// Version of the event that answered it.
    pub version: Version,
}

impl Approvals {
    pub(super) fn add(&mut self, answered: ApprovedQuestion) {
        match self.answers.len() < MAX_ANSWERS_IN_RECEIPT {
            true => self.answers.push(answered),
            false => self.others += 1,
        }
    }
}

/// What was decided of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutesTaken {
    /// Digests over each full thousand of decisions, in order.
    pub chunks: Vec<Digest>,
    /// The decisions after those.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_WORK_OUTCOMES, _, _>")]
    pub routes: Vec<RouteTaken>,
}

/// What was decided of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct RouteTaken {
    /// Number of the session that was the attempt.
    pub session: u64,
    pub work_id: WorkId,
    pub decision: RoutingDecision,
    /// The items that went on, where it named some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<WorkId>,
    /// How sure it was, in millionths.
    pub confidence: u32,
    /// The rule that decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name>,
}

/// What a retry took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReusedWork {
    /// The run that it was taken over from.
    pub forerunner: Forerunner,
    /// Digests over each full thousand of items, in the order of addition.
    pub chunks: Vec<Digest>,
    /// The items after those.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_WORK_OUTCOMES, _, _>")]
    pub items: Vec<ReusedItem>,
}

/// Which sessions carried out what a retry took over, as far as that is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedOutWork {
    /// Digests over each full thousand of items, in the order of addition.
    pub chunks: Vec<Digest>,
    /// The items after those.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_WORK_OUTCOMES, _, _>")]
    pub items: Vec<CarriedOutItem>,
}

/// The session that carried out an item which was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct CarriedOutItem {
    pub work_id: WorkId,
    pub session: SessionId,
}

/// An item that was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ReusedItem {
    pub work_id: WorkId,
    /// The item of the forerunner.
    pub from: WorkId,
}

impl ReusedWork {
    /// Nothing yet, from this run.
    pub(super) fn of(forerunner: Forerunner) -> Self {
        Self { forerunner, chunks: Vec::new(), items: Vec::new() }
    }

    /// Items, counted.
    pub(super) fn count(&self) -> u64 {
        let whole = (self.chunks.len() as u64).saturating_mul(MAX_WORK_OUTCOMES as u64);
        whole.saturating_add(self.items.len() as u64)
    }
}
