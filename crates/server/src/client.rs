//! A client of a running engine, in another process or in the engine's own: requests as calls.
//!
//! Each call has a connection of its own, and each ends within a limit of time. Nothing is kept
//! between calls, and nothing is decided here.

mod commands;
mod error;
mod events;
mod exchange;
mod items;
mod ledger;
mod logs;
mod runs;

use std::path::{Path, PathBuf};

use crate::api::Health;

pub use error::ClientError;
pub use events::EventStream;
pub use items::ItemValue;
pub use logs::LogStream;

/// Reaches the engine of a state directory.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
}

impl Client {
    /// Finds the engine of a state directory.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if none answers there.
    pub async fn connect(state_dir: impl AsRef<Path>) -> Result<Self, ClientError> {
        let client = Self { dir: state_dir.as_ref().to_owned() };
        exchange::connect(&client.dir).await?;
        Ok(client)
    }

    /// Whether the engine takes commands.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        exchange::get(&self.dir, "/v1/health").await
    }
}
