//! What can happen to a ledger itself, with the shape it is recorded in.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{Epoch, Version};
use crate::schema::events;

/// Most versions and blobs in one erasure, so that its event keeps the payload limit.
pub const MAX_ERASED_AT_ONCE: usize = 500;

events! {
    /// An event of the `ledger` stream.
    #[non_exhaustive]
    pub enum LedgerEvent {
        /// An engine took the ledger.
        Opened(LedgerOpened) = "ledger.opened",
        /// An engine gave the ledger up in good order.
        Closed(LedgerClosed) = "ledger.closed",
        /// Payloads or blobs were erased.
        Erased(LedgerErased) = "ledger.erased",
    }
}

/// Payload of `ledger.opened`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerOpened {
    /// Version of the ledger format.
    pub format: u32,
    /// The ledger's random id.
    pub ledger: Digest,
    /// The epoch that this ownership has.
    pub epoch: Epoch,
    /// Name of the owner's machine.
    pub host: String,
    /// The owner's process id.
    pub pid: u32,
    /// Version of the engine.
    pub engine: String,
    /// Whether the ledger was shorter than its head mark and the operator chose to continue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted_shorter: bool,
}

/// Payload of `ledger.closed`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerClosed {}

/// Payload of `ledger.erased`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct LedgerErased {
    /// The stream whose payloads were erased.
    pub stream: Option<String>,
    /// The versions, in rising order.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_ERASED_AT_ONCE, _, _>")]
    pub versions: Vec<Version>,
    /// The blobs that were erased.
    #[serde(deserialize_with = "crate::bounded::list::<MAX_ERASED_AT_ONCE, _, _>")]
    pub blobs: Vec<Digest>,
    pub reason: String,
}
