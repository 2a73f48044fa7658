//! The ledger's own stream: who owned it, and what was erased from it.

pub mod event;
