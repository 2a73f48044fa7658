//! The local API, over real sockets.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod api;
mod approvals;
mod callers;
mod client;
mod common;
mod contexts;
mod documents;
mod heads;
mod hostile;
mod hostile_bytes;
mod items;
mod keys;
mod ledger;
mod operators;
mod refusals;
mod secrets;
mod signals;
mod socket;
mod waits;
