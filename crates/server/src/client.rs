//! A guest of a running engine: the same requests that anybody may send, as calls.

mod stream;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::id::{CoordinationId, Version};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::timeout;

use crate::problem::Problem;
use crate::socket;
use crate::wire::{
    Accepted, EventPage, Health, ListPage, ListQuery, Raise, Reasons, RunLine, Steer,
    SubmitRequest, Submitted, segment,
};

pub use stream::EventStream;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers at the socket of the state directory.
    #[error("no engine answers in {}", dir.display())]
    NoEngine {
        /// The state directory.
        dir: PathBuf,
    },
    /// The engine refused, and says why.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The socket failed.
    #[error("the engine's socket in {} failed: {source}", dir.display())]
    Socket {
        /// The state directory.
        dir: PathBuf,
        /// How.
        source: io::Error,
    },
    /// The engine is there and says nothing.
    #[error("the engine in {} does not answer", dir.display())]
    Silent {
        /// The state directory.
        dir: PathBuf,
    },
    /// The connection broke before the answer was there.
    #[error("the connection to the engine broke: {0}")]
    Broken(String),
    /// The answer is not of the shape that this version knows.
    #[error("the engine's answer is not understood ({0}); it may be of another version")]
    NotUnderstood(String),
}

impl ClientError {
    /// The problem that the engine answered with, if that is what went wrong.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }
}

/// How long an answer may take to begin, and to come: longer than an engine takes to say that it
/// has none.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// Reaches the engine of a state directory. Each call has a connection of its own, and ends also
/// where the engine hangs.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
}

impl Client {
    /// Finds the engine of a state directory.
    ///
    /// # Errors
    /// [`ClientError::NoEngine`] if none answers there.
    pub async fn connect(state_dir: impl AsRef<Path>) -> Result<Self, ClientError> {
        let client = Self { dir: state_dir.as_ref().to_owned() };
        client.stream().await?;
        Ok(client)
    }

    /// Whether the engine takes commands in.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get("/v1/health").await
    }

    /// Submits a plan. With a key and no id, the key is the id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn submit(
        &self,
        request: &SubmitRequest,
        key: Option<&str>,
    ) -> Result<Submitted, ClientError> {
        self.post("/v1/runs", request, key).await
    }

    /// Runs at a glance, the newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list(&self, query: &ListQuery) -> Result<ListPage, ClientError> {
        let ListQuery { status, running, ended, limit, cursor } = query;
        let mut parameters = Vec::new();
        parameters.extend(status.as_ref().map(|status| format!("status={}", segment(status))));
        parameters.extend(running.then(|| "running=true".to_owned()));
        parameters.extend(ended.then(|| "ended=true".to_owned()));
        parameters.extend(limit.map(|limit| format!("limit={limit}")));
        parameters.extend(cursor.as_ref().map(|cursor| format!("cursor={}", segment(cursor))));
        self.get(&format!("/v1/runs?{}", parameters.join("&"))).await
    }

    /// One run at a glance.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self, id: &CoordinationId) -> Result<RunLine, ClientError> {
        self.get(&path(id, "")).await
    }

    /// The events after a version that are there now, at most `limit`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(
        &self,
        id: &CoordinationId,
        after: Version,
        limit: usize,
    ) -> Result<EventPage, ClientError> {
        self.get(&path(id, &format!("/events?after={after}&limit={limit}"))).await
    }

    /// Follows the events after a version until the end of the run; a stream that breaks
    /// is taken up where it broke.
    #[must_use]
    pub fn follow(&self, id: &CoordinationId, after: Version) -> EventStream {
        EventStream::new(self.clone(), id.clone(), after)
    }

    /// Why an item does not run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn why(&self, id: &CoordinationId, work: &str) -> Result<Reasons, ClientError> {
        self.get(&path(id, &format!("/work/{}/why", segment(work)))).await
    }

    /// Cancels, drains, closes or pauses a run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn steer(
        &self,
        id: &CoordinationId,
        how: Steer,
        reason: &str,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.post(&path(id, &format!("/{}", how.as_str())), &json!({ "reason": reason }), key).await
    }

    /// Goes on after a pause, with higher ceilings if given.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn continue_(
        &self,
        id: &CoordinationId,
        raise: &Raise,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.post(&path(id, "/continue"), raise, key).await
    }

    /// The hash and the rendering of a receipt.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn receipt(&self, id: &CoordinationId) -> Result<serde_json::Value, ClientError> {
        self.get(&path(id, "/receipt")).await
    }

    /// A receipt with its evidence, as `antiphon verify` reads it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn export(&self, id: &CoordinationId) -> Result<Vec<u8>, ClientError> {
        let request = head(Method::GET, &path(id, "/receipt?evidence=true"));
        self.bytes(built(request, Body::empty())?).await.map(|bytes| bytes.to_vec())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(&self.bytes(built(head(Method::GET, path), Body::empty())?).await?)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
        let mut request = head(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        read(&self.bytes(built(request, Body::from(body))?).await?)
    }

    async fn bytes(&self, request: Request<Body>) -> Result<Bytes, ClientError> {
        self.in_time(whole(self.send(request).await?.map(Body::new).into_body())).await
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        timeout(ANSWER_TIME, call)
            .await
            .unwrap_or_else(|_| Err(ClientError::Silent { dir: self.dir.clone() }))
    }

    /// Sends a request; an answer that is an error becomes one.
    async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        self.in_time(self.exchange(request)).await
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let stream = self.stream().await?;
        let broken = |error: hyper::Error| ClientError::Broken(error.to_string());
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the answer's body, or when that is dropped.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = whole(Body::new(response.into_body())).await?;
        match serde_json::from_slice(&body) {
            Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
            Err(_) => Err(ClientError::NotUnderstood(format!("status {status} without a problem"))),
        }
    }

    async fn stream(&self) -> Result<tokio::net::UnixStream, ClientError> {
        let dir = || self.dir.clone();
        socket::connect(&self.dir).await.map_err(|source| match socket::is_gone(&source) {
            true => ClientError::NoEngine { dir: dir() },
            false => ClientError::Socket { dir: dir(), source },
        })
    }
}

fn path(id: &CoordinationId, rest: &str) -> String {
    format!("/v1/runs/{}{rest}", segment(id.as_str()))
}

fn head(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "antiphon")
}

fn built(request: axum::http::request::Builder, body: Body) -> Result<Request<Body>, ClientError> {
    request.body(body).map_err(|error| {
        ClientError::NotUnderstood(format!("the request cannot be built: {error}"))
    })
}

async fn whole(body: Body) -> Result<Bytes, ClientError> {
    to_bytes(body, usize::MAX).await.map_err(|error| ClientError::Broken(error.to_string()))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::NotUnderstood(error.to_string()))
}

/// Opens a stream of events; `None` if there is nothing to follow any more.
async fn open(
    client: &Client,
    id: &CoordinationId,
    after: Version,
) -> Result<Option<Body>, ClientError> {
    let request =
        head(Method::GET, &path(id, "/events")).header(header::ACCEPT, "text/event-stream");
    let request = request.header("last-event-id", after.0);
    let response = client.send(built(request, Body::empty())?).await?;
    Ok((response.status() != StatusCode::NO_CONTENT).then(|| Body::new(response.into_body())))
}
