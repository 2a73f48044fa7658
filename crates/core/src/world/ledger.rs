//! The `ledger` stream: who owns the ledger, and what was erased from it.

use super::command::Rejection;
use super::{World, engine, stamp};
use crate::append::Erasure;
use crate::coordination::ControllerError;
use crate::digest::Digest;
use crate::envelope::{CommitTip, StreamTip};
use crate::id::{CoordinationId, Epoch, StreamName, Version};
use crate::ledger::LedgerStream;
use crate::ledger::event::{LedgerClosed, LedgerErased, LedgerEvent, LedgerOpened};
use crate::live::{EmitError, Live};
use crate::time::{Now, WallTime};

/// Most versions and blobs in one erasure, so that its event keeps the payload limit.
const MAX_ERASED_AT_ONCE: usize = 500;

/// What the store knows of a ledger that was just taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFacts {
    /// Version of the ledger format.
    pub format: u32,
    /// The ledger's random id.
    pub ledger: Digest,
    /// The new epoch.
    pub epoch: Epoch,
    /// The end of the commit chain.
    pub commit: CommitTip,
    /// The end of the `ledger` stream.
    pub tip: StreamTip,
    /// Wall-clock time of the first event of that stream, if there is one.
    pub started: Option<WallTime>,
    /// Version of the engine.
    pub engine: String,
}

/// The ledger's own stream, live from its first event on.
#[derive(Debug)]
pub(super) struct OwnStream {
    id: Digest,
    format: u32,
    live: Option<Live<LedgerStream>>,
}

/// What to erase, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraseRequest {
    /// The coordination, which must have ended, and the versions whose payloads go.
    pub payloads: Option<(CoordinationId, Vec<Version>)>,
    /// The blobs that go.
    pub blobs: Vec<Digest>,
    /// Why.
    pub reason: String,
}

impl OwnStream {
    pub(super) fn new(facts: &LedgerFacts) -> Self {
        let known = || LedgerStream::known(facts.ledger, facts.tip, facts.started);
        let begun = facts.tip.version > Version(0);
        let live = begun.then(|| Live::restore(known(), facts.tip));
        Self { id: facts.ledger, format: facts.format, live }
    }

    pub(super) fn live(&self) -> Option<&Live<LedgerStream>> {
        self.live.as_ref()
    }
}

impl World {
    /// Records that this engine took the ledger.
    ///
    /// # Errors
    /// [`EmitError::ClockRegression`] if time was set back.
    pub fn open_ledger(
        &mut self,
        host: &str,
        pid: u32,
        accepted_shorter: bool,
        now: &Now,
    ) -> Result<(), EmitError> {
        let opened = LedgerOpened {
            format: self.ledger.format,
            ledger: self.ledger.id,
            epoch: self.epoch,
            host: host.to_owned(),
            pid,
            engine: self.engine.clone(),
            accepted_shorter,
        };
        self.record_in_ledger(&LedgerEvent::Opened(opened), now).map(|_| ())
    }

    /// Records that this engine gives the ledger up in good order.
    ///
    /// # Errors
    /// [`EmitError::ClockRegression`] if time was set back.
    pub fn close_ledger(&mut self, now: &Now) -> Result<(), EmitError> {
        self.record_in_ledger(&LedgerEvent::Closed(LedgerClosed {}), now).map(|_| ())
    }

    /// Records an erasure; the append carries it out. The caller has seen that the coordination
    /// ended and which versions are terminal.
    pub(super) fn erase(&mut self, request: EraseRequest, now: &Now) -> Result<Version, Rejection> {
        let versions = request.payloads.as_ref().map_or(0, |(_, versions)| versions.len());
        let actual = versions + request.blobs.len();
        if actual == 0 || actual > MAX_ERASED_AT_ONCE {
            let max = MAX_ERASED_AT_ONCE as u64;
            return Err(ControllerError::OutOfRange {
                field: "erasures",
                actual: actual as u64,
                min: 1,
                max,
            }
            .into());
        }
        if let Some((id, _)) = &request.payloads
            && self.members.contains_key(id)
        {
            return Err(Rejection::StillRunning { coordination: id.clone() });
        }
        let stream = request.payloads.as_ref().map(|(id, _)| StreamName::Coordination(id.clone()));
        let mut erased = LedgerErased {
            stream: stream.as_ref().map(ToString::to_string),
            versions: request.payloads.map(|(_, versions)| versions).unwrap_or_default(),
            blobs: request.blobs,
            reason: crate::coordination::shortened(
                request.reason,
                crate::coordination::MAX_TEXT_BYTES,
            ),
        };
        erased.versions.sort_unstable();
        erased.versions.dedup();
        let version = self.record_in_ledger(&LedgerEvent::Erased(erased.clone()), now)?;
        if let Some(stream) = stream {
            self.draft.erase(Erasure::Payloads { stream, versions: erased.versions.clone() });
        }
        for blob in &erased.blobs {
            self.draft.erase(Erasure::Blob(*blob));
        }
        Ok(version)
    }

    fn record_in_ledger(&mut self, event: &LedgerEvent, now: &Now) -> Result<Version, EmitError> {
        let actor = engine();
        let stamp = stamp(now, &actor);
        let live = match &mut self.ledger.live {
            Some(live) => {
                live.emit(event, stamp)?;
                live
            }
            none => none.insert(
                Live::begin(&StreamName::Ledger, event, stamp)
                    .expect("BUG: the first thing that is recorded is who opened the ledger"),
            ),
        };
        self.draft.collect(live);
        Ok(live.tip().version)
    }
}
