//! Routes: what was decided to follow an attempt, by whom and why.
//!
//! A decision is recorded right before the end of the session that it is about, in the same append, and
//! allows that end what the outcome alone would not: another attempt after a success, or none after a
//! failure. It is made outside and never computed here.

mod deciding;
mod given;
mod illegal;

pub use given::{Route, RouteVote};
pub(super) use illegal::IllegalRoute;
