//! The part of Antiphon that decides.
//!
//! Commands and the present come in as values; events to append, actions to take once they are durable, and the next deadline come
//! out. Nothing here awaits, locks, logs, reads a clock or draws a random number, and everything iterates in a defined order.

pub mod append;
pub mod coordination;
pub mod digest;
pub mod envelope;
pub mod event;
pub mod id;
pub mod time;
