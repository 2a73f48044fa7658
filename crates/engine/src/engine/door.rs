//! What a door to the engine needs beyond the calls of a program that embeds it: commands with ids,
//! lists, pages, evidence, health.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::CoordinationConfig;
use antiphon_core::envelope::{Blob, Recorded};
use antiphon_core::id::{CommandId, CoordinationId, StreamName, Version};
use antiphon_core::world::{Command, Reply};
use tokio::sync::oneshot;

use super::{Engine, EngineError};
use crate::ledger::HeadQuery;
use crate::ledger::export::{Export, ExportError, export};
use crate::mailbox::{Request, operator};

impl Engine {
    /// A new id for a coordination that nobody named: version 7, so that they sort by age.
    ///
    /// # Errors
    /// Never in practice: a UUID is an identifier.
    pub fn mint() -> Result<CoordinationId, EngineError> {
        Ok(CoordinationId::new(uuid::Uuid::now_v7().to_string())?)
    }

    /// Starts a coordination under its chosen id for the operator: with the bytes that its items
    /// name, the values of its secrets, and the id of the command if it has one. The same start
    /// again finds it, and brings its secrets back after a restart.
    ///
    /// # Errors
    /// [`EngineError`] if it is refused.
    pub async fn start(
        &self,
        id: CoordinationId,
        config: CoordinationConfig,
        inputs: Vec<Vec<u8>>,
        secrets: BTreeMap<String, String>,
        command: Option<CommandId>,
    ) -> Result<Reply, EngineError> {
        let blobs = inputs.into_iter().map(Blob::new).collect();
        self.handle.start(id, config, blobs, operator(command), false, secrets).await
    }

    /// The coordinations, without nested ones, in which something runs or will without a command:
    /// what closing would interrupt.
    ///
    /// # Errors
    /// [`EngineError::Stopped`].
    pub async fn at_work(&self) -> Result<BTreeSet<CoordinationId>, EngineError> {
        self.handle.query(|world, now| world.at_work(now)).await
    }

    /// Carries out a command for the operator. With an id, repeating it while the coordination runs
    /// gives the same answer.
    ///
    /// # Errors
    /// [`EngineError`] if it is refused.
    pub async fn command(
        &self,
        command: Command,
        id: Option<CommandId>,
    ) -> Result<Reply, EngineError> {
        self.handle.command(command, id).await
    }

    /// Whether the mailbox has room now. Where it has none callers wait, and a door may send them
    /// away instead.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.handle.has_room()
    }

    /// Whether the engine takes commands in now.
    ///
    /// # Errors
    /// The error that every command would meet: [`EngineError::ReadOnly`],
    /// [`EngineError::Poisoned`] or [`EngineError::Stopped`].
    pub async fn health(&self) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.handle.send(Request::Health { reply }).await?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// Head rows: of one stream, or a listing with the newest stream first.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn heads(&self, query: HeadQuery) -> Result<Vec<HeadRow>, EngineError> {
        self.handle.read(move |store| store.heads(&query)).await
    }

    /// The events of a coordination after a version, at most `limit`.
    ///
    /// # Errors
    /// [`EngineError`] if the ledger cannot be read.
    pub async fn events(
        &self,
        id: &CoordinationId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, EngineError> {
        let stream = StreamName::Coordination(id.clone());
        self.handle.read(move |store| store.read_stream(&stream, after, limit)).await
    }

    /// The receipt of a coordination that has ended, with its evidence.
    ///
    /// # Errors
    /// [`ExportError`], or [`EngineError::Stopped`] in place of it if the runtime ends.
    pub async fn export(
        &self,
        id: &CoordinationId,
    ) -> Result<Result<Export, ExportError>, EngineError> {
        let (store, id) = (Arc::clone(self.handle.store()), id.clone());
        tokio::task::spawn_blocking(move || export(store.as_ref(), &id))
            .await
            .map_err(|_| EngineError::Stopped)
    }
}
