//! Coordination engine.

pub mod ledger;
