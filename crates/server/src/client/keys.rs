//! Keys of a run: changed, read, looked back at, or followed by a stream that outlives broken connections.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use super::line_stream::LineStream;
use crate::api::{Accepted, FollowAfter, KeyChangeLine, KeyHistory, KeyList, KeysRequest};
use crate::path::{run_path, segment};

/// The changes of keys of a run, in order, each once, until it ends.
pub type KeyStream = LineStream<KeyChangeLine>;

impl Client {
    /// Changes keys of a run: all of them, or none.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_keys(
        &self,
        id: &CoordinationId,
        request: &KeysRequest,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/keys"), request, key).await
    }

    /// The keys of a run that begin with a prefix, after one of them, by name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn keys(
        &self,
        id: &CoordinationId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<KeyList, ClientError> {
        let mut query = format!("/keys?prefix={}&limit={limit}", segment(prefix));
        if let Some(after) = after {
            query.push_str(&format!("&after={}", segment(after)));
        }
        self.link.get(&run_path(id.as_str(), &query)).await
    }

    /// The last changes of keys of a run that begin with a prefix, the newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn key_history(
        &self,
        id: &CoordinationId,
        prefix: &str,
        limit: usize,
    ) -> Result<KeyHistory, ClientError> {
        let query = format!("/keys/history?prefix={}&limit={limit}", segment(prefix));
        self.link.get(&run_path(id.as_str(), &query)).await
    }

    /// Follows the changes of keys of a run that begin with a prefix, until its end; a stream that
    /// breaks resumes where it broke.
    #[must_use]
    pub fn watch_keys(&self, id: &CoordinationId, prefix: &str, after: FollowAfter) -> KeyStream {
        let query = format!("/keys/history?prefix={}&after={after}", segment(prefix));
        KeyStream::new(self.link.clone(), run_path(id.as_str(), &query))
    }
}
