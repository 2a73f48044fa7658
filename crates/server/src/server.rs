//! The server: accepts connections at the socket until it is to stop. Decides nothing and keeps
//! nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon::Engine;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::caller::SessionOf;
use crate::connection::{ClientConnection, turn_away};
use crate::limits::ClientLimits;
use crate::listener::Listener;
use crate::routes;
use crate::socket::SocketError;
use crate::state::Shared;

/// Pause after a connection could not be accepted, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time between two looks whether the socket still has its name.
const LOOK: Duration = Duration::from_secs(1);

/// Why a server could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ListenError(#[from] pub SocketError);

/// The local API of a running engine: HTTP over a Unix socket in its state directory.
pub struct Server {
    listener: Listener,
    engine: Engine,
    limits: ClientLimits,
    session_of: Option<SessionOf>,
    connected: watch::Sender<usize>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("listener", &self.listener)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Makes the socket in the state directory of an engine of this process. Callers that connect
    /// from now on wait for [`Server::serve`].
    ///
    /// # Errors
    /// [`SocketError`] if the ledger is not held by this process, or the socket cannot be made.
    pub async fn bind(state_dir: impl AsRef<Path>, engine: Engine) -> Result<Self, ListenError> {
        let listener = Listener::bind(state_dir.as_ref()).await?;
        let (connected, _) = watch::channel(0);
        Ok(Self { listener, engine, limits: ClientLimits::default(), session_of: None, connected })
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: ClientLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same with a way to tell processes of sessions. Without one, no process below the engine
    /// is served.
    #[must_use]
    pub fn with_sessions(self, session_of: SessionOf) -> Self {
        Self { session_of: Some(session_of), ..self }
    }

    /// How many connections there are, now and from now on.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<usize> {
        self.connected.subscribe()
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.listener.path()
    }

    /// Answers until `shutdown` is cancelled. Then the socket is removed, streams end, and requests
    /// that are being answered have a moment to end. When this returns nothing of the server holds
    /// the engine any more.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { mut listener, engine, limits, session_of, connected } = self;
        // Streams end with the server, also if its future is dropped.
        let stopping = shutdown.child_token();
        let _stop = stopping.clone().drop_guard();
        let (operators, sessions) = (
            Arc::new(Semaphore::new(limits.connections)),
            Arc::new(Semaphore::new(limits.session_connections)),
        );
        let shared = Arc::new(Shared::new(engine, limits, stopping.clone()));
        let router = routes::router(Arc::clone(&shared));
        let mut connections = JoinSet::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = connections.len();
            connected.send_if_modified(|before| std::mem::replace(before, now) != now);
            let stream = tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                _ = look.tick() => {
                    listener.appear_again().await;
                    continue;
                }
                accepted = accept(&listener) => accepted,
            };
            match Arc::clone(&operators).try_acquire_owned() {
                Ok(permit) => {
                    let connection = ClientConnection::new(
                        Arc::clone(&shared),
                        router.clone(),
                        session_of.clone(),
                        Arc::clone(&sessions),
                    );
                    connections.spawn(connection.run(stream, permit));
                }
                Err(_) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move { turn_away(stream, &shared).await });
                }
            }
        }
        drop(listener);
        drop(router);
        if timeout(shared.limits().drain, async {
            while connections.join_next().await.is_some() {}
        })
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

async fn accept(listener: &Listener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
