//! What an event names outside of its stream: blobs, and other runs.
//!
//! Every member is taken apart by name, so that one that is added is not overlooked here: a blob that
//! nothing is known to name may be erased.

use crate::coordination::event::{CoordinationEvent, SessionUnbound};
use crate::coordination::{Reused, TreeReport, WorkSpec};
use crate::digest::Digest;
use crate::id::CoordinationId;

impl CoordinationEvent {
    /// The blobs that it names.
    #[must_use]
    pub fn blobs(&self) -> Vec<Digest> {
        match self {
            Self::Started(started) => {
                let named = [started.origin, started.on_end, started.signal_schemas];
                named.into_iter().flatten().collect()
            }
            Self::WorkAdded(added) => added.items.iter().flat_map(WorkSpec::blobs).collect(),
            Self::SessionBound(bound) => bound.context.into_iter().collect(),
            Self::SessionUnbound(unbound) => unbound.blobs().collect(),
            Self::Signalled(sent) => sent.digest.into_iter().collect(),
            Self::KeySet(set) => set.changes.iter().filter_map(|change| change.digest).collect(),
            Self::Completed(completed) => vec![completed.receipt],
            Self::Aborted(aborted) => vec![aborted.receipt],
            _ => Vec::new(),
        }
    }

    /// The runs that it names: the one that is retried, and those that outcomes are taken over from.
    /// Those that carried them out before are named by these.
    #[must_use]
    pub fn runs(&self) -> Vec<&CoordinationId> {
        match self {
            Self::Started(started) => {
                started.forerunner.iter().map(|named| &named.coordination).collect()
            }
            Self::WorkAdded(added) => {
                let reused = added.items.iter().filter_map(|item| item.reused.as_ref());
                reused.map(|reused| &reused.from).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl WorkSpec {
    /// The blobs that it names: its inputs, and what was taken over.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.inputs().chain(self.reused.iter().flat_map(|reused| reused.blobs()))
    }
}

impl Reused {
    /// The blobs that were taken over.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> + use<> {
        let Self { from: _, work: _, output, files, session: _ } = self;
        [*output, *files].into_iter().flatten()
    }
}

impl SessionUnbound {
    /// What the session put out, what it printed, and what is said of its files.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.output.into_iter().chain(self.tree.iter().flat_map(|tree| tree.blobs()))
    }
}

impl TreeReport {
    fn blobs(&self) -> impl Iterator<Item = Digest> + use<> {
        let Self {
            exit: _,
            stdout,
            stderr,
            cut: _,
            containment: _,
            clean: _,
            killed: _,
            leftovers: _,
            files,
            fault: _,
        } = self;
        [*stdout, *stderr, *files].into_iter().flatten()
    }
}
