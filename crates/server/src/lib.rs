//! The local API of Antiphon: HTTP over a Unix socket in the state directory, and a client for it.
//!
//! [`Server`] speaks for a running [`Engine`](antiphon::Engine): it reads requests, asks the
//! engine, and writes answers. It decides nothing and keeps nothing, and no client can delay
//! the engine. [`Client`] reaches that engine from another process.
//!
//! The types that go over the socket need neither: without the default features the crate is those
//! types alone; the feature `client` adds the client, and `server` the server.
//!
//! `docs/api.md` has every request with an example, `docs/error-codes.md` every error.

mod api;

#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "client", feature = "server"))]
mod path;
#[cfg(any(feature = "client", feature = "server"))]
mod socket;

#[cfg(feature = "server")]
mod answer;
#[cfg(feature = "server")]
mod caller;
#[cfg(feature = "server")]
mod compilers;
#[cfg(feature = "server")]
mod connection;
#[cfg(feature = "server")]
mod framed;
#[cfg(feature = "server")]
mod framing;
#[cfg(feature = "server")]
mod limits;
#[cfg(feature = "server")]
mod listener;
#[cfg(feature = "server")]
mod panic;
#[cfg(feature = "server")]
mod request;
#[cfg(feature = "server")]
mod routes;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod stall;
#[cfg(feature = "server")]
mod state;

pub use api::{
    Accepted, Again, AnswerLine, AnswerRequest, AskedLine, BodyError, Code, CommitLine, CommitPage,
    Context, ContextDeletion, ContextList, ContextUpdate, ContextsRequest, EventLine, EventPage,
    Failure, FollowAfter, HeadLine, HeadPage, Health, Item, ItemAttempt, ItemCommand, ItemCounts,
    ItemLine, ItemNeed, ItemPage, ItemQuery, ItemSource, ItemVariable, KeyChangeLine, KeyHistory,
    KeyLine, KeyList, KeysRequest, ListPage, ListQuery, LogBytes, LogPage, LogPart, LogPiece,
    LogQuery, MetNeed, NeedRequest, NotAnEvent, OnEndAnswer, OnEndState, Pause, PlacedLine,
    PlacedPage, Problem, PruneAnswer, PruneRequest, QuestionLine, QuestionPage, QuestionRequest,
    RaiseRequest, Reasons, ResumeRequest, RetryAnswer, RetryRequest, RunEnd, RunLine, RunSecrets,
    SignalDedup, SignalHistory, SignalLine, SignalQuery, SignalRequest, SpentMeter, Steer,
    SubmitAnswer, SubmitRequest, WaitAnswer, WaitEnd, WaitRequest, Why, WorkRequest,
};
#[cfg(feature = "server")]
pub use caller::SessionOf;
#[cfg(feature = "client")]
pub use client::{
    Client, ClientError, EventStream, ItemValue, KeyStream, LineStream, LogStream, SignalStream,
};
#[cfg(feature = "server")]
pub use limits::ClientLimits;
#[cfg(feature = "server")]
pub use server::{ListenError, Server};
#[cfg(any(feature = "client", feature = "server"))]
pub use socket::{SOCKET, SocketError};
