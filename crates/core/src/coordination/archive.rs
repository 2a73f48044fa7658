//! Finished items of an open coordination that have left memory: kept as blobs, found again when
//! something needs them.
//!
//! An open coordination may live for years. Beyond [`MAX_FINISHED_IN_MEMORY`] finished items the
//! oldest leave, unless unfinished work needs them. What remains of one is a print of its id, which
//! says in which blob it lies, so an id is never used twice. The blobs follow from the events:
//! replay makes the same ones, and a lost one can be made again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::MAX_FINISHED_IN_MEMORY;
use super::error::ControllerError;
use super::event::Mode;
use super::needs::Standing;
use super::receipt::WorkOutcome;
use super::session::{Coordination, WorkItem};
use super::work::{Need, WorkItemOutcome, WorkSpec, WorkState};
use crate::digest::Digest;
use crate::envelope::{Blob, MAX_INLINE_BLOB_BYTES};
use crate::id::{GroupName, Version, WorkId};

/// Fewest items that leave together, so that looking for them costs each of them little.
const BATCH: usize = 1_000;

/// Most items that leave together, but for those that were held back as something needed them.
const LARGEST_BATCH: usize = 5_000;

/// A finished item, as blobs and events carry it. The shape is part of the ledger's format: replay
/// must give the same bytes for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The item as it was submitted.
    pub work: WorkSpec,
    /// Its outcome.
    pub outcome: WorkItemOutcome,
    /// Attempts counted against its limit.
    pub attempts: u32,
    /// Numbers of its sessions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<u64>,
    /// Version of the event that gave it its outcome.
    pub changed: Version,
    /// Tokens that it used.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Digest of what its last session put out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Digest>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl From<Finished> for WorkOutcome {
    fn from(item: Finished) -> Self {
        Self {
            work_id: item.work.id,
            attempts: item.attempts,
            final_outcome: Some(item.outcome),
            sessions: item.sessions,
            output: item.output,
        }
    }
}

/// What has left, and what will next.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Archive {
    /// Finished items that are still in memory, in the order in which they finished.
    finished: VecDeque<u32>,
    /// How many of them there must be before any leaves.
    leave_at: usize,
    blobs: Vec<Digest>,
    /// Print of an id, and which blob holds the item.
    prints: BTreeSet<(u32, u32)>,
    groups: BTreeMap<GroupName, Members>,
    /// Blobs that the last event made.
    #[serde(skip)]
    fresh: Vec<Blob>,
}

/// Members of a group that have left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Members {
    pub(super) count: u32,
    /// The failed one that was added first, and the root of its failure.
    pub(super) failed: Option<(u32, WorkId)>,
}

impl Archive {
    pub(super) fn is_untouched(&self) -> bool {
        self.finished.is_empty() && self.blobs.is_empty()
    }

    pub(super) fn groups(&self) -> &BTreeMap<GroupName, Members> {
        &self.groups
    }

    /// The blobs that may hold an item, if it has left at all.
    fn candidates(&self, work: &str) -> impl Iterator<Item = Digest> {
        let print = print(work);
        self.prints
            .range((print, 0)..=(print, u32::MAX))
            .filter_map(|(_, blob)| self.blobs.get(*blob as usize).copied())
    }

    /// Whether an item has left memory, or one whose id has the same print.
    pub(super) fn may_hold(&self, work: &str) -> bool {
        self.candidates(work).next().is_some()
    }

    /// Puts items away, in blobs that each fit beside an event.
    fn put(&mut self, items: Vec<Finished>) {
        let (mut page, mut bytes) = (Vec::new(), Vec::new());
        for item in items {
            let encoded =
                serde_json::to_vec(&item).expect("BUG: an item is plain data with text keys");
            if !page.is_empty() && bytes.len() + encoded.len() + 2 > MAX_INLINE_BLOB_BYTES {
                self.seal(&mut page, &mut bytes);
            }
            bytes.push(if bytes.is_empty() { b'[' } else { b',' });
            bytes.extend(encoded);
            page.push(item.work.id);
        }
        if !page.is_empty() {
            self.seal(&mut page, &mut bytes);
        }
    }

    fn seal(&mut self, page: &mut Vec<WorkId>, bytes: &mut Vec<u8>) {
        bytes.push(b']');
        let blob = Blob::new(std::mem::take(bytes));
        let at = u32::try_from(self.blobs.len()).expect("BUG: blobs are counted in 32 bits");
        self.prints.extend(page.drain(..).map(|id| (print(id.as_str()), at)));
        self.blobs.push(blob.digest);
        self.fresh.push(blob);
    }
}

/// The items that new work names: itself and what it needs.
fn named(items: &[WorkSpec]) -> impl Iterator<Item = &WorkId> {
    let needs = items
        .iter()
        .flat_map(|item| &item.needs)
        .filter_map(|need| if let Need::Work(id) = need { Some(id) } else { None });
    items.iter().map(|item| &item.id).chain(needs)
}

/// What remains of an id. Two ids may share one; the blob tells them apart.
fn print(work: &str) -> u32 {
    let digest = Digest::of(work.as_bytes());
    u32::from_be_bytes([digest.0[0], digest.0[1], digest.0[2], digest.0[3]])
}

/// The items in an archive blob.
///
/// # Errors
/// If the bytes are not one.
pub fn archived_items(bytes: &[u8]) -> Result<Vec<Finished>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// An archive blob that was looked into for new work, with those of its items that the work names.
/// Reading it is slow, so whoever gives the command does it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    archive: Digest,
    items: Vec<Finished>,
}

impl Recalled {
    /// Looks into a blob for what new work names: the items themselves and what they need.
    ///
    /// # Errors
    /// [`ControllerError::ArchiveDamaged`] if its bytes are not what its name says.
    pub fn read(archive: Digest, bytes: &[u8], work: &[WorkSpec]) -> Result<Self, ControllerError> {
        let damaged = || ControllerError::ArchiveDamaged { archive };
        if Digest::of(bytes) != archive {
            return Err(damaged());
        }
        let named: BTreeSet<&WorkId> = named(work).collect();
        let mut items = archived_items(bytes).map_err(|_| damaged())?;
        items.retain(|item| named.contains(&item.work.id));
        Ok(Self { archive, items })
    }
}

impl Coordination {
    /// Archive blobs that the last event made. They belong into the same append as the event.
    #[must_use]
    pub fn archived(&self) -> &[Blob] {
        &self.archive.fresh
    }

    pub(super) fn forget_archived(&mut self) {
        self.archive.fresh.clear();
    }

    /// Archive blobs that must be looked into before this work can be added, besides those given.
    #[must_use]
    pub fn to_recall(&self, items: &[WorkSpec], given: &[Recalled]) -> Vec<Digest> {
        if self.archive.prints.is_empty() {
            return Vec::new();
        }
        let away = named(items).filter(|id| !self.index.by_id.contains_key(*id));
        let wanted: BTreeSet<Digest> =
            away.flat_map(|id| self.archive.candidates(id.as_str())).collect();
        wanted
            .into_iter()
            .filter(|digest| !given.iter().any(|recalled| recalled.archive == *digest))
            .collect()
    }

    /// What new work means of what was recalled: an item is there already, or is needed.
    pub(super) fn found_in(
        &self,
        recalled: &[Recalled],
        items: &[WorkSpec],
    ) -> BTreeMap<WorkId, Finished> {
        let named: BTreeSet<&WorkId> = named(items).collect();
        let all = recalled
            .iter()
            .flat_map(|recalled| recalled.items.iter().map(|item| (recalled.archive, item)));
        let meant = all.filter(|(archive, item)| {
            let id = &item.work.id;
            let left = !self.index.by_id.contains_key(id);
            left && named.contains(id)
                && self.archive.candidates(id.as_str()).any(|digest| digest == *archive)
        });
        meant.map(|(_, item)| (item.work.id.clone(), item.clone())).collect()
    }

    /// The blobs that hold what has left memory; nothing needs them once the coordination has
    /// ended.
    pub(crate) fn archives(&self) -> &[Digest] {
        &self.archive.blobs
    }

    /// Notes a finished item, which may leave memory later.
    pub(super) fn retire(&mut self, position: u32) {
        if self.started.mode == Mode::Open {
            self.archive.finished.push_back(position);
        }
    }

    /// Lets the oldest finished items leave memory that no unfinished work needs. Part of `apply`:
    /// replay does the same.
    pub(super) fn archive_oldest(&mut self) {
        let most = MAX_FINISHED_IN_MEMORY + BATCH;
        if self.archive.finished.len() < self.archive.leave_at.max(most) {
            return;
        }
        let needed = self.needed_by_unfinished();
        let excess = self.archive.finished.len() - MAX_FINISHED_IN_MEMORY;
        let mut kept = VecDeque::new();
        let mut leaving = Vec::new();
        for position in self.archive.finished.drain(..excess) {
            if needed.contains(&position) {
                kept.push_back(position)
            } else {
                leaving.push(position)
            }
        }
        kept.append(&mut self.archive.finished);
        self.archive.finished = kept;
        // Every item in memory was looked at for this, so the more there are the more must finish
        // before the next time; yet what leaves together must stay a small part of an append.
        self.archive.leave_at =
            self.archive.finished.len() + (self.items.len() / 10).clamp(BATCH, LARGEST_BATCH);
        let items = leaving.iter().filter_map(|position| self.let_go(*position)).collect();
        self.archive.put(items);
        self.leave_waiting_lists(&leaving);
    }

    fn needed_by_unfinished(&self) -> BTreeSet<u32> {
        let unfinished =
            self.items.iter().filter(|(_, item)| !matches!(item.state, WorkState::Done(_)));
        let needs = unfinished.flat_map(|(_, item)| &item.spec.needs);
        needs
            .filter_map(|need| {
                if let Need::Work(id) = need { self.index.by_id.get(id).copied() } else { None }
            })
            .collect()
    }

    /// Takes an item out; returns it unless it lies in a blob already.
    fn let_go(&mut self, position: u32) -> Option<Finished> {
        let failed = match self.blocking_root(position) {
            Standing::Failed(root) => Some(root),
            Standing::Open | Standing::Met => None,
        };
        let item = self.items.remove(position)?;
        self.index.dependents.remove(position);
        self.index.by_id.remove(&item.spec.id);
        let WorkState::Done(outcome) = item.state else {
            unreachable!("BUG: only finished items leave")
        };
        if item.recalled {
            return None;
        }
        if let Some(group) = &item.spec.group {
            let members = self.archive.groups.entry(group.clone()).or_default();
            members.count += 1;
            if let Some(root) = failed
                .filter(|_| members.failed.as_ref().is_none_or(|(first, _)| position < *first))
            {
                members.failed = Some((position, root));
            }
        }
        Some(Finished {
            work: item.spec,
            outcome,
            attempts: item.attempts,
            sessions: item.sessions,
            changed: item.changed,
            tokens: item.tokens,
            output: item.output,
        })
    }

    fn leave_waiting_lists(&mut self, left: &[u32]) {
        let left: BTreeSet<u32> = left.iter().copied().collect();
        for group in self.index.groups.values_mut() {
            group.waiting.retain(|position| !left.contains(position));
        }
    }

    /// Takes items back that new work needs.
    pub(super) fn recall(&mut self, recalled: &[Finished]) {
        for item in recalled
            .iter()
            .filter(|item| !self.index.by_id.contains_key(&item.work.id))
            .cloned()
            .collect::<Vec<_>>()
        {
            let id = item.work.id.clone();
            let position = self.items.push(WorkItem {
                spec: item.work,
                state: WorkState::Done(item.outcome),
                attempts: item.attempts,
                sessions: item.sessions,
                changed: item.changed,
                tokens: item.tokens,
                output: item.output,
                recalled: true,
            });
            self.index.dependents.push(Vec::new());
            self.index.by_id.insert(id, position);
            self.archive.finished.push_back(position);
        }
    }

    /// Whether what is stored twice agrees in what has left.
    pub(super) fn archive_is_coherent(&self) -> bool {
        let archive = &self.archive;
        let done = |position: &u32| {
            self.items.get(*position).is_some_and(|item| matches!(item.state, WorkState::Done(_)))
        };
        archive.finished.iter().all(done)
            && archive.prints.iter().all(|(_, blob)| (*blob as usize) < archive.blobs.len())
    }

    /// How much a snapshot holds, in items; what has left weighs little.
    #[must_use]
    pub fn weight(&self) -> u64 {
        (self.items.len() + self.archive.prints.len() / 16) as u64
    }
}
