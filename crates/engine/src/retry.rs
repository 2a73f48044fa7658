//! What a retry takes over from the run before it, and what it carries out again, with the reason
//! for each item.
//!
//! It is decided once, before the start, from what the earlier run recorded, which
//! [`Run::earlier`](crate::Run::earlier) reads, and what the plan says now. Nothing here reads a
//! ledger or a file.

mod asked;
mod change;
mod composition;
mod decision;
mod matching;
mod preparation;
mod record;
mod recorded;
mod retried;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use antiphon_core::coordination::{Forerunner, WorkItemOutcome, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::id::{GroupName, SessionId, WorkId};

use crate::output_files::FileNow;
pub use change::Change;
pub use composition::Composed;
pub use preparation::{Prepared, RetryError, RetryRequest, RunsAgain};
pub(crate) use record::{Below, Record};
pub use retried::Retried;

/// An item of the earlier run, as its stream tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierItem {
    /// The item as it was submitted.
    pub spec: WorkSpec,
    /// What became of it; none if the run ended before it.
    pub outcome: Option<WorkItemOutcome>,
    /// Digest of what it put out.
    pub output: Option<Digest>,
    /// Digest of the blob that says what it left of its declared files.
    pub files: Option<Digest>,
    /// Its last session that ended, in the run that carried it out, if that is known.
    pub session: Option<SessionId>,
    /// What is now in the places of these files that it left, by the name of the output.
    pub left: BTreeMap<String, FileNow>,
}

/// A run that has ended, with the runs that carried out its nested plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRun {
    /// What names it.
    pub forerunner: Forerunner,
    /// All its items, in the order of addition.
    pub items: Vec<EarlierItem>,
    /// The run that its last session was, for each item that is a nested plan and had one.
    pub below: BTreeMap<WorkId, Self>,
}

/// What is to run again, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Items, with all that is in them.
    pub items: BTreeSet<WorkId>,
    /// Items of nested plans, by the item that runs the plan.
    pub below: BTreeMap<WorkId, Self>,
}

/// A run that has ended, and what is to be done now.
#[derive(Clone, Copy)]
pub struct Retry<'a, 'b> {
    /// The run that is retried.
    pub earlier: &'a EarlierRun,
    /// All items of the plan as it is now.
    pub work: &'a [WorkSpec],
    /// What is to run again in any case.
    pub asked: &'a Asked,
    /// Whether what succeeded is taken over as it was although it has changed.
    pub only_failed: bool,
    /// The blob of this digest, of the earlier run or of the plan as it is now.
    pub blob: &'a dyn Fn(&Digest) -> Option<&'b [u8]>,
}

impl fmt::Debug for Retry<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("earlier", &self.earlier).finish_non_exhaustive()
    }
}

/// What is done with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It succeeded before, as this item and with this output.
    TakeOver {
        /// The item of the earlier run.
        work: WorkId,
        /// Digest of what it put out there.
        output: Option<Digest>,
        /// What has changed since and does not count.
        changed: Option<Change>,
    },
    /// It is carried out.
    Run(Reason),
}

/// Why an item is carried out again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The earlier run had no such item.
    New,
    /// It was asked for.
    Asked,
    /// An item of its plan was asked for.
    AskedBelow,
    /// It did not succeed before; none if the run ended before it.
    NotSucceeded(Option<WorkItemOutcome>),
    /// It is not the same any more.
    Changed(Change),
    /// What it needs is carried out again.
    Needs(WorkId),
    /// A member of a group that it needs is carried out again.
    #[expect(missing_docs, reason = "the names of its fields say it")]
    NeedsGroup { group: GroupName, work: WorkId },
    /// An item that is carried out again waits for what its sessions give: a signal, the score of a gate,
    /// a route.
    GivesTo(WorkId),
}

impl Reason {
    /// What kind of reason it is, in a word that never changes its meaning.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Asked | Self::AskedBelow => "asked",
            Self::NotSucceeded(None) => "unfinished",
            Self::NotSucceeded(Some(WorkItemOutcome::Skipped(_))) => "skipped",
            Self::NotSucceeded(Some(outcome)) => outcome.as_str(),
            Self::Changed(_) => "changed",
            Self::Needs(_) | Self::NeedsGroup { .. } => "needs",
            Self::GivesTo(_) => "gives",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("it is new"),
            Self::Asked => f.write_str("it was asked for"),
            Self::AskedBelow => f.write_str("an item of its plan was asked for"),
            Self::NotSucceeded(None) => f.write_str("it did not come to its end before"),
            Self::NotSucceeded(Some(WorkItemOutcome::Skipped(_))) => {
                f.write_str("it was skipped before")
            }
            Self::NotSucceeded(Some(outcome)) => write!(f, "it {} before", outcome.as_str()),
            Self::Changed(change) => write!(f, "changed: {change}"),
            Self::Needs(work) => write!(f, "it needs {work}, which runs again"),
            Self::GivesTo(work) => {
                write!(f, "{work}, which is carried out again, waits for what it tells")
            }
            Self::NeedsGroup { group, work } => {
                write!(f, "it needs group {group}, in which {work} runs again")
            }
        }
    }
}
