//! The ledger's own stream: who owned the ledger, and what was erased from it.

pub mod event;
mod stream;

pub use stream::{LedgerStream, LedgerStreamError};
