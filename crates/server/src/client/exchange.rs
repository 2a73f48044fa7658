//! One request and its answer, over a connection of their own.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::ClientError;
use crate::socket;

/// How long an answer may take to begin, and to come: longer than an engine takes to say that it
/// has none.
const ANSWER_TIME: Duration = Duration::from_secs(60);

pub(super) async fn get<T: DeserializeOwned>(dir: &Path, path: &str) -> Result<T, ClientError> {
    read(&get_bytes(dir, path).await?)
}

pub(super) async fn get_bytes(dir: &Path, path: &str) -> Result<Bytes, ClientError> {
    whole(dir, send(dir, head(Method::GET, path), Bytes::new()).await?).await
}

pub(super) async fn post<T: DeserializeOwned>(
    dir: &Path,
    path: &str,
    body: &impl Serialize,
    key: Option<&str>,
) -> Result<T, ClientError> {
    let body =
        serde_json::to_vec(body).map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
    let mut request = head(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    read(&whole(dir, send(dir, request, body.into()).await?).await?)
}

pub(super) fn head(method: Method, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "antiphon")
}

/// Sends a request; an answer that is an error becomes one.
pub(super) async fn send(
    dir: &Path,
    request: Builder,
    body: Bytes,
) -> Result<Response<Incoming>, ClientError> {
    let request = request.body(Full::new(body)).map_err(|error| {
        ClientError::NotUnderstood(format!("the request cannot be built: {error}"))
    })?;
    in_time(dir, exchange(dir, request)).await
}

pub(super) async fn connect(dir: &Path) -> Result<UnixStream, ClientError> {
    let owned = || dir.to_owned();
    socket::connect(dir).await.map_err(|source| match socket::is_gone(&source) {
        true => ClientError::NoEngine { dir: owned() },
        false => ClientError::Socket { dir: owned(), source },
    })
}

async fn exchange(
    dir: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ClientError> {
    let stream = connect(dir).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the answer's body, or when that is dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
    match serde_json::from_slice(&body) {
        Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
        Err(_) => Err(ClientError::NotUnderstood(format!("status {status} without a problem"))),
    }
}

async fn whole(dir: &Path, response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = async { Ok(response.into_body().collect().await.map_err(broken)?.to_bytes()) };
    in_time(dir, body).await
}

async fn in_time<T>(
    dir: &Path,
    call: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(ANSWER_TIME, call)
        .await
        .unwrap_or_else(|_| Err(ClientError::Silent { dir: dir.to_owned() }))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|error| ClientError::NotUnderstood(error.to_string()))
}

fn broken(error: hyper::Error) -> ClientError {
    ClientError::Broken(error.to_string())
}
