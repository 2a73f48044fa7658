//! How finished items leave memory, and come back where new work needs them.

use std::collections::{BTreeMap, BTreeSet};

use super::Work;
use super::archive::{ArchivedWork, named};
use super::finished::Finished;
use super::item::{Standing, WorkItem};
use super::need::Need;
use super::spec::WorkSpec;
use super::state::WorkState;
use crate::digest::Digest;
use crate::envelope::Blob;
use crate::id::WorkId;

impl Work {
    /// Archive blobs that the last event made. They belong into the same append as the event.
    pub(in crate::coordination) fn archived(&self) -> &[Blob] {
        self.archive.fresh()
    }

    pub(in crate::coordination) fn forget_archived(&mut self) {
        self.archive.forget_fresh();
    }

    /// The blobs that hold what has left memory.
    pub(in crate::coordination) fn archives(&self) -> &[Digest] {
        self.archive.blobs()
    }

    /// How much a snapshot holds, in items; what has left weighs little.
    pub(in crate::coordination) fn weight(&self) -> u64 {
        (self.items.len() + self.archive.len() / 16) as u64
    }

    /// Archive blobs that must be looked into before this work can be added, besides those given.
    pub(in crate::coordination) fn archives_needed(
        &self,
        items: &[WorkSpec],
        given: &[ArchivedWork],
    ) -> Vec<Digest> {
        if self.archive.len() == 0 {
            return Vec::new();
        }
        let away = named(items).filter(|id| !self.by_id.contains_key(*id));
        let wanted: BTreeSet<Digest> =
            away.flat_map(|id| self.archive.candidates(id.as_str())).collect();
        wanted
            .into_iter()
            .filter(|digest| !given.iter().any(|work| work.archive() == *digest))
            .collect()
    }

    /// What new work means of what was archived: an item is there already, or is needed.
    pub(in crate::coordination) fn found_in(
        &self,
        archived: &[ArchivedWork],
        items: &[WorkSpec],
    ) -> BTreeMap<WorkId, Finished> {
        let named: BTreeSet<&WorkId> = named(items).collect();
        let all =
            archived.iter().flat_map(|work| work.items().iter().map(|item| (work.archive(), item)));
        let meant = all.filter(|(archive, item)| {
            let id = &item.work.id;
            let left = !self.by_id.contains_key(id);
            left && named.contains(id)
                && self.archive.candidates(id.as_str()).any(|digest| digest == *archive)
        });
        meant.map(|(_, item)| (item.work.id.clone(), item.clone())).collect()
    }

    /// Notes a finished item, which may leave memory later.
    pub(super) fn retire(&mut self, position: u32) {
        if self.rules.archives() {
            self.archive.retire(position);
        }
    }

    /// Lets the oldest finished items leave memory that no unfinished work needs. Part of `apply`:
    /// replay does the same.
    pub(in crate::coordination) fn archive_oldest(&mut self) {
        let (items, by_id) = (&self.items, &self.by_id);
        let needed = || {
            let unfinished = items.iter().filter(|(_, item)| !item.is_done());
            let needs = unfinished.flat_map(|(_, item)| &item.spec().needs);
            needs
                .filter_map(|need| match need {
                    Need::Work(id) => by_id.get(id).copied(),
                    _ => None,
                })
                .collect()
        };
        let leaving = self.archive.take_leaving(self.items.len(), needed);
        if leaving.is_empty() {
            return;
        }
        let items = leaving.iter().filter_map(|position| self.let_go(*position)).collect();
        self.archive.put(items);
        self.conditions.forget_waiters(&leaving.into_iter().collect());
    }

    /// Takes an item out that has its outcome; returns it unless it lies in a blob already.
    fn let_go(&mut self, position: u32) -> Option<Finished> {
        let WorkState::Done(outcome) = self.items.get(position)?.state() else { return None };
        let outcome = outcome.clone();
        let item = self.items.remove(position)?;
        let failed = match item.standing() {
            Standing::Failed(root) => Some(root),
            Standing::Open | Standing::Met => None,
        };
        self.conditions.remove(position);
        self.by_id.remove(item.id());
        self.forget_speaker(item.spec(), position);
        self.forget_source(item.spec());
        if item.is_recalled() {
            return None;
        }
        if let Some(group) = &item.spec().group {
            self.archive.leave_group(group, position, failed);
        }
        Some(item.into_finished(outcome))
    }

    /// Takes items back that new work needs.
    pub(in crate::coordination) fn bring_back(&mut self, recalled: &[Finished]) {
        for item in recalled {
            let id = item.work.id.clone();
            if self.by_id.contains_key(&id) {
                continue;
            }
            let position = self.items.push(WorkItem::bring_back(item.clone()));
            self.conditions.add_at(position);
            self.by_id.insert(id, position);
            self.note_speaker(position);
            self.archive.retire(position);
        }
    }

    /// Whether an item has left memory, or one whose id has the same print.
    pub(in crate::coordination) fn may_have_left(&self, work: &str) -> bool {
        self.archive.may_hold(work)
    }

    pub(super) fn archive_is_coherent(&self) -> bool {
        self.archive.is_coherent(|position| self.items.get(position).is_some_and(WorkItem::is_done))
    }
}
