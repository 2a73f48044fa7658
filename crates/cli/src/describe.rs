//! What an event says: to people in one sentence, to programs as JSON.

mod facts;
mod json;

pub(crate) use facts::facts;
pub(crate) use json::json;
