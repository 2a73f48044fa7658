//! Requests and their answers: over the connection that the last answer left, or a new one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::request::Builder;
use hyper::http::response::Parts;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::ClientError;
use crate::socket;

/// How long an answer may take to begin, and to come: longer than an engine takes to say that it
/// has none.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// The way to the engine behind a socket.
#[derive(Debug, Clone)]
pub(super) struct Link {
    socket: PathBuf,
    /// Drives the connections, so that an answer comes wherever it is waited for.
    runtime: Handle,
    /// A connection whose last answer has come whole.
    kept: Arc<Mutex<Option<Sender>>>,
}

type Sender = SendRequest<Full<Bytes>>;

impl Link {
    /// # Errors
    /// [`ClientError::NoEngine`] if none answers there.
    pub(super) async fn open(socket: &Path) -> Result<Self, ClientError> {
        let (socket, runtime) = (socket.to_owned(), Handle::current());
        let link = Self { socket, runtime, kept: Arc::default() };
        link.keep(link.connect().await?);
        Ok(link)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        read(&self.get_bytes(path).await?)
    }

    pub(super) async fn get_bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        Ok(self.get_whole(path).await?.1)
    }

    /// The same with the head of the answer.
    pub(super) async fn get_whole(&self, path: &str) -> Result<(Parts, Bytes), ClientError> {
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
        read(&self.whole(request, body.into()).await?.1)
    }

    /// The same of a request that the engine answers when something has come to pass, however long
    /// that takes.
    pub(super) async fn post_held<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
        let request = head(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        let (response, sender) = self.exchange(built(request, body.into())?).await?;
        let body = response.into_body();
        let body = async { Ok(body.collect().await.map_err(broken)?.to_bytes()) };
        let body = self.in_time(body).await?;
        self.keep(sender);
        read(&body)
    }

    /// Sends a request whose answer is read as it comes; one that is an error becomes one.
    pub(super) async fn send(&self, request: Builder) -> Result<(Parts, Arriving), ClientError> {
        let request = built(request, Bytes::new())?;
        let (response, sender) = self.in_time(self.exchange(request)).await?;
        let (head, body) = response.into_parts();
        Ok((head, Arriving { body, connection: Some((self.clone(), sender)) }))
    }

    /// Sends a request and takes in the whole answer; the connection is kept for the next.
    async fn whole(&self, request: Builder, body: Bytes) -> Result<(Parts, Bytes), ClientError> {
        let request = built(request, body)?;
        let (response, sender) = self.in_time(self.exchange(request)).await?;
        let (head, body) = response.into_parts();
        let body = async { Ok(body.collect().await.map_err(broken)?.to_bytes()) };
        let body = self.in_time(body).await?;
        self.keep(sender);
        Ok((head, body))
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
        let socket = self.socket.clone();
        let connected = self.runtime.spawn(async move {
            let stream = socket::connect(&socket).await?;
            let connected = http1::handshake(TokioIo::new(stream)).await;
            Ok(connected.map(|(sender, connection)| {
                tokio::spawn(connection);
                sender
            }))
        });
        let stopped = |error| ClientError::Broken(format!("nothing drives it: {error}"));
        match connected.await.map_err(stopped)? {
            Ok(connected) => connected.map_err(broken),
            Err(source) if socket::is_gone(&source) => {
                Err(ClientError::NoEngine { dir: self.dir() })
            }
            Err(source) => Err(ClientError::Socket { dir: self.dir(), source }),
        }
    }

    fn dir(&self) -> PathBuf {
        socket::parted(&self.socket).0.to_owned()
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
            .unwrap_or_else(|_| Err(ClientError::Silent { dir: self.dir() }))
    }
}

/// An answer that is read as it comes; its connection is kept for the next request once all of it has.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Incoming,
    connection: Option<(Link, Sender)>,
}

impl Arriving {
    /// The next bytes; `None` at its end, also where a broken connection is that.
    pub(super) async fn bytes(&mut self) -> Option<Bytes> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Some(bytes),
                    Err(_trailers) => {}
                },
                Some(Err(_broken)) => {
                    self.connection = None;
                    return None;
                }
                None => {
                    if let Some((link, sender)) = self.connection.take() {
                        link.keep(sender);
                    }
                    return None;
                }
            }
        }
    }

    /// Takes in what follows what was asked for, which is nothing, within the time of an answer.
    pub(super) async fn finish(mut self) {
        let Some((link, _)) = &self.connection else { return };
        let link = link.clone();
        let rest = async {
            while self.bytes().await.is_some() {}
            Ok(())
        };
        // A connection that is not at its end by then is given up with the rest of the answer.
        let _ended = link.in_time(rest).await;
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
