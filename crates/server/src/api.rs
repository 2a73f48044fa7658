//! What goes over the socket, for both ends of it: one file for each noun, its types and how they
//! come from what the engine says.
//!
//! Nothing here knows HTTP or a socket, and nothing here decides: these types can be used without
//! either end.

mod approval;
mod code;
mod command;
mod context;
mod end;
mod event;
mod follow_after;
mod health;
mod item;
mod key;
mod ledger;
mod on_end;
mod pause;
mod plan;
mod printed;
mod problem;
mod prune;
mod reasons;
mod retry;
mod run;
mod secrets;
mod signal;
mod submission;
mod utc;
mod wait;

pub use approval::{
    AnswerLine, AnswerRequest, AskedLine, QuestionLine, QuestionPage, QuestionRequest,
};
pub use code::Code;
pub use command::{Accepted, RaiseRequest, Steer};
pub use context::{Context, ContextDeletion, ContextList, ContextUpdate, ContextsRequest};
pub use end::{Failure, ItemCounts, RunEnd};
pub use event::{EventLine, EventPage, NotAnEvent};
pub use follow_after::FollowAfter;
pub use health::Health;
pub use item::{
    Item, ItemAttempt, ItemCommand, ItemLine, ItemNeed, ItemPage, ItemQuery, ItemSource,
    ItemVariable,
};
pub use key::{KeyChangeLine, KeyHistory, KeyLine, KeyList, KeysRequest};
pub use ledger::{CommitLine, CommitPage, HeadLine, HeadPage, PlacedLine, PlacedPage};
pub use on_end::{OnEndAnswer, OnEndState};
pub use pause::{Pause, SpentMeter};
pub use printed::{LogBytes, LogPage, LogPart, LogPiece, LogQuery};
pub use problem::{BodyError, Problem};
pub use prune::{PruneAnswer, PruneRequest};
pub use reasons::{Reasons, Why};
pub use retry::{Again, RetryAnswer, RetryRequest};
pub use run::{ListPage, ListQuery, RunLine};
pub use secrets::{ResumeRequest, RunSecrets};
pub use signal::{SignalDedup, SignalHistory, SignalLine, SignalQuery, SignalRequest};
pub use submission::{SubmitAnswer, SubmitRequest, WorkRequest};
pub use wait::{MetNeed, NeedRequest, WaitAnswer, WaitEnd, WaitRequest};
