//! One turn on its way out: what to append, and what to release once that is durable.

use std::collections::BTreeSet;

use crate::append::{Append, Erasure, HeadRow};
use crate::coordination::{
    BudgetUsage, Counts, Ending, Grant, KeyValue, Runner, StopCause, Verdict, WorkSpec,
};
use crate::digest::Digest;
use crate::envelope::{Blob, Commit, CommitTip, MAX_APPEND_BYTES, MAX_INLINE_BLOB_BYTES, Recorded};
use crate::id::{CoordinationId, Epoch, Fence, SessionId, StreamName, WorkId};
use crate::live::{Aggregate, Live};
use crate::routing::Name;
use crate::time::LedgerTime;

/// Bytes of payload from which nothing that continues by itself is added to a turn: what comes
/// before it is checked, not what it adds, and one step adds a few events at most.
const TURN_ROOM: usize = MAX_APPEND_BYTES / 2;

/// A turn: append it, then act.
///
/// The order in which it leaves is what makes it safe. The append goes first, whole: events, the
/// blobs they name, the new head rows and what is erased become durable together or not at all, and
/// large blobs before the events that name them. Only then the actions are carried out, in their
/// order, and callers are answered: a session that ran, or an answer that was given, without its
/// record would be lost by a crash, while a record without its action is found and taken over.
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
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Action {
    Spawn(Box<Spawn>),
    /// Fetch the configuration of a nested item and answer with
    /// [`Command::Expanded`](super::Command::Expanded).
    Expand {
        coordination: CoordinationId,
        work: WorkId,
        /// What is to be expanded.
        runner: Runner,
    },
    /// Ask this session to stop, end it after the grace, and report its end.
    Stop {
        session: SessionId,
        cause: StopCause,
    },
    /// A coordination has ended: wake those who wait for it.
    Ended {
        coordination: CoordinationId,
        /// Digest of what it was started with.
        plan: Digest,
        verdict: Verdict,
        ending: Ending,
        usage: BudgetUsage,
        /// Sessions and items, counted.
        counts: Box<Counts>,
        /// Digest of its receipt.
        receipt: Digest,
        /// The description of the command that is carried out now, if there is one.
        on_end: Option<Digest>,
    },
}

/// A session to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Spawn {
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
    /// What says where its run was started from.
    pub origin: Option<Digest>,
    /// What it is given to go by.
    pub context: Option<KeyValue>,
    /// The runner that it was given to, of those that have what its item wants.
    pub assigned: Option<Name>,
    /// Its item; the input is that of the runner.
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

    fn add_blob(&mut self, blob: Blob) {
        if !self.blobs.iter().any(|known| known.digest == blob.digest) {
            self.bytes += blob.bytes.len().min(MAX_INLINE_BLOB_BYTES);
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

    /// Adds blobs that an event of the turn names.
    pub(super) fn add_blobs(&mut self, blobs: impl IntoIterator<Item = Blob>) {
        for blob in blobs {
            self.add_blob(blob);
        }
    }

    /// Whether what continues by itself may add to the turn.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < TURN_ROOM
    }

    /// The streams that its events belong to.
    pub(super) fn touched(&self) -> impl Iterator<Item = &StreamName> {
        self.touched.iter()
    }

    /// Links what there is into one commit; `heads` are the rows of the streams that it touches.
    pub(super) fn take(
        &mut self,
        tip: &mut CommitTip,
        epoch: Epoch,
        heads: Vec<HeadRow>,
    ) -> Option<Turn> {
        if self.events.is_empty() && self.actions.is_empty() {
            return None;
        }
        let draft = std::mem::take(self);
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
