//! A prune as a caller asks for it: one look at the ledger, then erasures in portions.

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_core::world::EraseRequest;
use tokio::sync::oneshot;

use super::asker::operator;
use super::error::{EraseError, Unavailable};
use super::handle::Handle;
use super::request::Request;
use crate::prune::{PruneError, PruneRequest, Pruned, Survey};

/// Erasures that are asked for before the first of them is answered: they share appends, and what
/// others ask for comes between.
const AT_ONCE: usize = 64;

impl Handle {
    pub(crate) async fn prune(&self, request: PruneRequest) -> Result<Pruned, PruneError> {
        if !request.is_limited() {
            return Err(PruneError::Unlimited);
        }
        // What is named from here on stays, however long the look takes.
        let token = Arc::new(());
        let (reply, begun) = oneshot::channel();
        let begin = Request::BeginPrune { prune: Arc::downgrade(&token), reply };
        self.send(begin).await.map_err(EraseError::from)?;
        begun.await.map_err(|_| Unavailable::Stopped).flatten().map_err(EraseError::from)?;
        let look = self.read(move |store| Ok((Survey::of(store, &request)?, store.size()?)));
        let (survey, before) = look.await.map_err(EraseError::from)?;
        let pruned = survey.pruned();
        if pruned.runs.is_empty() {
            return Ok(pruned);
        }
        let mut waiting = VecDeque::new();
        for erasure in survey.into_erasures() {
            if waiting.len() == AT_ONCE {
                answered(waiting.pop_front()).await?;
            }
            waiting.push_back(self.ask_to_erase(erasure).await?);
        }
        while !waiting.is_empty() {
            answered(waiting.pop_front()).await?;
        }
        self.erased_is_gone().await?;
        let after = self.read(|store| store.size()).await.map_err(EraseError::from)?;
        Ok(Pruned { sizes: Some((before, after)), ..pruned })
    }

    async fn ask_to_erase(
        &self,
        request: EraseRequest,
    ) -> Result<oneshot::Receiver<Result<(), EraseError>>, EraseError> {
        let (reply, answer) = oneshot::channel();
        let asker = operator(None);
        self.send(Request::Erase { request, asker, spares: true, reply }).await?;
        Ok(answer)
    }
}

async fn answered(
    answer: Option<oneshot::Receiver<Result<(), EraseError>>>,
) -> Result<(), EraseError> {
    match answer {
        Some(answer) => answer.await.map_err(|_| Unavailable::Stopped)?,
        None => Ok(()),
    }
}
