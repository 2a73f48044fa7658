//! What the sessions of a run print, as a stream of pieces.

use antiphon::id::CoordinationId;
use hyper::{Method, header};

use super::error::ClientError;
use super::exchange::Arriving;
use super::lines::{Lines, SentEvent};
use super::{Client, exchange};
use crate::api::{LogPiece, LogQuery};
use crate::path::{run_path, segment};

impl Client {
    /// What the sessions of one item print, or those of all: what is there, or where it is to follow,
    /// until nothing more can come.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn logs(
        &self,
        id: &CoordinationId,
        item: Option<&str>,
        query: &LogQuery,
    ) -> Result<LogStream, ClientError> {
        let LogQuery { stream, attempt, session, from: _, limit: _, follow } = query;
        let mut parameters = Vec::new();
        parameters.extend(stream.as_ref().map(|stream| format!("stream={}", segment(stream))));
        parameters.extend(attempt.map(|attempt| format!("attempt={attempt}")));
        parameters.extend(session.map(|session| format!("session={session}")));
        parameters.extend(follow.then(|| "follow=true".to_owned()));
        let item = item.map(|item| format!("/items/{}", segment(item))).unwrap_or_default();
        let rest = format!("{item}/logs?{}", parameters.join("&"));
        let request = exchange::head(Method::GET, &run_path(id.as_str(), &rest))
            .header(header::ACCEPT, "text/event-stream");
        let (_, body) = self.link.send(request).await?;
        Ok(LogStream { body: Some(body), lines: Lines::default() })
    }
}

/// What sessions print, piece by piece.
#[derive(Debug)]
pub struct LogStream {
    /// Until its end.
    body: Option<Arriving>,
    lines: Lines,
}

impl LogStream {
    /// The next piece; waits for it. `None` if nothing more comes.
    ///
    /// # Errors
    /// [`ClientError::Broken`] if the engine has gone before that.
    pub async fn next(&mut self) -> Result<Option<LogPiece>, ClientError> {
        while let Some(body) = &mut self.body {
            if let Some(SentEvent { kind, data, .. }) = self.lines.event()? {
                if kind == "end" {
                    if let Some(body) = self.body.take() {
                        body.finish().await;
                    }
                    return Ok(None);
                }
                let piece = serde_json::from_str(&data).map(Some);
                return piece.map_err(|error| ClientError::NotUnderstood(error.to_string()));
            }
            let Some(bytes) = body.bytes().await else {
                let text = "what was printed ended before its end was told";
                return Err(ClientError::Broken(text.to_owned()));
            };
            self.lines.push(&bytes);
        }
        Ok(None)
    }
}
