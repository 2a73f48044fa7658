//! One turn on its way out: what to append, and what to release once that is durable.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ledger::OwnStream;
use super::member::Member;
use crate::append::{Append, Erasure, HeadRow};
use crate::coordination::{
    BudgetUsage, Coordination, CoordinationStatus, Counts, Ending, Grant, Runner, StopCause,
    Verdict, WorkSpec,
};
use crate::digest::Digest;
use crate::envelope::{Blob, Commit, CommitTip, Recorded, StreamTip};
use crate::id::{CoordinationId, Epoch, Fence, SessionId, StreamName, Version, WorkId};
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
                StreamName::Ledger => heads.extend(ledger.head()),
                StreamName::Coordination(id) => {
                    let Some(member) = members.get(id) else { continue };
                    heads.push(head_row(member.state(), member.live.tip()));
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

/// The part of a head row that the core alone understands.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<&'a str>,
    plan: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Digest>,
    running: usize,
    totals: &'a Counts,
    usage: &'a BudgetUsage,
    work: u64,
}

/// The head row of a coordination some of whose payloads are erased, without the texts that may
/// come from them; `None` if it has none.
#[must_use]
pub fn without_erased(head: HeadRow, versions: &[Version]) -> Option<HeadRow> {
    let mut summary: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&head.summary).ok()?;
    // Name and labels are of the first event; which one said why it was paused is not known here.
    if !versions.contains(&Version(1)) && !summary.contains_key("paused") {
        return None;
    }
    let texts = ["name", "labels", "paused"].map(|text| summary.remove(text));
    texts
        .iter()
        .any(Option::is_some)
        .then(|| HeadRow { summary: serde_json::Value::Object(summary).to_string(), ..head })
}

/// What lists and results need to know of a coordination.
pub(super) fn head_row(session: &Coordination, tip: StreamTip) -> HeadRow {
    let started = session.started();
    let ending = match session.status() {
        CoordinationStatus::Completed(stop) => Some(Ending::Completed(stop.clone())),
        CoordinationStatus::Aborted(reason) => Some(Ending::Aborted(reason.clone())),
        _ => None,
    };
    let summary = Summary {
        ending,
        labels: &started.labels,
        name: started.name.as_deref(),
        parent: started.parent.as_ref(),
        paused: session.pause_reason(),
        plan: started.plan,
        receipt: session.receipt_digest(),
        running: session.bindings().len(),
        totals: session.totals(),
        usage: session.budget_usage(),
        work: session.work_count(),
    };
    let (at, wall) = session.last_times();
    HeadRow {
        stream: StreamName::Coordination(session.coordination_id().clone()),
        tip,
        status: session.stage().as_str().to_owned(),
        ended: session.status().is_terminal(),
        started: session.started_at(),
        changed: (at, wall),
        summary: serde_json::to_string(&summary)
            .expect("BUG: a summary is plain data with text keys"),
    }
}
