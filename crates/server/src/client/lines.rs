//! Events of a stream, read from its lines as they come.

use super::error::ClientError;

/// What one event brings.
#[derive(Debug, Default)]
pub(super) struct SentEvent {
    pub(super) kind: String,
    pub(super) data: String,
    /// Up to where all of the stream is here with it; none where more belongs to that place.
    pub(super) place: Option<u64>,
}

/// The lines that have come, and the event that is in them so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    unread: Vec<u8>,
    event: SentEvent,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next event that is there whole; without data it tells a place alone.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it is the problem that ended the stream.
    pub(super) fn event(&mut self) -> Result<Option<SentEvent>, ClientError> {
        while let Some(line) = self.line() {
            if let Some(kind) = line.strip_prefix("event: ") {
                kind.clone_into(&mut self.event.kind);
            } else if let Some(place) = line.strip_prefix("id: ") {
                self.event.place = place.parse().ok();
            } else if let Some(data) = line.strip_prefix("data: ") {
                data.clone_into(&mut self.event.data);
            } else if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if event.data.is_empty() && event.place.is_none() {
                    continue;
                }
                if event.kind != "problem" {
                    return Ok(Some(event));
                }
                let problem = serde_json::from_str(&event.data)
                    .map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
                return Err(ClientError::Refused(Box::new(problem)));
            }
        }
        Ok(None)
    }

    /// A whole line, without its end.
    fn line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }
}
