//! A stream of events from the server that outlives broken connections.

use hyper::{Method, StatusCode, header};

use super::error::ClientError;
use super::exchange;
use super::exchange::{Arriving, Link};
use super::lines::{Lines, SentEvent};

/// The last event of a stream that says so, with its data.
const END: (&str, &str) = ("end", "{}");

/// The events of a stream, in order, each once, until it ends.
#[derive(Debug)]
pub(super) struct EventSource {
    link: Link,
    path: String,
    /// Up to where everything is here, once the server has told it.
    place: Option<u64>,
    /// How many events have come from behind that place.
    behind: usize,
    /// Events that are here already, and come again as the stream was cut off among them.
    again: usize,
    body: Option<Arriving>,
    lines: Lines,
    /// Whether the connection has brought anything.
    fruitful: bool,
    ended: bool,
}

impl EventSource {
    /// One that begins behind a place, or where its path says.
    pub(super) fn new(link: Link, path: String, place: Option<u64>) -> Self {
        let (body, lines) = (None, Lines::default());
        let (behind, again, fruitful, ended) = (0, 0, true, false);
        Self { link, path, place, behind, again, body, lines, fruitful, ended }
    }

    /// Up to where everything has come, once the server has told it.
    pub(super) fn place(&self) -> Option<u64> {
        self.place
    }

    /// Waits until the server has said where the stream begins.
    pub(super) async fn begun(&mut self) -> Result<(), ClientError> {
        while self.body.is_none() && !self.ended {
            self.reopen().await?;
        }
        Ok(())
    }

    /// The next event; waits for it. `None` once nothing more will come. When the future is dropped no
    /// event is lost, but a connection that was being opened is.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if the engine has gone; another call looks for it again.
    pub(super) async fn next(&mut self) -> Result<Option<SentEvent>, ClientError> {
        while !self.ended {
            if let Some(event) = self.lines.event()? {
                if (event.kind.as_str(), event.data.as_str()) == END {
                    self.ended = true;
                } else if self.is_new(&event) {
                    return Ok(Some(event));
                }
                continue;
            }
            let bytes = match &mut self.body {
                Some(body) => body.bytes().await,
                None => None,
            };
            match bytes {
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

    /// Nothing comes after the last event.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Notes where the stream is with an event. Gives whether the event is one that has not come before.
    fn is_new(&mut self, event: &SentEvent) -> bool {
        if event.place.is_some_and(|place| self.place != Some(place)) {
            (self.place, self.behind, self.again) = (event.place, 0, 0);
            return !event.data.is_empty();
        }
        if event.data.is_empty() {
            return false;
        }
        if self.again > 0 {
            self.again -= 1;
            return false;
        }
        self.behind += usize::from(event.place.is_none());
        true
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        self.body = None;
        self.lines = Lines::default();
        self.again = self.behind;
        // One that ends before it began would end again.
        if !std::mem::replace(&mut self.fruitful, true) {
            let text = "the stream of events ended before the run did";
            return Err(ClientError::Broken(text.to_owned()));
        }
        let mut request =
            exchange::head(Method::GET, &self.path).header(header::ACCEPT, "text/event-stream");
        if let Some(place) = self.place {
            request = request.header("last-event-id", place);
        }
        let (head, body) = self.link.send(request).await?;
        if head.status == StatusCode::NO_CONTENT {
            body.finish().await;
            self.ended = true;
            return Ok(());
        }
        (self.body, self.fruitful) = (Some(body), false);
        Ok(())
    }
}
