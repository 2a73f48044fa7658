//! Signals of a run: sent, looked back at, or followed by a stream that outlives broken connections.

use antiphon::id::CoordinationId;
use hyper::{Method, StatusCode, header};

use super::error::ClientError;
use super::events::Lines;
use super::exchange::{Arriving, Link};
use super::{Client, exchange};
use crate::api::{Accepted, SignalHistory, SignalLine, SignalQuery, SignalRequest, SignalsAfter};
use crate::path::{run_path, segment};

impl Client {
    /// Sends a signal to a run. The answer comes once it is durable, with its place there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn signal(
        &self,
        id: &CoordinationId,
        request: &SignalRequest,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/signals"), request, key).await
    }

    /// The last signals of a run that are wanted, the newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn signal_history(
        &self,
        id: &CoordinationId,
        query: &SignalQuery,
        limit: usize,
    ) -> Result<SignalHistory, ClientError> {
        self.link.get(&path(id, query, &format!("limit={limit}"))).await
    }

    /// Follows the signals of a run that are wanted, until its end; a stream that breaks resumes
    /// where it broke.
    #[must_use]
    pub fn signals(
        &self,
        id: &CoordinationId,
        query: &SignalQuery,
        after: SignalsAfter,
    ) -> SignalStream {
        let path = path(id, query, &format!("after={after}"));
        let (link, lines) = (self.link.clone(), Lines::default());
        SignalStream { link, path, seen: None, body: None, lines, fruitful: true, ended: false }
    }
}

fn path(id: &CoordinationId, query: &SignalQuery, rest: &str) -> String {
    let mut path = run_path(id.as_str(), "/signals?");
    for (name, value) in query.parameters() {
        path.push_str(&format!("{}={}&", segment(&name), segment(&value)));
    }
    path.push_str(rest);
    path
}

/// The signals of a run, in order, each once, until it ends.
#[derive(Debug)]
pub struct SignalStream {
    link: Link,
    path: String,
    /// The version up to which nothing more is wanted, once the engine has told one.
    seen: Option<u64>,
    body: Option<Arriving>,
    lines: Lines,
    /// Whether the connection has brought anything.
    fruitful: bool,
    ended: bool,
}

impl SignalStream {
    /// Waits until the engine has said where the stream begins: what is sent from then on is in it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begun(&mut self) -> Result<(), ClientError> {
        while self.body.is_none() && !self.ended {
            self.reopen().await?;
        }
        Ok(())
    }

    /// The version of the run's stream up to which all that is wanted was given, once the engine has
    /// told one.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.seen
    }

    /// The next one; waits for it. `None` once the run has ended. When the future is dropped no
    /// signal is lost, but a connection that was being opened is.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if the engine has gone; another call looks for it again.
    pub async fn next(&mut self) -> Result<Option<SignalLine>, ClientError> {
        while !self.ended {
            if let Some((kind, data)) = self.lines.event()? {
                self.seen = self.lines.place().or(self.seen);
                if kind == "end" {
                    self.ended = true;
                    break;
                }
                let signal = serde_json::from_str(&data).map(Some);
                return signal.map_err(|error| ClientError::NotUnderstood(error.to_string()));
            }
            self.seen = self.lines.place().or(self.seen);
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

    async fn reopen(&mut self) -> Result<(), ClientError> {
        self.body = None;
        self.lines = Lines::default();
        // One that ends before it began would end again.
        if !std::mem::replace(&mut self.fruitful, true) {
            let text = "the stream of signals ended before the run did";
            return Err(ClientError::Broken(text.to_owned()));
        }
        let mut request =
            exchange::head(Method::GET, &self.path).header(header::ACCEPT, "text/event-stream");
        if let Some(seen) = self.seen {
            request = request.header("last-event-id", seen);
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
