//! Adding work that may mean finished items which have left memory: their blobs are read before the
//! command, off the decider.

use std::sync::Arc;

use antiphon_core::coordination::{
    ControllerError, CoordinationReducer, Recalled, Reducer as _, ReducerContext, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::id::{CoordinationId, StreamName, Version};
use antiphon_core::world::{Adder, Command, Origin, Rejection, Reply};

use super::error::EngineError;
use super::handle::{Handle, PAGE, version};
use crate::ledger::{ReadError, Store};

impl Handle {
    /// Adds work for the operator.
    pub(crate) async fn add_work(
        &self,
        coordination: CoordinationId,
        items: Vec<WorkSpec>,
        inputs: Vec<Blob>,
        origin: Origin,
    ) -> Result<Version, EngineError> {
        self.ask_for_work(coordination, items, inputs, Adder::Operator, origin).await.map(version)
    }

    /// Adds work; repeats the command with what the decider says must be read first. That is rare,
    /// and each repeat knows more.
    pub(super) async fn ask_for_work(
        &self,
        coordination: CoordinationId,
        items: Vec<WorkSpec>,
        inputs: Vec<Blob>,
        by: Adder,
        origin: Origin,
    ) -> Result<Reply, EngineError> {
        self.require_inputs(&items, &inputs).await?;
        let mut recalled: Vec<Recalled> = Vec::new();
        loop {
            let (id, items, given) = (coordination.clone(), items.clone(), recalled.clone());
            let command = Command::AddWork {
                coordination: id,
                items: items.clone(),
                by,
                recalled: given,
                blobs: inputs.clone(),
            };
            match self.ask(command, origin.clone(), false).await {
                Err(EngineError::Rejected(Rejection::Recall { archives })) => {
                    let items = Arc::new(items);
                    for archive in archives {
                        recalled
                            .push(self.recalled(&coordination, archive, Arc::clone(&items)).await?);
                    }
                }
                answer => return answer,
            }
        }
    }

    async fn recalled(
        &self,
        coordination: &CoordinationId,
        archive: Digest,
        items: Arc<Vec<WorkSpec>>,
    ) -> Result<Recalled, EngineError> {
        let id = coordination.clone();
        let read = self.read(move |store| {
            let there = match store.blob(&archive) {
                Err(ReadError::Damaged { .. }) => None,
                there => there?,
            };
            let read = there.map(|bytes| Recalled::read(archive, &bytes, &items));
            if let Some(Ok(recalled)) = read {
                return Ok(Ok(recalled));
            }
            let again = made_again(store, &id, archive)?;
            let damaged = Err(ControllerError::ArchiveDamaged { archive });
            Ok(again.map_or(damaged, |blob| Recalled::read(archive, &blob.bytes, &items)))
        });
        Ok(read.await??)
    }
}

/// An archive that is gone or damaged follows from the events.
fn made_again(
    store: &dyn Store,
    id: &CoordinationId,
    digest: Digest,
) -> Result<Option<Blob>, ReadError> {
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
