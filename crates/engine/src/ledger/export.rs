//! A receipt with its evidence in one file, which can be verified without the ledger.
//!
//! The file holds the receipt's canonical bytes, the stream that it is a function of, and the two
//! commits that it lies between.

use antiphon_core::coordination::{CoordinationReceipt, ReceiptError};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Commit, CommitTip, Payload, Recorded};
use antiphon_core::id::{
    Actor, CommandId, CommitNumber, CoordinationId, Epoch, StreamName, Version,
};
use antiphon_core::time::{LedgerTime, WallTime};
use serde::{Deserialize, Serialize};

use super::error::ReadError;
use super::store::Store;
use super::verify::{
    Consequence, Findings, NotRebuildable, Place, StreamCheck, VerifyReport, Wrong, locate,
    read_stream,
};
use crate::hex::{hex, unhex};
use crate::tagged::{self, Format, TaggedError};

/// What an exported receipt says it is.
pub const EXPORT_FORMAT: &str = "antiphon.receipt-export.1";

/// A receipt with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Export {
    format: String,
    pub coordination: CoordinationId,
    /// The receipt: SHA-256 of its canonical bytes.
    pub receipt: Digest,
    /// The canonical bytes, in hexadecimal digits.
    pub canonical: String,
    /// The receipt for people; absent if payloads were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering: Option<serde_json::Value>,
    events: Vec<ExportedEvent>,
    /// The end of the commit chain before the commit that ends the coordination.
    pub before: CommitTip,
    pub commit: ExportedCommit,
}

/// An event of the stream; the stream is that of the coordination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportedEvent {
    version: Version,
    r#type: String,
    schema: u32,
    at: LedgerTime,
    wall: WallTime,
    actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<CommandId>,
    /// The JSON as it is stored, in a text: the stored bytes are hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<Digest>,
    prev: Digest,
    hash: Digest,
}

/// A commit with the hashes of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ExportedCommit {
    pub number: CommitNumber,
    /// The ownership it was made under.
    pub epoch: Epoch,
    /// Hash of the commit before.
    pub prev: Digest,
    pub hash: Digest,
    /// Hashes of its events, in ledger order.
    pub events: Vec<Digest>,
}

/// Why a receipt was not exported.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum ExportError {
    /// There is no such coordination.
    #[error(
        "there is no run {coordination} in this ledger; `antiphon list` shows the runs there are"
    )]
    Absent { coordination: CoordinationId },
    /// It has not ended.
    #[error("run {coordination} has not ended and has no receipt yet")]
    NotEnded { coordination: CoordinationId },
    /// The receipt is gone.
    #[error(
        "the receipt of run {coordination} was erased, and so were payloads that it could be rebuilt from"
    )]
    Erased { coordination: CoordinationId },
    /// The ledger is damaged where the receipt's evidence lies.
    #[error(
        "the evidence for the receipt of run {coordination} is damaged ({how}); run `antiphon verify`"
    )]
    Damaged {
        coordination: CoordinationId,
        /// The first thing that is wrong.
        how: String,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a file is no exported receipt.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum NotAnExport {
    /// It is not JSON, or not of this shape.
    #[error("it does not have the shape of an exported receipt: {0}")]
    Shape(serde_json::Error),
    /// It says that it is something else.
    #[error("its format is {found:?}, and only {EXPORT_FORMAT:?} is known to this version")]
    Format { found: String },
}

/// Collects the receipt of a coordination that has ended, and its evidence.
///
/// # Errors
/// When there is none, it was erased, or the evidence is damaged.
pub fn export(store: &dyn Store, coordination: &CoordinationId) -> Result<Export, ExportError> {
    let stream = StreamName::Coordination(coordination.clone());
    let mut recorded = Vec::new();
    read_stream(store, &stream, |event| {
        recorded.push(event.clone());
        Ok(())
    })?;
    let coordination = coordination.clone();
    let Some(last) = recorded.last() else { return Err(ExportError::Absent { coordination }) };
    let damaged = |how: String| ExportError::Damaged { coordination: coordination.clone(), how };
    let held =
        locate(store, last)?.ok_or_else(|| damaged("no commit holds its last event".to_owned()))?;

    let mut findings = Findings::default();
    let Some((receipt, rebuilt)) = rebuild(&stream, &recorded, held.before, &mut findings).ended
    else {
        return Err(ExportError::NotEnded { coordination });
    };
    if let Some(finding) = findings.list.first() {
        return Err(damaged(finding.to_string()));
    }
    let canonical = match (&rebuilt, store.blob(&receipt)?) {
        (_, Some(bytes)) => bytes,
        (Some(rebuilt), None) => rebuilt.canonical_bytes(),
        (None, None) => return Err(ExportError::Erased { coordination }),
    };
    let mut events = Vec::with_capacity(recorded.len());
    for event in recorded {
        let version = event.version;
        events.push(
            ExportedEvent::of(event)
                .ok_or_else(|| damaged(format!("the payload of event {version} is not UTF-8")))?,
        );
    }
    let Commit { number, epoch, prev, hash, .. } = held.commit.commit;
    Ok(Export {
        format: EXPORT_FORMAT.to_owned(),
        coordination,
        receipt,
        canonical: hex(&canonical),
        rendering: rebuilt.map(rendered),
        events,
        before: held.before,
        commit: ExportedCommit { number, epoch, prev, hash, events: held.events },
    })
}

/// Verifies an exported receipt without any ledger: the stream's chain, the receipt rebuilt from
/// it, and the commit that holds its end.
pub fn verify_export(bytes: &[u8]) -> VerifyReport {
    let (mut report, mut findings) = (VerifyReport::default(), Findings::default());
    match Export::read(bytes) {
        Ok(export) => export.verify(&mut report, &mut findings),
        Err(error) => findings.add(Place::Export, Wrong::NotAnExport { how: error.to_string() }),
    }
    report.take(findings);
    report
}

impl Export {
    /// Reads an export; its content is not verified.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, NotAnExport> {
        let known = EXPORT_FORMAT.to_owned();
        tagged::read(bytes, |tag: Format| tag.format, &known).map_err(|error| match error {
            TaggedError::Version { found } => NotAnExport::Format { found },
            TaggedError::Malformed(error) => NotAnExport::Shape(error),
        })
    }

    /// The file.
    ///
    /// # Panics
    /// Never: an export is plain data with text keys.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(self).expect("BUG: an export is plain data with text keys");
        bytes.push(b'\n');
        bytes
    }

    /// The receipt as it was recorded, also where it cannot be rebuilt from the events any more.
    ///
    /// # Errors
    /// [`ReceiptError`] if its bytes are none.
    pub fn recorded(&self) -> Result<CoordinationReceipt, ReceiptError> {
        CoordinationReceipt::from_bytes(&unhex(&self.canonical).unwrap_or_default())
    }

    /// The hash of an event, if it is in the export.
    pub(super) fn hash_at(&self, stream: &StreamName, version: Version) -> Option<Digest> {
        match stream {
            StreamName::Coordination(id) if *id == self.coordination => {}
            _ => return None,
        }
        let index = usize::try_from(version.0.checked_sub(1)?).ok()?;
        Some(self.events.get(index)?.hash)
    }

    /// Whether this is the version that ended the coordination.
    pub(super) fn is_last(&self, version: Version) -> bool {
        self.events.last().is_some_and(|last| last.version == version)
    }

    fn verify(self, report: &mut VerifyReport, findings: &mut Findings) {
        let stream = StreamName::Coordination(self.coordination);
        let recorded: Vec<Recorded> =
            self.events.into_iter().map(|event| event.into_recorded(&stream)).collect();
        let Rebuilt { ended, erased } = rebuild(&stream, &recorded, self.before, findings);
        report.events = recorded.len() as u64;
        report.streams = 1;
        report.commits = 1;
        report.erased = erased;
        if erased > 0 {
            report.not_rebuildable.push(NotRebuildable { stream: stream.clone(), erased });
        }
        let mut wrong = |wrong| findings.add(Place::Export, wrong);

        let canonical = unhex(&self.canonical);
        let found = Digest::of(canonical.as_deref().unwrap_or_default());
        if canonical.is_none() || found != self.receipt {
            wrong(Wrong::CanonicalDiffers { receipt: self.receipt, found });
        }
        match (ended, recorded.last()) {
            (Some((receipt, rebuilt)), Some(last)) => {
                if receipt != self.receipt {
                    wrong(Wrong::ReceiptDiffers { recorded: receipt, rebuilt: self.receipt });
                } else if rebuilt.is_some() {
                    report.receipts_rebuilt = 1;
                }
                if rebuilt.map(rendered) != self.rendering {
                    wrong(Wrong::RenderingDiffers);
                }
                if !self.commit.events.contains(&last.hash) {
                    wrong(Wrong::NotAnExport {
                        how: "the commit does not hold the last event".to_owned(),
                    });
                }
            }
            _ => {
                wrong(Wrong::NotAnExport { how: "its last event does not end the run".to_owned() });
            }
        }
        let ExportedCommit { number, epoch, prev, hash, events } = self.commit;
        let mut wrong = |wrong| findings.add(Place::Commit { commit: number }, wrong);
        if self.before.number.0.checked_add(1) != Some(number.0) {
            wrong(Wrong::CommitGap { before: self.before.number });
        } else if prev != self.before.hash {
            wrong(Wrong::CommitPrevDiffers);
        } else if Commit::link(self.before, epoch, events.into_iter()).hash != hash {
            wrong(Wrong::CommitHashDiffers);
        }
    }
}

impl ExportedEvent {
    fn of(event: Recorded) -> Option<Self> {
        let (payload, erased) = match event.payload {
            Payload::Bytes(bytes) => (Some(String::from_utf8(bytes).ok()?), None),
            Payload::Erased(digest) => (None, Some(digest)),
        };
        Some(Self {
            version: event.version,
            r#type: event.kind.into_owned(),
            schema: event.schema,
            at: event.at,
            wall: event.wall,
            actor: event.actor,
            cause: event.cause,
            payload,
            erased,
            prev: event.prev,
            hash: event.hash,
        })
    }

    fn into_recorded(self, stream: &StreamName) -> Recorded {
        let payload = match self.payload {
            Some(text) => Payload::Bytes(text.into_bytes()),
            None => Payload::Erased(self.erased.unwrap_or_default()),
        };
        Recorded {
            stream: stream.clone(),
            version: self.version,
            kind: self.r#type.into(),
            schema: self.schema,
            at: self.at,
            wall: self.wall,
            actor: self.actor,
            cause: self.cause,
            payload,
            prev: self.prev,
            hash: self.hash,
        }
    }
}

impl ExportedCommit {
    /// The tip that this commit makes.
    pub(super) fn tip(&self) -> CommitTip {
        CommitTip { number: self.number, hash: self.hash }
    }
}

/// What the events of a stream give.
struct Rebuilt {
    /// The receipt that the last event names, and the one rebuilt, which is the same.
    ended: Option<(Digest, Option<CoordinationReceipt>)>,
    erased: u64,
}

/// Replays a stream; what is wrong with it is among the findings.
fn rebuild(
    stream: &StreamName,
    events: &[Recorded],
    before: CommitTip,
    findings: &mut Findings,
) -> Rebuilt {
    let mut check = StreamCheck::new(stream.clone());
    let mut ended = None;
    for event in events {
        ended = match check.check(event, Some(before), findings) {
            Consequence::Ended { receipt: Some(recorded), rebuilt } => {
                let differs = rebuilt
                    .as_ref()
                    .map(|receipt| receipt.compute_hash())
                    .filter(|hash| *hash != recorded);
                if let Some(rebuilt) = differs {
                    findings.event(
                        stream,
                        event.version,
                        Wrong::ReceiptDiffers { recorded, rebuilt },
                    );
                }
                Some((recorded, rebuilt.map(|receipt| *receipt)))
            }
            _ => None,
        };
    }
    Rebuilt { ended, erased: check.erased() }
}

/// A receipt for people.
fn rendered(receipt: CoordinationReceipt) -> serde_json::Value {
    serde_json::to_value(receipt).expect("BUG: a receipt is plain data with text keys")
}
