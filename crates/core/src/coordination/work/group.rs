//! A group of items as its members stand.

use crate::id::WorkId;

#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    members: u32,
    unfinished: u32,
    /// The failed member that was added first, and the root of its failure.
    failed: Option<(u32, WorkId)>,
    /// Members that a session is bound to.
    running: u32,
}

impl Group {
    /// A group of which so many members have left memory, among them the failed one that was added
    /// first.
    pub(super) fn of_left(members: u32, failed: Option<&(u32, WorkId)>) -> Self {
        Self { members, failed: failed.cloned(), ..Self::default() }
    }

    /// Adds a member. Returns whether that opens a group which had finished well.
    pub(super) fn join(&mut self) -> bool {
        self.members += 1;
        self.unfinished += 1;
        self.members > 1 && self.unfinished == 1 && self.failed.is_none()
    }

    /// Adds a member that has its outcome. Returns whether that opens the barrier, which a group
    /// without members keeps shut.
    pub(super) fn join_finished(&mut self) -> bool {
        self.members += 1;
        self.members == 1 && self.unfinished == 0 && self.failed.is_none()
    }

    /// Takes a finished member out of the barrier. Returns whether the barrier is open now.
    pub(super) fn finish(&mut self) -> bool {
        self.unfinished -= 1;
        self.unfinished == 0 && self.failed.is_none()
    }

    /// Notes a failed member. Which one is kept depends on the order of addition alone, so that a
    /// rebuilt index is the same. Returns whether it is the first to fail.
    pub(super) fn fail(&mut self, position: u32, root: &WorkId) -> bool {
        let none_before = self.failed.is_none();
        if self.failed.as_ref().is_none_or(|(first, _)| position < *first) {
            self.failed = Some((position, root.clone()));
        }
        none_before
    }

    pub(super) fn begin_session(&mut self) {
        self.running += 1;
    }

    pub(super) fn end_session(&mut self) {
        self.running -= 1;
    }

    pub(super) fn unfinished(&self) -> u32 {
        self.unfinished
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// The root of its failure, if a member failed.
    pub(super) fn failed_root(&self) -> Option<&WorkId> {
        self.failed.as_ref().map(|(_, root)| root)
    }

    /// Whether it holds back what needs it: a member has no outcome yet, or it has none at all.
    pub(super) fn holds_back(&self) -> bool {
        self.members == 0 || self.unfinished > 0
    }
}
