//! The part of Antiphon that decides.
//!
//! Commands and the present come in as values; events to append, actions to take once they are
//! durable, and the next deadline come out. Nothing here awaits, locks, logs, reads a clock or
//! draws a random number, and everything iterates in a defined order; `crates/core/clippy.toml`
//! lists what that rules out.

#![forbid(unsafe_code)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod append;
mod bounded;
mod contract;
pub mod coordination;
pub mod digest;
pub mod envelope;
pub mod event;
pub mod expression;
pub mod head;
pub mod id;
pub mod json_text;
pub mod ledger;
pub mod live;
pub mod replay;
pub mod routing;
pub mod schema;
pub mod time;
pub mod world;
