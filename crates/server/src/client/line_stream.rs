//! What a run's stream brings of one kind, as it is followed.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::error::ClientError;
use super::event_source::EventSource;
use super::exchange::Link;

/// What there is of one kind in a run's stream, in order, each once, until the run ends. It outlives
/// broken connections.
#[derive(Debug)]
pub struct LineStream<T> {
    source: EventSource,
    line: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> LineStream<T> {
    pub(super) fn new(link: Link, path: String) -> Self {
        Self { source: EventSource::new(link, path, None), line: PhantomData }
    }

    /// Waits until the engine has said where the stream begins: what comes from then on is in it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begun(&mut self) -> Result<(), ClientError> {
        self.source.begun().await
    }

    /// The version of the run's stream up to which all that is wanted was given, once the engine has
    /// told one.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.source.place()
    }

    /// The next one; waits for it. `None` once the run has ended. When the future is dropped nothing is
    /// lost, but a connection that was being opened is.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if the engine has gone; another call looks for it again.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        let Some(sent) = self.source.next().await? else { return Ok(None) };
        let line = serde_json::from_str(&sent.data);
        line.map(Some).map_err(|error| ClientError::NotUnderstood(error.to_string()))
    }
}
