//! A ledger in the memory of an engine, read over its socket: there are no files to read it from.

use std::path::{Path, PathBuf};

use antiphon::append::{Append, HeadRow};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::id::{CommitNumber, Seq, StreamName, Version};
use antiphon::ledger::{
    AppendError, Cursor, Damage, Fault, HeadQuery, OpenError, Opened, Owner, Placed, PlacedCommit,
    ReadError, Refusal, Snapshot, Store, WriteError,
};
use antiphon_server::{Client, ClientError};

/// Reads what an engine has in its memory; nothing can be written.
pub(super) struct Remote {
    dir: PathBuf,
}

impl Remote {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Asks on a thread of its own: whoever reads a store waits for it, also on a runtime's thread.
    fn ask<T: Send>(
        &self,
        asked: impl AsyncFnOnce(Client) -> Result<T, ClientError> + Send,
    ) -> Result<T, ReadError> {
        let fault = |source: Box<dyn std::error::Error + Send + Sync>| Fault {
            doing: format!(
                "read the ledger of {}, which is in its engine's memory",
                self.dir.display()
            ),
            source,
            disk_full: false,
            passing: false,
            sync_failed: false,
        };
        let answer = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime
                    .map_err(|error| fault(error.into()))?
                    .block_on(async { asked(Client::connect(&self.dir).await?).await })
                    .map_err(|error| fault(error.into()))
            });
            asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        Ok(answer?)
    }
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
