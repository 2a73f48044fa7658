//! The events of a run: a page of them, or a stream that outlives broken connections.

use antiphon::id::{CoordinationId, Version};

use super::Client;
use super::error::ClientError;
use super::event_source::EventSource;
use crate::api::{EventLine, EventPage};
use crate::path::run_path;

impl Client {
    /// The events after a version that exist now, at most `limit`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(
        &self,
        id: &CoordinationId,
        after: Version,
        limit: usize,
    ) -> Result<EventPage, ClientError> {
        let rest = format!("/events?after={after}&limit={limit}");
        self.link.get(&run_path(id.as_str(), &rest)).await
    }

    /// Follows the events after a version until the end of the run; a stream that breaks resumes
    /// where it broke.
    #[must_use]
    pub fn follow(&self, id: &CoordinationId, after: Version) -> EventStream {
        let path = run_path(id.as_str(), "/events");
        let source = EventSource::new(self.link.clone(), path, Some(after.0));
        EventStream { source, after }
    }
}

/// The events of one run, in order, each once, until it ends.
#[derive(Debug)]
pub struct EventStream {
    source: EventSource,
    after: Version,
}

impl EventStream {
    /// The version of the last event that it gave, or the one that it began after.
    #[must_use]
    pub fn version(&self) -> Version {
        self.after
    }

    /// The next event; waits for it. `None` after the one that ends the run. When the future is
    /// dropped no event is lost, but a connection that was being opened is.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if the engine has gone; another call looks for it again.
    pub async fn next(&mut self) -> Result<Option<EventLine>, ClientError> {
        let Some(sent) = self.source.next().await? else { return Ok(None) };
        let event: EventLine = serde_json::from_str(&sent.data)
            .map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
        self.after = Version(event.version);
        if event.is_terminal() {
            self.source.end();
        }
        Ok(Some(event))
    }
}
