//! A client of a running engine, in another process or in the engine's own: requests as calls.
//!
//! Calls that follow each other share a connection, and each ends within a limit of time. Nothing is
//! decided here.

mod approvals;
mod commands;
mod contexts;
mod error;
mod event_source;
mod events;
mod exchange;
mod items;
mod keys;
mod ledger;
mod line_stream;
mod lines;
mod logs;
mod runs;
mod signals;
mod waits;
mod work;

use std::path::Path;

use crate::api::Health;
use crate::socket::SOCKET;

use exchange::Link;

pub use error::ClientError;
pub use events::EventStream;
pub use items::ItemValue;
pub use keys::KeyStream;
pub use line_stream::LineStream;
pub use logs::LogStream;
pub use signals::SignalStream;

/// Reaches an engine by its socket. Its connections belong to the runtime on which it was made; its
/// answers can be waited for on any.
#[derive(Debug, Clone)]
pub struct Client {
    link: Link,
}

impl Client {
    /// Finds the engine of a state directory.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if none answers there.
    pub async fn connect(state_dir: impl AsRef<Path>) -> Result<Self, ClientError> {
        Self::connect_to(state_dir.as_ref().join(SOCKET)).await
    }

    /// Finds the engine behind a socket, as `ANTIPHON_SOCKET` names it to a session.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if none answers there.
    pub async fn connect_to(socket: impl AsRef<Path>) -> Result<Self, ClientError> {
        Ok(Self { link: Link::open(socket.as_ref()).await? })
    }

    /// Whether the engine takes commands.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.link.get("/v1/health").await
    }
}
