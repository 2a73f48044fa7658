//! The server: a socket, the engine behind it, and limits for everything that a client can make
//! last or grow.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon::Engine;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::caller::SessionOf;
use crate::connection::{self, Connection};
use crate::routes;
use crate::socket::{Socket, SocketError};
use crate::submission::{CompileError, Compiled, Submission};

/// Plans that are read at a time; others wait their turn.
const COMPILING: usize = 2;

/// Receipts that are read with their evidence at a time.
const EXPORTING: usize = 2;

/// Callers at a time that are turned away with patience; others are cut off.
const LINGERING: usize = 32;

/// Pause after a connection could not be accepted, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a server could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BindError(#[from] pub SocketError);

/// What bounds a client. The defaults suit everybody but a test.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of operators at a time.
    pub connections: usize,
    /// Connections of sessions, and of callers that are refused, at a time. They do not count as
    /// operators'.
    pub session_connections: usize,
    /// Most header fields in a request.
    pub headers: usize,
    /// Most bytes before the body of a request, 8 KiB at least.
    pub header_bytes: usize,
    /// Most bytes in the body of a request.
    pub body_bytes: usize,
    /// How long a client may take for the head of a request, and how long it may be silent between
    /// two.
    pub header_time: Duration,
    /// How long a client may take for the body of a request.
    pub body_time: Duration,
    /// How long a client may leave an answer unread.
    pub write_time: Duration,
    /// How long the engine may take for an answer before the client is told that there is none.
    pub answer_time: Duration,
    /// Silence in a stream of events after which a comment says that it still stands.
    pub heartbeat: Duration,
    /// How long requests may take to end once the server is to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            session_connections: 64,
            headers: 64,
            header_bytes: 32 * 1024,
            body_bytes: 4 * 1024 * 1024,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            write_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            drain: Duration::from_secs(3),
        }
    }
}

/// Turns a submission into what the engine takes.
pub(crate) type Compile = Arc<dyn Fn(&Submission) -> Result<Compiled, CompileError> + Send + Sync>;

/// What every request may need.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) compile: Compile,
    pub(crate) compiling: Semaphore,
    pub(crate) exporting: Semaphore,
    /// Places for those who have no place, while they are told so.
    pub(crate) lingering: Semaphore,
    pub(crate) limits: Limits,
    /// Cancelled when the server is to stop; streams end then.
    pub(crate) stopping: CancellationToken,
}

/// A door to a running engine: HTTP over a Unix socket in its state directory.
pub struct Server {
    socket: Socket,
    engine: Arc<Engine>,
    compile: Compile,
    limits: Limits,
    session_of: Option<SessionOf>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("socket", &self.socket)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Makes the socket in the state directory of an engine of this process. Callers that connect
    /// from now on wait for [`Server::serve`].
    ///
    /// `compile` turns a submission into what the engine takes; it may block. It is called again
    /// when a submission is repeated, and before it is known whether the engine takes it.
    ///
    /// # Errors
    /// [`SocketError`] if the ledger is not held by this process, or the socket cannot be made.
    pub async fn bind(
        state_dir: impl AsRef<Path>,
        engine: Arc<Engine>,
        compile: impl Fn(&Submission) -> Result<Compiled, CompileError> + Send + Sync + 'static,
    ) -> Result<Self, BindError> {
        let socket = Socket::bind(state_dir.as_ref()).await?;
        Ok(Self {
            socket,
            engine,
            compile: Arc::new(compile),
            limits: Limits::default(),
            session_of: None,
        })
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same with a way to tell processes of sessions. Without one, no process below the engine
    /// is served.
    #[must_use]
    pub fn with_sessions(self, session_of: SessionOf) -> Self {
        Self { session_of: Some(session_of), ..self }
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Answers until told to stop. Then the socket goes, streams end, and requests that are being
    /// answered have a moment to end. When this returns nothing of the server holds the engine any
    /// more.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { socket, engine, compile, limits, session_of } = self;
        // Streams end with the server, also if its future is dropped.
        let stopping = shutdown.child_token();
        let _stop = stopping.clone().drop_guard();
        let (operators, sessions) = (
            Arc::new(Semaphore::new(limits.connections)),
            Arc::new(Semaphore::new(limits.session_connections)),
        );
        let shared = Arc::new(Shared {
            engine,
            compile,
            compiling: Semaphore::new(COMPILING),
            exporting: Semaphore::new(EXPORTING),
            lingering: Semaphore::new(LINGERING),
            limits,
            stopping: stopping.clone(),
        });
        let router = routes::router(Arc::clone(&shared));
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&socket) => accepted,
            };
            match Arc::clone(&operators).try_acquire_owned() {
                Ok(permit) => {
                    let (session_of, sessions) = (session_of.clone(), Arc::clone(&sessions));
                    let connection = Connection {
                        shared: Arc::clone(&shared),
                        router: router.clone(),
                        session_of,
                        sessions,
                    };
                    connections.spawn(connection.run(stream, permit));
                }
                Err(_) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        connection::turn_away(stream, &shared.lingering).await
                    });
                }
            }
        }
        drop(socket);
        drop(router);
        if timeout(shared.limits.drain, async { while connections.join_next().await.is_some() {} })
            .await
            .is_err()
        {
            tracing::warn!(
                connections = connections.len(),
                "requests were cut off, as the server is to stop"
            );
        }
        connections.shutdown().await;
    }
}

async fn accept(socket: &Socket) -> UnixStream {
    loop {
        match socket.listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
