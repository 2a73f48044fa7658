//! Requests and their answers: over the connection that the last answer left, or a new one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ClientError;
use crate::socket;

/// How long an answer may take to begin, and to come: longer than an engine takes to say that it
/// has none.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// The way to the engine of a state directory.
#[derive(Debug, Clone)]
pub(super) struct Link {
    dir: PathBuf,
    /// A connection whose last answer has come whole.
    kept: Arc<Mutex<Option<Sender>>>,
}

type Sender = SendRequest<Full<Bytes>>;

impl Link {
    /// # Errors
    /// [`ClientError::NoEngine`] if none answers there.
    pub(super) async fn open(dir: &Path) -> Result<Self, ClientError> {
        let link = Self { dir: dir.to_owned(), kept: Arc::default() };
        link.keep(link.connect().await?);
        Ok(link)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(&self.get_bytes(path).await?)
    }

    pub(super) async fn get_bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        self.whole(head(Method::GET, path), Bytes::new()).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
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
        read(&self.whole(request, body.into()).await?)
    }

    /// Sends a request whose answer is read as it comes; one that is an error becomes one.
    pub(super) async fn send(
        &self,
        request: Builder,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let request = built(request, body)?;
        // The connection ends with the answer's body, or when that is dropped.
        Ok(self.in_time(self.exchange(request)).await?.0)
    }

    /// Sends a request and takes in the whole answer; the connection is kept for the next.
    async fn whole(&self, request: Builder, body: Bytes) -> Result<Bytes, ClientError> {
        let request = built(request, body)?;
        let (response, sender) = self.in_time(self.exchange(request)).await?;
        let body = async { Ok(response.into_body().collect().await.map_err(broken)?.to_bytes()) };
        let body = self.in_time(body).await?;
        self.keep(sender);
        Ok(body)
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Sender), ClientError> {
        let (response, sender) = self.sent(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok((response, sender));
        }
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
        self.keep(sender);
        match serde_json::from_slice(&body) {
            Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
            Err(_) => Err(ClientError::NotUnderstood(format!("status {status} without a problem"))),
        }
    }

    /// Sends over the connection that was kept, unless the engine has closed it; then nothing of the
    /// request has gone out.
    async fn sent(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Sender), ClientError> {
        let (kept, mut request) = (self.kept().take(), request);
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(failed.into_error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok((response, sender))
    }

    async fn connect(&self) -> Result<Sender, ClientError> {
        let owned = || self.dir.clone();
        let stream =
            socket::connect(&self.dir).await.map_err(|source| match socket::is_gone(&source) {
                true => ClientError::NoEngine { dir: owned() },
                false => ClientError::Socket { dir: owned(), source },
            })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn keep(&self, sender: Sender) {
        if !sender.is_closed() {
            *self.kept() = Some(sender);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Sender>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        timeout(ANSWER_TIME, call)
            .await
            .unwrap_or_else(|_| Err(ClientError::Silent { dir: self.dir.clone() }))
    }
}

pub(super) fn head(method: Method, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "antiphon")
}

fn built(request: Builder, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
    request.body(Full::new(body)).map_err(|error| {
        ClientError::NotUnderstood(format!("the request cannot be built: {error}"))
    })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::NotUnderstood(error.to_string()))
}

fn broken(error: hyper::Error) -> ClientError {
    ClientError::Broken(error.to_string())
}
