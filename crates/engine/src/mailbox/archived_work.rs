//! Adding work that may mean finished items which have left memory: their blobs are read before the
//! command, off the decider.

use std::sync::Arc;

use antiphon_core::coordination::{ArchiveDamaged, ArchivedWork, Coordination, Effect, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::id::{CoordinationId, Fence, SessionId, StreamName, Version};
use antiphon_core::replay::Replay;
use antiphon_core::world::{Ask, Asker, Rejection, Written, commands};

use super::error::{AskError, SubmitError};
use super::handle::Handle;
use crate::ledger::{Events, ReadError, Store};

impl Handle {
    /// Adds work for the operator.
    pub(crate) async fn add_work(
        &self,
        coordination: CoordinationId,
        items: Vec<WorkSpec>,
        inputs: Vec<Blob>,
        asker: Asker,
    ) -> Result<Version, SubmitError> {
        let id = asker.id.clone();
        let command = |archived| commands::AddWork {
            coordination: coordination.clone(),
            items: items.clone(),
            archived,
            blobs: inputs.clone(),
        };
        self.require_inputs(&items, &inputs).await?;
        match self.ask_for_work(command, &coordination, &items, asker).await {
            Err(SubmitError::Rejected(rejection)) => {
                let effects = effects_of(&command(Vec::new()));
                self.accepted_before(&coordination, id, effects, rejection).await
            }
            answer => answer.map(|done| done.version),
        }
    }

    /// Adds work for a session.
    pub(crate) async fn add_session_work(
        &self,
        session: &SessionId,
        fence: Option<Fence>,
        items: Vec<WorkSpec>,
        inputs: Vec<Blob>,
        asker: Asker,
    ) -> Result<Written, SubmitError> {
        let command = |archived| commands::AddSessionWork {
            session: session.clone(),
            fence,
            items: items.clone(),
            archived,
            blobs: inputs.clone(),
        };
        self.require_inputs(&items, &inputs).await?;
        self.ask_for_work(command, &session.coordination, &items, asker).await
    }

    /// Repeats a command with what the decider says must be read first. That is rare, and each
    /// repeat knows more.
    async fn ask_for_work<C>(
        &self,
        command: impl Fn(Vec<ArchivedWork>) -> C,
        coordination: &CoordinationId,
        items: &[WorkSpec],
        asker: Asker,
    ) -> Result<C::Reply, SubmitError>
    where
        C: Ask<Reply: Send> + Send + 'static,
    {
        let mut archived: Vec<ArchivedWork> = Vec::new();
        loop {
            match self.ask(command(archived.clone()), asker.clone()).await {
                Err(AskError::Rejected(Rejection::ArchivesNeeded { archives })) => {
                    let items = Arc::new(items.to_vec());
                    for archive in archives {
                        archived.push(
                            self.read_archive(coordination, archive, Arc::clone(&items)).await?,
                        );
                    }
                }
                answer => return Ok(answer?),
            }
        }
    }

    async fn read_archive(
        &self,
        coordination: &CoordinationId,
        archive: Digest,
        items: Arc<Vec<WorkSpec>>,
    ) -> Result<ArchivedWork, SubmitError> {
        let id = coordination.clone();
        let read = self.read(move |store| {
            let there = match store.blob(&archive) {
                Err(ReadError::Damaged { .. }) => None,
                there => there?,
            };
            let read = there.map(|bytes| ArchivedWork::read(archive, &bytes, &items));
            if let Some(Ok(archived)) = read {
                return Ok(Ok(archived));
            }
            let again = made_again(store, &id, archive)?;
            let damaged = Err(ArchiveDamaged { archive });
            Ok(again.map_or(damaged, |blob| ArchivedWork::read(archive, &blob.bytes, &items)))
        });
        Ok(read.await?.map_err(Rejection::from)?)
    }
}

/// What the first event of a command may tell of it.
fn effects_of(command: &impl Ask) -> Vec<Effect> {
    command.effects()
}

/// An archive that is gone or damaged follows from the events.
fn made_again(
    store: &dyn Store,
    id: &CoordinationId,
    digest: Digest,
) -> Result<Option<Blob>, ReadError> {
    tracing::warn!(run = %id, archive = %digest, "finished items that left memory are not where they were put; replaying");
    let stream = StreamName::Coordination(id.clone());
    let mut replay = Replay::<Coordination>::of(stream.clone());
    for event in Events::after(store, stream, Version(0)) {
        if replay.take(&event?).is_err() {
            return Ok(None);
        }
        let made = replay.state().map_or(&[][..], |state| state.archived());
        if let Some(blob) = made.iter().find(|blob| blob.digest == digest) {
            return Ok(Some(blob.clone()));
        }
    }
    Ok(None)
}
