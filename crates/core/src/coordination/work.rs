//! The work of one coordination: its items, what they wait for, and which may start.
//!
//! Owns every move of an item. It decides nothing about sessions or budgets, and never asks
//! where the coordination is in its life; what applies an event passes that on.

mod adding;
mod admission;
mod approvals;
mod archive;
mod capable;
mod finished;
mod group;
mod illegal;
mod item;
mod leaving;
mod need;
mod needs;
mod needs_met;
mod ready;
mod reuse;
mod routed;
mod schedule;
mod shared;
mod skip;
mod spec;
mod stage;
mod standing;
mod state;
mod unbound;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

pub(crate) use admission::events;
pub(super) use admission::{admit, brought_back, check_added};
pub use archive::{ArchivedWork, archived_items};
pub use capable::{Assigned, CapableRunners};
pub use finished::Finished;
pub(super) use illegal::{IllegalAddition, IllegalSkip};
pub(super) use item::WorkItem;
pub use item::WorkItemTracking;
pub use need::{KeyCondition, KeyNeed, KeyOwner, Need, NeedTarget, SignalNeed};
pub(super) use needs::Done;
pub(super) use needs_met::{Moment, Told};
pub(super) use ready::ReadyKey;
pub(super) use reuse::check_reused;
pub(super) use routed::Destination;
pub use spec::{Backoff, FailurePolicy, Runner, WorkSpec};
pub use stage::WorkStage;
pub use standing::{Met, NeedStanding};
pub(super) use state::WorkMove;
pub use state::{SkipReason, WorkItemOutcome, WorkState};

use self::archive::Archive;
use self::group::Group;
use self::ready::{Ready, Rules};
use self::routed::Routers;
use self::shared::SharedNeeds;
use super::condition::Conditions;
use super::error::WorkError;
use super::event::Started;
use super::failure_streak::FailureStreak;
use super::paged::Paged;
use crate::id::{AgentId, GroupName, QuestionId, WorkId};

/// The items in memory, and what follows from their states.
///
/// What is not stored is rebuilt from what is, so that a snapshot cannot contradict it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Work {
    items: Paged<WorkItem>,
    unfinished: u32,
    failed_in_a_row: FailureStreak,
    /// Items that can never run, each with the failed one that is to blame, in the order found.
    to_skip: VecDeque<(u32, WorkId)>,
    #[serde(default, skip_serializing_if = "Archive::is_untouched")]
    archive: Archive,
    #[serde(skip)]
    rules: Rules,
    #[serde(skip)]
    by_id: BTreeMap<WorkId, u32>,
    /// Items that speak under another name than their id.
    #[serde(skip)]
    by_agent: BTreeMap<AgentId, BTreeSet<u32>>,
    /// When needs time out, by the age of the run, with the item and the place of the need.
    #[serde(skip)]
    timeouts: BTreeSet<(u64, u32, u32)>,
    #[serde(skip)]
    groups: BTreeMap<GroupName, Group>,
    #[serde(skip)]
    conditions: Conditions,
    /// Questions that items wait for and that are to be asked, unless they are.
    #[serde(skip)]
    to_ask: BTreeSet<String>,
    /// Items that can never run, each with the question that was answered with no.
    #[serde(skip)]
    denied: BTreeSet<(QuestionId, u32)>,
    #[serde(skip)]
    routers: Routers,
    #[serde(skip)]
    shared: SharedNeeds,
    #[serde(skip)]
    ready: Ready,
}

impl Work {
    pub(super) fn new(started: &Started) -> Self {
        Self { rules: Rules::of(started), ..Self::default() }
    }

    /// Items in memory.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Items in memory, in the order of addition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &WorkItem)> {
        self.items.iter()
    }

    /// Items without an outcome, in the order of addition.
    pub(super) fn iter_unfinished(&self) -> impl Iterator<Item = &WorkItem> {
        self.items.iter().map(|(_, item)| item).filter(|item| !item.is_done())
    }

    pub(super) fn item(&self, position: u32) -> &WorkItem {
        &self.items[position]
    }

    pub(super) fn find(&self, work: &str) -> Option<&WorkItem> {
        Some(&self.items[*self.by_id.get(work)?])
    }

    /// An item whose id is known to exist.
    ///
    /// # Errors
    /// [`WorkError::WorkLeftMemory`] or [`WorkError::WorkNotFound`].
    pub(super) fn known(&self, work: &str) -> Result<&WorkItem, WorkError> {
        match self.find(work) {
            Some(item) => Ok(item),
            None if self.archive.may_hold(work) => {
                Err(WorkError::WorkLeftMemory { work_id: work.to_owned() })
            }
            None => Err(WorkError::WorkNotFound { work_id: work.to_owned() }),
        }
    }

    /// Items without an outcome, counted.
    pub(super) fn unfinished(&self) -> u32 {
        self.unfinished
    }

    /// Items failed for good in a row.
    pub(super) fn failed_in_a_row(&self) -> &FailureStreak {
        &self.failed_in_a_row
    }

    /// Counts failures in a row from the start again.
    pub(super) fn forget_failures(&mut self) {
        self.failed_in_a_row.end();
    }

    /// Attempts that an item may take.
    pub(super) fn max_attempts(&self, item: &WorkItem) -> u32 {
        self.rules.max_attempts(item)
    }

    /// The state of a group that an item needs: the root of its failure, or its unfinished members
    /// if they hold back what needs it.
    pub(super) fn group_standing(&self, group: &GroupName) -> Option<Result<u32, &WorkId>> {
        let group = self.groups.get(group)?;
        match group.failed_root() {
            Some(root) => Some(Err(root)),
            None => group.holds_back().then(|| Ok(group.unfinished())),
        }
    }

    /// Whether items are in a group of this name, or need one.
    pub(super) fn has_group(&self, group: &GroupName) -> bool {
        self.groups.contains_key(group)
    }

    /// How many members of a group run, and how many may; `None` if it is not limited.
    pub(super) fn running_of(&self, group: &GroupName) -> Option<(u32, u32)> {
        let width = self.rules.width(group)?;
        Some((self.groups.get(group).map_or(0, Group::running), width))
    }

    /// Whether what is stored twice agrees, so that a forged snapshot cannot lead out of bounds
    /// later.
    pub(super) fn is_coherent(&self) -> bool {
        self.iter_unfinished().count() == self.unfinished as usize
            && self.failed_in_a_row.is_coherent()
            && self.archive_is_coherent()
            && self.items.iter().all(|(_, item)| item.names_own_needs())
    }

    /// Items that a session is bound to, counted one by one.
    pub(super) fn running(&self) -> usize {
        self.iter_unfinished().filter(|item| matches!(item.state(), WorkState::Bound(_))).count()
    }

    /// The state at a position that a snapshot names, if it holds one.
    pub(super) fn state_at(&self, position: u32) -> Option<&WorkState> {
        self.items.get(position).map(WorkItem::state)
    }
}
