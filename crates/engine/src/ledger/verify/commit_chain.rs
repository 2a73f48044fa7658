//! The commit chain, checked along with the events that it covers.

use std::collections::VecDeque;

use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Commit, CommitTip};
use antiphon_core::id::{CommitNumber, Epoch, Seq};

use super::finding::{Findings, Place, Wrong};
use crate::ledger::error::ReadError;
use crate::ledger::store::{PlacedCommit, Store};

/// Commits that are read at once.
const PAGE: usize = 1_024;

/// The chain so far, and the commit whose events are coming in.
pub(super) struct CommitChain<'a> {
    store: &'a dyn Store,
    ahead: VecDeque<PlacedCommit>,
    read_to: CommitNumber,
    before: CommitTip,
    epoch: Epoch,
    /// The epoch that the last `ledger.opened` event began.
    opened: Option<Epoch>,
    /// Address that the next commit begins at.
    first: Seq,
    current: Option<PlacedCommit>,
    found_first: Seq,
    hashes: Vec<Digest>,
    /// Whether an event of the current commit could not be read.
    torn: bool,
    pub(super) count: u64,
}

impl<'a> CommitChain<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            ahead: VecDeque::new(),
            read_to: CommitNumber(0),
            before: CommitTip::default(),
            epoch: Epoch(0),
            opened: None,
            first: Seq(1),
            current: None,
            found_first: Seq(0),
            hashes: Vec::new(),
            torn: false,
            count: 0,
        }
    }

    /// Takes in the next event, which is in commit `number`; returns the end of the chain before
    /// that commit.
    pub(super) fn event(
        &mut self,
        number: CommitNumber,
        seq: Seq,
        hash: Digest,
        findings: &mut Findings,
    ) -> Result<Option<CommitTip>, ReadError> {
        while self.current.is_none_or(|current| current.commit.number < number) {
            self.finish_current(findings);
            if !self.begin_next(findings)? {
                break;
            }
        }
        if self.hashes.is_empty() {
            self.found_first = seq;
        }
        self.hashes.push(hash);
        Ok(self.current.map(|_| self.before))
    }

    /// The tip of the commit whose events are coming in.
    pub(super) fn tip(&self) -> Option<CommitTip> {
        self.current.map(|current| current.commit.tip())
    }

    /// Takes in that an ownership began with the last event.
    pub(super) fn opened(&mut self, epoch: Epoch) {
        self.opened = Some(epoch);
    }

    /// Notes that an event cannot be read: the hash of its commit cannot be computed.
    pub(super) fn unreadable(
        &mut self,
        seq: Seq,
        findings: &mut Findings,
    ) -> Result<(), ReadError> {
        while self.current.is_none_or(|current| {
            seq.0 >= current.first.0.saturating_add(u64::from(current.commit.events))
        }) {
            self.finish_current(findings);
            if !self.begin_next(findings)? {
                break;
            }
        }
        self.torn = true;
        Ok(())
    }

    /// Checks what is left once no more events come. Returns the last commit.
    pub(super) fn finish(
        &mut self,
        after: Seq,
        findings: &mut Findings,
    ) -> Result<CommitTip, ReadError> {
        self.finish_current(findings);
        // An engine that writes meanwhile may have added commits with events beyond those that were
        // read.
        while self.begin_next(findings)? {
            if self.current.is_some_and(|commit| commit.first > after) && self.has_events(after)? {
                self.count -= 1;
                return Ok(self.before);
            }
            self.finish_current(findings);
        }
        Ok(self.before)
    }

    /// Whether events follow one. A damaged one does not count: it is reported where events are read.
    fn has_events(&self, after: Seq) -> Result<bool, ReadError> {
        match self.store.read_all(after, 1) {
            Ok(events) => Ok(!events.is_empty()),
            Err(ReadError::Damaged { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    fn begin_next(&mut self, findings: &mut Findings) -> Result<bool, ReadError> {
        if self.ahead.is_empty() {
            self.ahead = match self.store.commits(self.read_to, PAGE) {
                Ok(commits) => commits.into(),
                Err(ReadError::Damaged { what, how }) => self.readable(what, how, findings)?,
                Err(fault) => return Err(fault),
            };
        }
        let Some(next) = self.ahead.pop_front() else { return Ok(false) };
        let commit = next.commit;
        let mut wrong = |wrong| findings.add(Place::Commit { commit: commit.number }, wrong);
        if commit.number != self.before.number.next() {
            wrong(Wrong::CommitGap { before: self.before.number });
            self.first = next.first;
        } else if commit.prev != self.before.hash {
            wrong(Wrong::CommitPrevDiffers);
        }
        if commit.epoch < self.epoch {
            wrong(Wrong::EpochFalls { before: self.epoch, epoch: commit.epoch });
        }
        self.epoch = commit.epoch;
        self.read_to = commit.number;
        self.current = Some(next);
        self.count += 1;
        Ok(true)
    }

    /// The commits of a page up to and after the one that is damaged.
    fn readable(
        &mut self,
        what: String,
        how: String,
        findings: &mut Findings,
    ) -> Result<VecDeque<PlacedCommit>, ReadError> {
        let mut found = VecDeque::new();
        let mut reported = false;
        for number in self.read_to.0..self.read_to.0 + PAGE as u64 {
            match self.store.commits(CommitNumber(number), 1) {
                Ok(commits) if commits.is_empty() => break,
                Ok(commits) => found.extend(
                    commits.into_iter().filter(|commit| commit.commit.number.0 == number + 1),
                ),
                Err(ReadError::Damaged { what, how }) => {
                    let how = format!("{what} is damaged: {how}");
                    findings.add(
                        Place::Commit { commit: CommitNumber(number + 1) },
                        Wrong::Unreadable { how },
                    );
                    self.torn = true;
                    if reported && found.is_empty() {
                        break;
                    }
                    reported = true;
                }
                Err(fault) => return Err(fault),
            }
        }
        if !reported {
            findings.add(Place::Beside { what }, Wrong::Damaged { how });
        }
        Ok(found)
    }

    fn finish_current(&mut self, findings: &mut Findings) {
        if let Some(PlacedCommit { first, commit }) = self.current.take() {
            let place = || Place::Commit { commit: commit.number };
            let found = self.hashes.len() as u64;
            if !self.torn {
                let found_first = if self.hashes.is_empty() { Seq(0) } else { self.found_first };
                if found != u64::from(commit.events) || found_first != first || first != self.first
                {
                    findings.add(
                        place(),
                        Wrong::CommitEvents { first, events: commit.events, found_first, found },
                    );
                }
                let before = CommitTip {
                    number: CommitNumber(commit.number.0.saturating_sub(1)),
                    hash: commit.prev,
                };
                if Commit::link(before, commit.epoch, self.hashes.iter().copied()).hash
                    != commit.hash
                {
                    findings.add(place(), Wrong::CommitHashDiffers);
                }
            }
            if let Some(opened) = self.opened.filter(|opened| *opened != commit.epoch) {
                findings.add(place(), Wrong::EpochDiffers { opened, epoch: commit.epoch });
            }
            self.before = commit.tip();
            self.first = Seq(first.0.saturating_add(u64::from(commit.events)));
        }
        self.torn = false;
        self.hashes.clear();
    }
}
