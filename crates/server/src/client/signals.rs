//! Signals of a run: sent, looked back at, or followed by a stream that outlives broken connections.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use super::line_stream::LineStream;
use crate::api::{Accepted, FollowAfter, SignalHistory, SignalLine, SignalQuery, SignalRequest};
use crate::path::{run_path, segment};

/// The signals of a run, in order, each once, until it ends.
pub type SignalStream = LineStream<SignalLine>;

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
        after: FollowAfter,
    ) -> SignalStream {
        let path = path(id, query, &format!("after={after}"));
        SignalStream::new(self.link.clone(), path)
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
