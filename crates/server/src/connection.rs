//! One connection: who the caller is, then requests one after the other, within the limits.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use antiphon::id::SessionId;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::field::display;

use crate::api::{Code, Problem};
use crate::caller::{Caller, Peer, SessionOf};
use crate::framed::{Framed, LINGER};
use crate::framing::{Fault, Framing, is_stand_in};
use crate::panic::contained;
use crate::path::run_of;
use crate::stall::Stalling;
use crate::state::Shared;

/// The least that hyper takes as a limit on what it keeps, in bytes.
const MIN_BUFFER_BYTES: usize = 8 * 1024;

/// One connection, with what its requests need.
pub(crate) struct ClientConnection {
    shared: Arc<Shared>,
    router: Router,
    session_of: Option<SessionOf>,
    /// Places for connections of sessions.
    sessions: Arc<Semaphore>,
}

impl ClientConnection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        router: Router,
        session_of: Option<SessionOf>,
        sessions: Arc<Semaphore>,
    ) -> Self {
        Self { shared, router, session_of, sessions }
    }

    pub(crate) async fn run(self, stream: UnixStream, permit: OwnedSemaphorePermit) {
        let peer = match Peer::of(&stream) {
            Ok(peer) => peer,
            Err(error) => {
                return tracing::debug!(%error, "a caller disconnected before it was identified");
            }
        };
        let session_of = self.session_of.clone();
        let Ok(caller) = tokio::task::spawn_blocking(move || peer.place(session_of.as_ref())).await
        else {
            return;
        };
        // Sessions have places of their own, so that they cannot take those of the operator.
        let _permit = match &caller {
            Caller::Operator => permit,
            Caller::Session(_) | Caller::Refused(_) => {
                match Arc::clone(&self.sessions).try_acquire_owned() {
                    Ok(own) => own,
                    Err(_) => return turn_away(stream, &self.shared).await,
                }
            }
        };
        self.serve(stream, caller).await;
    }

    async fn serve(self, stream: UnixStream, caller: Caller) {
        let Self { shared, router, .. } = self;
        let limits = shared.limits();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_headers(limits.headers)
            // Heads have been measured by then.
            .max_buf_size(limits.header_bytes.max(MIN_BUFFER_BYTES))
            .auto_date_header(false)
            .keep_alive(!matches!(caller, Caller::Refused(_)));
        let fault = Arc::new(OnceLock::new());
        let stalling = Stalling::new(stream, limits.write_time);
        let framed = Framed::new(stalling, Framing::new(limits), Arc::clone(&fault));
        let io = TokioIo::new(framed);
        let service = service_fn(|request| {
            let (parts, body) = request.into_parts();
            let refused = fault.get().filter(|_| is_stand_in(&parts)).map(Fault::problem);
            answer(router.clone(), caller.clone(), refused, Request::from_parts(parts, body))
        });
        let mut served = pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = shared.stopping().cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

async fn answer(
    router: Router,
    caller: Caller,
    refused: Option<Problem>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let session = caller.session().cloned();
    let response = match (caller, refused) {
        (Caller::Refused(problem), _) | (_, Some(problem)) => problem.into_response(),
        (caller, None) => {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(caller);
            match contained(TowerToHyperService::new(router).call(request)).await {
                Some(Ok(response)) => response,
                None => Problem::new(
                    Code::Internal,
                    "the request met an internal error; please report it",
                )
                .into_response(),
            }
        }
    };
    log(&method, &path, session.as_ref(), &response);
    Ok(response)
}

/// Logs a request: a refused command for an operator to read, and the rest for whoever looks at
/// everything, as clients ask for what may not be there. No body is in it.
fn log(method: &Method, path: &str, session: Option<&SessionId>, response: &Response) {
    let status = response.status().as_u16();
    let (run, session) = (run_of(path), session.map(display));
    let code = response.extensions().get::<Code>().map(display);
    if response.status().is_server_error() {
        tracing::warn!(run, session, %method, path, status, code, "request not carried out");
    } else if response.status().is_client_error() && method != Method::GET {
        tracing::info!(run, session, %method, path, status, code, "request refused");
    } else {
        tracing::debug!(run, session, %method, path, status, code, "answered");
    }
}

/// Refuses a caller for whom there is no place, and reads its request for a moment if it can: a
/// connection that ends with bytes unread may take the answer with it.
pub(crate) async fn turn_away(stream: UnixStream, shared: &Shared) {
    let problem = Problem::new(
        Code::TooManyConnections,
        "too many clients are connected; repeat the request in a moment",
    );
    let body = problem.to_bytes();
    let mut answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    // It fits into an empty buffer; what did not would have to wait for the client.
    let _written = stream.try_write(&answer);
    if let Some(_place) = shared.place_to_linger() {
        let mut buffer = vec![0; 4096];
        let heard = async {
            while stream.readable().await.is_ok() {
                match stream.try_read(&mut buffer) {
                    Ok(0) => break,
                    Err(error) if error.kind() != ErrorKind::WouldBlock => break,
                    _ => {}
                }
            }
        };
        let _over = timeout(LINGER, heard).await;
    }
}
