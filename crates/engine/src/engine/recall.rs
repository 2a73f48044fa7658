//! Adding work that may mean finished items which have left memory: their blobs are read before the command, off the decider.

use antiphon_core::coordination::{ControllerError, CoordinationReducer, Reducer as _, ReducerContext, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::id::{CoordinationId, StreamName, Version};
use antiphon_core::world::{Adder, Command, Origin, Rejection, Reply};

use super::EngineError;
use super::handle::{Handle, PAGE};
use crate::ledger::{ReadError, Store};

impl Handle {
    /// Adds work; repeats the command with what the decider says must be read first. That is rare, and each repeat knows more.
    pub(super) async fn add_work(
        &self,
        coordination: CoordinationId,
        items: Vec<WorkSpec>,
        by: Adder,
        origin: Origin,
    ) -> Result<Reply, EngineError> {
        let mut archives = Vec::new();
        loop {
            let (id, items, given) = (coordination.clone(), items.clone(), archives.clone());
            let command = Command::AddWork { coordination: id, items, by, archives: given, blobs: Vec::new() };
            match self.ask(command, origin.clone(), false).await {
                Err(EngineError::Rejected(Rejection::Recall { archives: missing })) => {
                    for digest in missing {
                        archives.push(self.archive(&coordination, digest).await?);
                    }
                }
                answer => return answer,
            }
        }
    }

    async fn archive(&self, coordination: &CoordinationId, digest: Digest) -> Result<Blob, EngineError> {
        let id = coordination.clone();
        let found = self.read(move |store| match store.blob(&digest)? {
            Some(bytes) => Ok(Some(Blob::new(bytes))),
            None => made_again(store, &id, digest),
        });
        let damaged = || ControllerError::ArchiveDamaged { archive: digest };
        Ok(found.await?.filter(|blob| blob.digest == digest).ok_or_else(damaged)?)
    }
}

/// An archive that is gone follows from the events.
fn made_again(store: &dyn Store, id: &CoordinationId, digest: Digest) -> Result<Option<Blob>, ReadError> {
    tracing::warn!(coordination = %id, archive = %digest, "finished items that left memory are not where they were put; replaying");
    let stream = StreamName::Coordination(id.clone());
    let (mut reducer, mut after) = (CoordinationReducer::new(), Version(0));
    loop {
        let page = store.read_stream(&stream, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(None) };
        after = last.version;
        for event in &page {
            if reducer.apply(event, &ReducerContext::replay(event.version.0)).is_err() {
                return Ok(None);
            }
            let made = reducer.state().get(id).map_or(&[][..], |session| session.archived());
            if let Some(blob) = made.iter().find(|blob| blob.digest == digest) {
                return Ok(Some(blob.clone()));
            }
        }
    }
}
