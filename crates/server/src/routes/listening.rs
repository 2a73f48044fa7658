//! What a client follows of a run, on its way there.

use std::sync::Arc;
use std::time::Duration;

use antiphon::Unavailable;
use antiphon::id::{CoordinationId, Version};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::events::{problem, resumed, streamed};
use super::record::head;
use super::unfolded::Unfolded;
use crate::api::{FollowAfter, Problem};
use crate::state::Shared;

/// What a client follows until the run has ended.
pub(super) trait Followed: Send + 'static {
    /// The next line; waits for it, and may be given up and asked again without missing one. `None`
    /// once the run has ended, or the engine has stopped.
    fn next(&mut self) -> impl Future<Output = Result<Option<FollowedLine>, Unavailable>> + Send;

    /// The version up to which everything was given.
    fn position(&self) -> Version;
}

/// What comes as one event.
pub(super) struct FollowedLine {
    kind: String,
    json: Result<String, serde_json::Error>,
    version: u64,
}

impl FollowedLine {
    pub(super) fn new(kind: impl ToString, version: u64, line: &impl Serialize) -> Self {
        Self { kind: kind.to_string(), json: serde_json::to_string(line), version }
    }
}

/// The version after which a client begins to follow; none where it has seen all that there will be.
pub(super) async fn beginning(
    shared: &Shared,
    run: &CoordinationId,
    headers: &HeaderMap,
    after: Option<FollowAfter>,
) -> Result<Option<Version>, Problem> {
    let head = head(shared, run).await?;
    let newest = head.tip.version;
    let after = match (resumed(headers)?, after.unwrap_or_default()) {
        (Some(version), _) | (None, FollowAfter::Version(version)) => Version(version),
        (None, FollowAfter::Beginning) => Version(0),
        (None, FollowAfter::Now) => newest,
    };
    Ok((!head.ended || after < newest).then_some(after))
}

/// To a client of event streams this means: do not reconnect.
pub(super) fn all_seen() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// A client that follows. It is sent the next line when it has taken those before, so that a slow
/// client delays nothing else.
pub(super) struct Listening<F> {
    shared: Arc<Shared>,
    run: CoordinationId,
    followed: F,
    heartbeat: Duration,
    stopping: CancellationToken,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Begins,
    /// Between two versions, or among the lines of one.
    Follows {
        among: bool,
    },
    Over,
}

impl<F: Followed> Listening<F> {
    pub(super) fn answer(shared: &Arc<Shared>, run: &CoordinationId, followed: F) -> Response {
        let (heartbeat, stopping) = (shared.limits().heartbeat, shared.stopping().clone());
        let (shared, run, stage) = (Arc::clone(shared), run.clone(), Stage::Begins);
        let listening = Self { shared, run, followed, heartbeat, stopping, stage };
        streamed(Body::new(Unfolded::new(listening, Self::frame)))
    }

    /// What to send next. An `end` says that the run has ended; without it the connection broke, or
    /// the server is to stop.
    async fn frame(mut self) -> Option<(Bytes, Self)> {
        let among = match self.stage {
            Stage::Begins => {
                self.stage = Stage::Follows { among: false };
                return Some((self.place().into(), self));
            }
            Stage::Follows { among } => among,
            Stage::Over => return None,
        };
        let frame = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return None,
            line = self.followed.next() => match line {
                Ok(Some(line)) => self.text(line),
                Ok(None) => {
                    self.stage = Stage::Over;
                    match head(&self.shared, &self.run).await {
                        Ok(head) if head.ended => "event: end\ndata: {}\n\n".to_owned(),
                        Ok(_) => return None,
                        Err(error) => problem(error),
                    }
                }
                Err(error) => {
                    self.stage = Stage::Over;
                    problem(error)
                }
            },
            () = tokio::time::sleep(self.heartbeat) => match among {
                true => ":\n\n".to_owned(),
                false => self.place(),
            },
        };
        Some((frame.into(), self))
    }

    /// A line; the last one of its version tells the place, so that a client that is cut off before it
    /// gets all of them again.
    fn text(&mut self, line: FollowedLine) -> String {
        let FollowedLine { kind, json, version } = line;
        let is_last = self.followed.position().0 >= version;
        self.stage = Stage::Follows { among: !is_last };
        let place = if is_last { format!("id: {version}\n") } else { String::new() };
        match json {
            Ok(line) => format!("{place}event: {kind}\ndata: {line}\n\n"),
            Err(error) => format!(": version {version} cannot be written as JSON: {error}\n\n"),
        }
    }

    /// Where a client resumes that is cut off now, also where nothing that it wants was in what was
    /// looked at.
    fn place(&self) -> String {
        format!("id: {}\n\n", self.followed.position())
    }
}
