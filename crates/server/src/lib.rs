//! The local API of Antiphon: HTTP over a Unix socket in the state directory, and a client for it.
//!
//! [`Server`] is a door to a running [`Engine`](antiphon::Engine): it reads requests, asks the
//! engine, and writes answers. It decides nothing, keeps nothing, and no client can delay the
//! engine. [`Client`] lets another process be a guest of that engine.
//!
//! `docs/api.md` has every request with an example, `docs/error-codes.md` every error.

mod answer;
mod caller;
mod client;
mod code;
mod connection;
mod panic;
mod problem;
mod request;
mod routes;
mod server;
mod socket;
mod stall;
mod submission;
mod wire;

pub use caller::SessionOf;
pub use client::{Client, ClientError, EventStream};
pub use code::Code;
pub use problem::{Fault, Problem};
pub use server::{BindError, Limits, Server};
pub use socket::{SOCKET, SocketError};
pub use submission::{CompileError, Compiled, PlanProblem, Secret, Submission};
pub use wire::{
    Accepted, EventLine, EventPage, Health, ListPage, ListQuery, Raise, Reasons, RunLine, Steer,
    SubmitRequest, Submitted, Why,
};
