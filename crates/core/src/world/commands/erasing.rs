//! Erasing payloads and blobs.

use super::carry_out::CarryOut;
use crate::append::Erasure;
use crate::coordination::{MAX_TEXT_BYTES, shortened};
use crate::digest::Digest;
use crate::id::{CoordinationId, StreamName, Version};
use crate::ledger::event::{LedgerErased, LedgerEvent, MAX_ERASED_AT_ONCE};
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Done, Rejection};

/// What to erase, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct EraseRequest {
    /// The coordination, which must have ended, and the versions whose payloads go.
    pub payloads: Option<(CoordinationId, Vec<Version>)>,
    /// The blobs that go.
    pub blobs: Vec<Digest>,
    pub reason: String,
}

impl CarryOut for EraseRequest {
    type Reply = Done;

    /// Records an erasure; the append carries it out. The caller has seen that the coordination
    /// ended and which versions are terminal.
    fn carry_out(self, world: &mut World, _asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let versions = self.payloads.as_ref().map_or(0, |(_, versions)| versions.len());
        let actual = versions + self.blobs.len();
        if actual == 0 || actual > MAX_ERASED_AT_ONCE {
            return Err(Rejection::ErasureSize { actual, max: MAX_ERASED_AT_ONCE });
        }
        if let Some((id, _)) = &self.payloads
            && world.coordination(id).is_some()
        {
            return Err(Rejection::StillRunning { coordination: id.clone() });
        }
        let stream = self.payloads.as_ref().map(|(id, _)| StreamName::Coordination(id.clone()));
        let mut erased = LedgerErased {
            stream: stream.as_ref().map(ToString::to_string),
            versions: self.payloads.map(|(_, versions)| versions).unwrap_or_default(),
            blobs: self.blobs,
            reason: shortened(self.reason, MAX_TEXT_BYTES),
        };
        erased.versions.sort_unstable();
        erased.versions.dedup();
        let version = world.record_in_ledger(&LedgerEvent::Erased(erased.clone()), now)?;
        if let Some(stream) = stream {
            world.draft.erase(Erasure::Payloads { stream, versions: erased.versions });
        }
        for blob in erased.blobs {
            world.draft.erase(Erasure::Blob(blob));
        }
        Ok(Done { version })
    }
}
