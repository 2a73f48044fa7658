//! Work that never runs: because what it needs failed, because its owner refuses it, or because a
//! caller said so.

use std::collections::BTreeSet;

use super::illegal::IllegalSkip;
use super::needs::Done;
use super::state::{SkipReason, WorkItemOutcome, WorkMove, WorkState};
use super::{Moment, Work, WorkItem};
use crate::coordination::error::{NotNow, SkipError, WorkError};
use crate::coordination::event::WorkSkipped;
use crate::coordination::life::Change;
use crate::coordination::limits::MAX_ITEMS_PER_EVENT;
use crate::coordination::state::Coordination;
use crate::envelope::MAX_PAYLOAD_BYTES;
use crate::id::WorkId;

impl Coordination {
    /// The event that skips an item, because its owner refuses it or a caller asked for it.
    ///
    /// # Errors
    /// A [`SkipError`] says what is in the way.
    pub(crate) fn decide_skip(
        &self,
        work: &str,
        because: SkipReason,
    ) -> Result<WorkSkipped, SkipError> {
        self.work().known(work)?;
        self.allow(Change::Note)?;
        if matches!(
            because,
            SkipReason::NeedFailed(_)
                | SkipReason::NeedTimedOut(_)
                | SkipReason::Denied(_)
                | SkipReason::NotRouted
        ) {
            return Err(self.not_now(NotNow::SkipsDependents).into());
        }
        let item = self.work().may_skip(work, &because)?;
        Ok(WorkSkipped { works: vec![item.id().clone()], because })
    }
}

impl Work {
    /// Whether an item may be skipped; what needs a failed item is skipped without being asked for.
    ///
    /// # Errors
    /// [`WorkError`] says that there is no such item, or in which state it is.
    pub(in crate::coordination) fn may_skip(
        &self,
        work: &str,
        because: &SkipReason,
    ) -> Result<&WorkItem, WorkError> {
        let item = self.known(work)?;
        let skip = WorkMove::Finish(WorkItemOutcome::Skipped(because.clone()));
        match item.state().after(skip) {
            Some(_) => Ok(item),
            None => Err(WorkError::WorkNotClaimable {
                work_id: item.id().clone(),
                state: item.state().as_str(),
                instead: "only work that is neither running nor finished can be skipped",
            }),
        }
    }

    /// Whether these items may be skipped together.
    pub(in crate::coordination) fn check_skipped(
        &self,
        skipped: &WorkSkipped,
        age: u64,
    ) -> Result<(), IllegalSkip> {
        if skipped.works.is_empty() || skipped.works.len() > MAX_ITEMS_PER_EVENT {
            return Err(IllegalSkip::Count { items: skipped.works.len() });
        }
        // They are skipped in the order in which they were found, so one walk finds them all.
        let mut found = self.to_skip.iter();
        let mut seen = BTreeSet::new();
        for work in &skipped.works {
            let item = self.may_skip(work.as_str(), &skipped.because)?;
            if !seen.insert(work) {
                return Err(IllegalSkip::Twice { work_id: work.clone() });
            }
            if let SkipReason::NeedTimedOut(target) = &skipped.because
                && !item.has_timed_out(target, age)
            {
                let (work_id, target) = (work.clone(), target.clone());
                return Err(IllegalSkip::NotTimedOut { work_id, target });
            }
            if let SkipReason::Denied(question) = &skipped.because
                && !self.was_denied(item, question)
            {
                let (work_id, question) = (work.clone(), question.clone());
                return Err(IllegalSkip::NotDenied { work_id, question });
            }
            if skipped.because == SkipReason::NotRouted && !self.awaits_route(item) {
                return Err(IllegalSkip::NoRoute { work_id: work.clone() });
            }
            if let SkipReason::NeedFailed(root) = &skipped.because
                && !found.any(|(position, because)| {
                    because == root
                        && self.items.get(*position).is_some_and(|item| item.id() == work)
                })
            {
                return Err(IllegalSkip::NeedStands { work_id: work.clone(), root: root.clone() });
            }
        }
        Ok(())
    }

    /// Gives items their outcome that will never run.
    pub(in crate::coordination) fn skip(
        &mut self,
        skipped: &WorkSkipped,
        moment: Moment,
    ) -> Vec<Done> {
        let mut done = Vec::with_capacity(skipped.works.len());
        for work in &skipped.works {
            let outcome = WorkItemOutcome::Skipped(skipped.because.clone());
            done.push(self.finish(self.by_id[work], WorkMove::Finish(outcome), moment));
        }
        while self.to_skip.front().is_some_and(|(position, _)| !self.is_undone(*position)) {
            self.to_skip.pop_front();
        }
        done
    }

    /// Whether an item was skipped by its own rule or on request, rather than for want of a claim
    /// or of what it needs.
    pub(in crate::coordination) fn has_skipped_by_own_rule(&self) -> bool {
        self.items.iter().any(|(_, item)| {
            let WorkState::Done(WorkItemOutcome::Skipped(because)) = item.state() else {
                return false;
            };
            matches!(because, SkipReason::Rule | SkipReason::Requested | SkipReason::NotRouted)
        })
    }

    /// The next items that can never run, all of one root.
    pub(in crate::coordination) fn propose_skip(&self) -> Option<WorkSkipped> {
        let mut left =
            self.to_skip.iter().filter(|(position, _)| self.is_undone(*position)).peekable();
        let root = left.peek()?.1.clone();
        let mut works: Vec<WorkId> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut bytes = 0;
        for (position, other) in left {
            let id = self.items[*position].id();
            // Twice its length, as JSON escapes some characters with one more.
            bytes += 2 * id.as_str().len() + 3;
            if *other != root
                || works.len() == MAX_ITEMS_PER_EVENT
                || bytes > MAX_PAYLOAD_BYTES - 1024
            {
                break;
            }
            if seen.insert(*position) {
                works.push(id.clone());
            }
        }
        Some(WorkSkipped { works, because: SkipReason::NeedFailed(root) })
    }

    /// Whether an item has no outcome yet; one that has left memory has.
    fn is_undone(&self, position: u32) -> bool {
        self.items.get(position).is_some_and(|item| !item.is_done())
    }
}
