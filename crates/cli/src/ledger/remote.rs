//! A ledger that is read over the socket of its engine: it is in the engine's memory, or the command
//! runs in a session and has the socket alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use antiphon::append::{Append, HeadRow};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::id::{CommitNumber, Seq, StreamName, Version};
use antiphon::ledger::{
    AppendError, Cursor, Damage, Fault, HeadQuery, Location, OpenError, Opened, Owner, Placed,
    PlacedCommit, ReadError, Refusal, Snapshot, Store, WriteError,
};
use antiphon_server::{Client, ClientError, SOCKET};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;

use super::kept::Kept;
use crate::state_dir::session_socket;

/// What this process reads so, so that everything in it that asks shares a connection.
static IN_USE: Mutex<Weak<Remote>> = Mutex::new(Weak::new());

/// What drives the connection while those that wait for answers block their threads.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build());

/// Reads what an engine has; nothing can be written.
pub(super) struct Remote {
    socket: PathBuf,
    pub(super) kind: Kept,
    client: OnceCell<Client>,
}

impl Remote {
    /// The ledger of a directory, if this process is to read it so.
    pub(super) fn of(dir: &Path) -> Option<Arc<Self>> {
        let (socket, kind) = match session_socket(dir) {
            Some(socket) => (socket, Kept::BySessionEngine),
            None if Location::directory(dir).files().is_of_memory() => {
                (dir.join(SOCKET), Kept::InMemory)
            }
            None => return None,
        };
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = in_use.upgrade().filter(|remote| remote.socket == socket) {
            return Some(remote);
        }
        let remote = Arc::new(Self { socket, kind, client: OnceCell::new() });
        *in_use = Arc::downgrade(&remote);
        Some(remote)
    }

    /// Has it connected.
    pub(super) fn connect(&self) -> Result<(), ClientError> {
        self.wait_for(async |_| Ok(()))
    }

    /// The way to the engine.
    pub(super) async fn client(&self) -> Result<Client, ClientError> {
        let connect = || async {
            let (socket, runtime) = (self.socket.clone(), runtime()?);
            let connecting = runtime.spawn(async move { Client::connect_to(socket).await });
            connecting.await.map_err(|error| ClientError::Broken(error.to_string()))?
        };
        self.client.get_or_try_init(connect).await.cloned()
    }

    fn ask<T: Send>(
        &self,
        asked: impl AsyncFnOnce(Client) -> Result<T, ClientError> + Send,
    ) -> Result<T, ReadError> {
        let fault = |error: ClientError| Fault {
            doing: format!("read the ledger of the engine at {}", self.socket.display()),
            source: error.into(),
            disk_full: false,
            passing: false,
            sync_failed: false,
        };
        Ok(self.wait_for(asked).map_err(fault)?)
    }

    /// Asks on a thread of its own: whoever reads a store waits for it, also on a runtime's thread.
    fn wait_for<T: Send>(
        &self,
        asked: impl AsyncFnOnce(Client) -> Result<T, ClientError> + Send,
    ) -> Result<T, ClientError> {
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let answer = async { asked(self.client().await?).await };
                runtime()?.block_on(answer)
            });
            asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

fn runtime() -> Result<&'static Runtime, ClientError> {
    let no_runtime = |error| ClientError::Broken(format!("nothing can drive it: {error}"));
    RUNTIME.as_ref().map_err(no_runtime)
}

impl Store for Remote {
    fn read_stream(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.ask(async |client: Client| client.stream_events(stream, after, limit).await)
    }

    fn read_all(&self, after: Seq, limit: usize) -> Result<Vec<Placed>, ReadError> {
        self.ask(async |client: Client| client.ledger_events(after, limit).await)
    }

    fn commits(&self, after: CommitNumber, limit: usize) -> Result<Vec<PlacedCommit>, ReadError> {
        self.ask(async |client: Client| client.commits(after, limit).await)
    }

    fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ReadError> {
        self.ask(async |client: Client| client.heads(query).await)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        self.ask(async |client: Client| client.blob(digest).await)
    }

    fn size(&self) -> Result<u64, ReadError> {
        // What is not on a disk takes no room there.
        Ok(0)
    }

    fn damages(&self) -> Result<Vec<Damage>, ReadError> {
        Ok(Vec::new())
    }

    fn load_snapshot(&self, _: &StreamName, _: &str) -> Result<Option<Snapshot>, ReadError> {
        Ok(None)
    }

    fn cursor(&self, _: &str) -> Result<Option<Cursor>, ReadError> {
        Ok(None)
    }

    fn unmoved_cursors(&self, _: &str) -> Result<Vec<Cursor>, ReadError> {
        Ok(Vec::new())
    }

    fn open(&self, _: &Owner) -> Result<Opened, OpenError> {
        Err(OpenError::AlreadyOpen)
    }

    fn append(&self, _: &Append, _: &[Cursor]) -> Result<Seq, AppendError> {
        Err(Refusal::NotOpen.into())
    }

    fn move_cursors(&self, _: &[Cursor]) -> Result<(), AppendError> {
        Err(Refusal::NotOpen.into())
    }

    fn save_snapshots(&self, _: &[Snapshot]) -> Result<(), WriteError> {
        Err(Refusal::NotOpen.into())
    }

    fn mark_head(&self) -> Result<(), WriteError> {
        Err(Refusal::NotOpen.into())
    }

    fn declare_verified(&self) -> Result<(), WriteError> {
        Err(Refusal::NotOpen.into())
    }

    fn close(&self) -> Result<(), WriteError> {
        Ok(())
    }
}
