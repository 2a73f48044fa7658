//! What is to be written, and how that went.

use antiphon_core::append::Append;
use tokio::sync::oneshot;

use crate::ledger::{AppendError, Cursor};
use crate::mailbox::Unavailable;

/// Something to be written.
pub(in crate::decider) enum WriteJob {
    /// A turn, with cursors that are set with it; is acknowledged.
    Append(Box<Append>, Vec<Cursor>),
    /// A cursor to be moved with the next append, or by itself if none waits; the reader gets its
    /// answer once it is durable.
    Move(Cursor, oneshot::Sender<Result<(), Unavailable>>),
}

/// How an append went.
pub(in crate::decider) type Ack = Result<(), AppendError>;
