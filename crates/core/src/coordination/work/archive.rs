//! Finished items of an open coordination that have left memory: kept as blobs, found again when
//! something needs them.
//!
//! An open coordination may live for years. Beyond [`MAX_FINISHED_IN_MEMORY`] finished items the
//! oldest leave, unless unfinished work needs them. What remains of one is a print of its id, which
//! says in which blob it lies, so an id is never used twice. The blobs follow from the events:
//! replay makes the same ones, and a lost one can be made again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::finished::Finished;
use super::group::Group;
use super::need::Need;
use super::spec::WorkSpec;
use crate::coordination::error::ArchiveDamaged;
use crate::coordination::limits::MAX_FINISHED_IN_MEMORY;
use crate::digest::Digest;
use crate::envelope::{Blob, MAX_INLINE_BLOB_BYTES};
use crate::id::{GroupName, WorkId};

/// Fewest items that leave together, so that looking for them costs each of them little.
const BATCH: usize = 1_000;

/// Most items that leave together, but for those that were held back as something needed them.
const LARGEST_BATCH: usize = 5_000;

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
struct Members {
    count: u32,
    /// The failed one that was added first, and the root of its failure.
    failed: Option<(u32, WorkId)>,
}

impl Archive {
    pub(super) fn is_untouched(&self) -> bool {
        self.finished.is_empty() && self.blobs.is_empty()
    }

    /// The groups, as far as their members have left.
    pub(super) fn groups_that_left(&self) -> BTreeMap<GroupName, Group> {
        let left = self.groups.iter();
        left.map(|(name, members)| {
            (name.clone(), Group::of_left(members.count, members.failed.as_ref()))
        })
        .collect()
    }

    /// Blobs that the last event made.
    pub(super) fn fresh(&self) -> &[Blob] {
        &self.fresh
    }

    pub(super) fn forget_fresh(&mut self) {
        self.fresh.clear();
    }

    pub(super) fn blobs(&self) -> &[Digest] {
        &self.blobs
    }

    /// Items that have left, counted.
    pub(super) fn len(&self) -> usize {
        self.prints.len()
    }

    /// Notes a finished item, which may leave memory later.
    pub(super) fn retire(&mut self, position: u32) {
        self.finished.push_back(position);
    }

    /// Takes out the oldest finished items that nothing unfinished needs, once there are enough of
    /// them; `in_memory` says how many items there are in all.
    pub(super) fn take_leaving(
        &mut self,
        in_memory: usize,
        needed: impl FnOnce() -> BTreeSet<u32>,
    ) -> Vec<u32> {
        if self.finished.len() < self.leave_at.max(MAX_FINISHED_IN_MEMORY + BATCH) {
            return Vec::new();
        }
        let needed = needed();
        let excess = self.finished.len() - MAX_FINISHED_IN_MEMORY;
        let (mut kept, mut leaving) = (VecDeque::new(), Vec::new());
        for position in self.finished.drain(..excess) {
            if needed.contains(&position) {
                kept.push_back(position);
            } else {
                leaving.push(position);
            }
        }
        kept.append(&mut self.finished);
        self.finished = kept;
        // Every item in memory was looked at for this, so the more there are the more must finish
        // before the next time; yet what leaves together must stay a small part of an append.
        self.leave_at = self.finished.len() + (in_memory / 10).clamp(BATCH, LARGEST_BATCH);
        leaving
    }

    /// Counts a member of a group that leaves, and the root of its failure if it failed.
    pub(super) fn leave_group(&mut self, group: &GroupName, position: u32, failed: Option<WorkId>) {
        let members = self.groups.entry(group.clone()).or_default();
        members.count += 1;
        if let Some(root) =
            failed.filter(|_| members.failed.as_ref().is_none_or(|(first, _)| position < *first))
        {
            members.failed = Some((position, root));
        }
    }

    /// Whether what is stored twice agrees; `is_done` tells of an item in memory.
    pub(super) fn is_coherent(&self, is_done: impl Fn(u32) -> bool) -> bool {
        self.finished.iter().all(|position| is_done(*position))
            && self.prints.iter().all(|(_, blob)| (*blob as usize) < self.blobs.len())
    }

    /// The blobs that may hold an item, if it has left at all.
    pub(super) fn candidates(&self, work: &str) -> impl Iterator<Item = Digest> {
        let print = print(work);
        self.prints
            .range((print, 0)..=(print, u32::MAX))
            .filter_map(|(_, blob)| self.blobs.get(*blob as usize).copied())
    }

    /// Whether an item has left memory, or one whose id has the same print.
    pub(super) fn may_hold(&self, work: &str) -> bool {
        self.candidates(work).next().is_some()
    }

    /// Archives items, in blobs that each fit into the append of an event.
    pub(super) fn put(&mut self, items: Vec<Finished>) {
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
pub(super) fn named(items: &[WorkSpec]) -> impl Iterator<Item = &WorkId> {
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
/// Reading it is slow, so the caller does it before giving the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedWork {
    archive: Digest,
    items: Vec<Finished>,
}

impl ArchivedWork {
    /// Looks into a blob for what new work names: the items themselves and what they need.
    ///
    /// # Errors
    /// [`ArchiveDamaged`] if its bytes are not what its name says.
    pub fn read(archive: Digest, bytes: &[u8], work: &[WorkSpec]) -> Result<Self, ArchiveDamaged> {
        let damaged = || ArchiveDamaged { archive };
        if Digest::of(bytes) != archive {
            return Err(damaged());
        }
        let named: BTreeSet<&WorkId> = named(work).collect();
        let mut items = archived_items(bytes).map_err(|_| damaged())?;
        items.retain(|item| named.contains(&item.work.id));
        Ok(Self { archive, items })
    }
}

impl ArchivedWork {
    /// The blob.
    pub(super) fn archive(&self) -> Digest {
        self.archive
    }

    /// What was found in it.
    pub(super) fn items(&self) -> &[Finished] {
        &self.items
    }
}
