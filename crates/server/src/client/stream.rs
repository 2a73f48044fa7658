//! Following a run across the socket, over broken connections.

use std::future::poll_fn;
use std::pin::Pin;

use antiphon::id::{CoordinationId, Version};
use axum::body::{Body, Bytes, HttpBody as _};

use super::{Client, ClientError, open};
use crate::wire::EventLine;

/// The events of one run, in order, each once, until it ends.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    coordination: CoordinationId,
    after: Version,
    body: Option<Body>,
    unread: Vec<u8>,
    kind: String,
    data: String,
    /// Whether the connection has brought anything.
    fruitful: bool,
    ended: bool,
}

impl EventStream {
    pub(super) fn new(client: Client, coordination: CoordinationId, after: Version) -> Self {
        Self {
            client,
            coordination,
            after,
            body: None,
            unread: Vec::new(),
            kind: String::new(),
            data: String::new(),
            fruitful: true,
            ended: false,
        }
    }

    /// The version of the last event that it gave, or the one that it began after.
    #[must_use]
    pub fn version(&self) -> Version {
        self.after
    }

    /// The next event; waits for it. `None` after the one that ends the run. Given up on,
    /// it loses no event, but a connection that was being opened.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if the engine has gone; another call looks for it again.
    pub async fn next(&mut self) -> Result<Option<EventLine>, ClientError> {
        while !self.ended {
            while let Some(line) = self.line() {
                if let Some(event) = self.take(&line)? {
                    self.after = Version(event.version);
                    self.ended = event.is_terminal();
                    return Ok(Some(event));
                }
            }
            match self.bytes().await {
                Some(bytes) => {
                    self.fruitful = true;
                    self.unread.extend_from_slice(&bytes);
                }
                None => self.reopen().await?,
            }
        }
        Ok(None)
    }

    async fn bytes(&mut self) -> Option<Bytes> {
        let body = self.body.as_mut()?;
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        // A broken connection ends the body like the engine's end does.
        frame?.ok()?.into_data().ok()
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        self.body = None;
        self.unread.clear();
        self.kind.clear();
        self.data.clear();
        // One that ends before it began would end again.
        if !std::mem::replace(&mut self.fruitful, true) {
            return Err(ClientError::Broken(
                "the stream of events ended before the run did".to_owned(),
            ));
        }
        self.body = open(&self.client, &self.coordination, self.after).await?;
        self.fruitful = false;
        self.ended = self.body.is_none();
        Ok(())
    }

    /// A whole line, without its end.
    fn line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// Takes a line in; an empty one ends an event.
    fn take(&mut self, line: &str) -> Result<Option<EventLine>, ClientError> {
        if let Some(kind) = line.strip_prefix("event: ") {
            kind.clone_into(&mut self.kind);
        } else if let Some(data) = line.strip_prefix("data: ") {
            data.clone_into(&mut self.data);
        } else if line.is_empty() && !self.data.is_empty() {
            let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
            let not_understood =
                |error: serde_json::Error| ClientError::NotUnderstood(error.to_string());
            if kind == "problem" {
                let problem = serde_json::from_str(&data).map_err(not_understood)?;
                return Err(ClientError::Refused(Box::new(problem)));
            }
            return serde_json::from_str(&data).map(Some).map_err(not_understood);
        }
        Ok(None)
    }
}
