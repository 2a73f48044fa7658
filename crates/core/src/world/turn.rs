//! One turn on its way out: what to append, and what to release once that is durable.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::OwnStream;
use super::member::Member;
use crate::append::{Append, Erasure};
use crate::coordination::{
    BudgetUsage, Counts, Ending, Grant, Runner, StopCause, Verdict, WorkSpec,
};
use crate::digest::Digest;
use crate::envelope::{Blob, Commit, CommitTip, Recorded};
use crate::id::{CoordinationId, Epoch, Fence, SessionId, StreamName, WorkId};
use crate::live::{Aggregate, Live};
use crate::time::LedgerTime;

/// A turn: append it, then act.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "append it, and only once it is durable carry out its actions"]
pub struct Turn {
    /// What to append, as one.
    pub append: Append,
    /// What to do once the append is durable, in order.
    pub actions: Vec<Action>,
}

/// Something that the shell does for the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start this session.
    Spawn(Box<Spawn>),
    /// Fetch the configuration of a nested item and answer with
    /// [`Command::Expanded`](super::Command::Expanded).
    Expand {
        /// The coordination.
        coordination: CoordinationId,
        /// The item.
        work: WorkId,
        /// What is to be expanded.
        runner: Runner,
    },
    /// Ask this session to stop, end it after the grace, and report its end.
    Stop {
        /// The session.
        session: SessionId,
        /// Why.
        cause: StopCause,
    },
    /// A coordination has ended: wake those who wait for it.
    Ended {
        /// The coordination.
        coordination: CoordinationId,
        /// Digest of what it was started with.
        plan: Digest,
        /// How it went.
        verdict: Verdict,
        /// Why it ended.
        ending: Ending,
        /// What it used.
        usage: BudgetUsage,
        /// Sessions and items, counted.
        counts: Counts,
        /// Digest of its receipt.
        receipt: Digest,
    },
}

/// A session to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spawn {
    /// Its id.
    pub session: SessionId,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// What it must show to write.
    pub fence: Fence,
    /// What it may use.
    pub grant: Grant,
    /// When its time is over.
    pub deadline: LedgerTime,
    /// How long that is from its binding, in nanoseconds.
    pub time_ns: u64,
    /// The secret that it shows; only its digest is recorded.
    pub token: Digest,
    /// What the items that it needs have put out.
    pub outputs: Vec<(WorkId, Digest)>,
    /// The item.
    pub spec: WorkSpec,
}

/// What a turn holds so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    events: Vec<Recorded>,
    blobs: Vec<Blob>,
    actions: Vec<Action>,
    erasures: Vec<Erasure>,
    touched: BTreeSet<StreamName>,
    bytes: usize,
}

impl Draft {
    /// Moves what a stream emitted into the turn.
    pub(super) fn collect<A: Aggregate>(&mut self, live: &mut Live<A>) {
        for event in live.take_events() {
            self.bytes += event.payload.bytes().map_or(0, <[u8]>::len);
            if !self.touched.contains(&event.stream) {
                self.touched.insert(event.stream.clone());
            }
            self.events.push(event);
        }
        for blob in live.take_blobs() {
            self.add_blob(blob);
        }
    }

    pub(super) fn add_blob(&mut self, blob: Blob) {
        if !self.blobs.iter().any(|known| known.digest == blob.digest) {
            self.bytes += blob.bytes.len().min(crate::envelope::MAX_INLINE_BLOB_BYTES);
            self.blobs.push(blob);
        }
    }

    pub(super) fn erase(&mut self, erasure: Erasure) {
        self.erasures.push(erasure);
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Links what there is into one commit and lets ended coordinations go.
    pub(super) fn take(
        &mut self,
        tip: &mut CommitTip,
        epoch: Epoch,
        ledger: &OwnStream,
        members: &mut BTreeMap<CoordinationId, Member>,
    ) -> Option<Turn> {
        if self.events.is_empty() && self.actions.is_empty() {
            return None;
        }
        let draft = std::mem::take(self);
        let mut heads = Vec::with_capacity(draft.touched.len());
        for stream in &draft.touched {
            match stream {
                StreamName::Ledger => heads.extend(ledger.live().map(Live::head)),
                StreamName::Coordination(id) => {
                    let Some(member) = members.get(id) else { continue };
                    heads.push(member.live.head());
                    if member.state().status().is_terminal() {
                        members.remove(id);
                    }
                }
                StreamName::Pool(_) => {}
            }
        }
        let commit = Commit::link(*tip, epoch, draft.events.iter().map(|event| event.hash));
        if !draft.events.is_empty() {
            *tip = commit.tip();
        }
        let append = Append {
            commit,
            events: draft.events,
            blobs: draft.blobs,
            heads,
            erasures: draft.erasures,
        };
        Some(Turn { append, actions: draft.actions })
    }
}

impl Turn {
    /// Whether there is nothing to append, only something to do.
    #[must_use]
    pub fn is_only_actions(&self) -> bool {
        self.append.events.is_empty()
    }
}
