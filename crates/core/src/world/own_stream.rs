//! The ledger's own stream in the world: who has the ledger, and what is erased from it.

use super::World;
use crate::digest::Digest;
use crate::envelope::{CommitTip, StreamTip};
use crate::id::{Epoch, StreamName, Version};
use crate::ledger::LedgerStream;
use crate::ledger::event::{LedgerClosed, LedgerEvent, LedgerOpened};
use crate::live::{EmitError, Live, Stamp};
use crate::time::{Now, WallTime};

/// What the store knows of a ledger that was just taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct LedgerFacts {
    /// Version of the ledger format.
    pub format: u32,
    /// The ledger's random id.
    pub ledger: Digest,
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

    pub(super) fn record_in_ledger(
        &mut self,
        event: &LedgerEvent,
        now: &Now,
    ) -> Result<Version, EmitError> {
        let stamp = Stamp::by_engine(now);
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
