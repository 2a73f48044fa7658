//! The events of a run: a page of them, or a stream that outlives broken connections.

use antiphon::id::{CoordinationId, Version};
use hyper::body::Bytes;
use hyper::{Method, StatusCode, header};

use super::error::ClientError;
use super::exchange::{Arriving, Link};
use super::{Client, exchange};
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
        EventStream::new(self.link.clone(), id.clone(), after)
    }
}

/// The events of one run, in order, each once, until it ends.
#[derive(Debug)]
pub struct EventStream {
    link: Link,
    run: CoordinationId,
    after: Version,
    body: Option<Arriving>,
    lines: Lines,
    /// Whether the connection has brought anything.
    fruitful: bool,
    ended: bool,
}

impl EventStream {
    fn new(link: Link, run: CoordinationId, after: Version) -> Self {
        Self { link, run, after, body: None, lines: Lines::default(), fruitful: true, ended: false }
    }

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
        while !self.ended {
            if let Some((_, data)) = self.lines.event()? {
                let event: EventLine = serde_json::from_str(&data)
                    .map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
                self.after = Version(event.version);
                self.ended = event.is_terminal();
                return Ok(Some(event));
            }
            match self.bytes().await {
                Some(bytes) => {
                    self.fruitful = true;
                    self.lines.push(&bytes);
                }
                None => self.reopen().await?,
            }
        }
        if let Some(body) = self.body.take() {
            body.finish().await;
        }
        Ok(None)
    }

    async fn bytes(&mut self) -> Option<Bytes> {
        self.body.as_mut()?.bytes().await
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        self.body = None;
        self.lines = Lines::default();
        // One that ends before it began would end again.
        if !std::mem::replace(&mut self.fruitful, true) {
            return Err(ClientError::Broken(
                "the stream of events ended before the run did".to_owned(),
            ));
        }
        self.body = self.open().await?;
        self.fruitful = false;
        self.ended = self.body.is_none();
        Ok(())
    }

    /// Opens the stream after the last event that was seen; `None` if nothing will follow it.
    async fn open(&self) -> Result<Option<Arriving>, ClientError> {
        let request = exchange::head(Method::GET, &run_path(self.run.as_str(), "/events"))
            .header(header::ACCEPT, "text/event-stream")
            .header("last-event-id", self.after.0);
        let (head, body) = self.link.send(request).await?;
        if head.status == StatusCode::NO_CONTENT {
            body.finish().await;
            return Ok(None);
        }
        Ok(Some(body))
    }
}

/// The events of a stream of them, as their lines come.
#[derive(Debug, Default)]
pub(super) struct Lines {
    unread: Vec<u8>,
    kind: String,
    data: String,
    /// The place of what is being read, and the last one of what was.
    id: Option<u64>,
    place: Option<u64>,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The kind and the data of the next event that is there whole.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it is the problem that ended the stream.
    pub(super) fn event(&mut self) -> Result<Option<(String, String)>, ClientError> {
        while let Some(line) = self.line() {
            if let Some(kind) = line.strip_prefix("event: ") {
                kind.clone_into(&mut self.kind);
            } else if let Some(id) = line.strip_prefix("id: ") {
                self.id = id.parse().ok();
            } else if let Some(data) = line.strip_prefix("data: ") {
                data.clone_into(&mut self.data);
            } else if line.is_empty() {
                self.place = self.id.take().or(self.place);
                if self.data.is_empty() {
                    continue;
                }
                let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
                if kind != "problem" {
                    return Ok(Some((kind, data)));
                }
                let problem = serde_json::from_str(&data)
                    .map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
                return Err(ClientError::Refused(Box::new(problem)));
            }
        }
        Ok(None)
    }

    /// Up to where all of the stream is here.
    pub(super) fn place(&self) -> Option<u64> {
        self.place
    }

    /// A whole line, without its end.
    fn line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }
}
