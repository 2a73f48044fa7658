//! The run that another one retries: it has ended, and what is taken over of it is in the ledger.

use antiphon_core::coordination::{CoordinationConfig, Forerunner};
use antiphon_core::digest::Digest;
use antiphon_core::id::{CoordinationId, WorkId};

use super::error::{QueryError, SubmitError};
use super::handle::Handle;
use super::status::head_of;
use crate::ledger::Store;

impl Handle {
    /// A run as one that can be retried; `None` as long as it has not ended.
    pub(crate) async fn forerunner(
        &self,
        id: &CoordinationId,
    ) -> Result<Option<Forerunner>, QueryError> {
        let id = id.clone();
        self.read(move |store| Ok(forerunner(store, &id))).await?
    }

    /// Refuses a retry of a run that has not ended or is another one, and items whose output is
    /// gone.
    pub(super) async fn require_forerunner(
        &self,
        config: &CoordinationConfig,
    ) -> Result<(), SubmitError> {
        let Some(named) = config.forerunner() else { return Ok(()) };
        let run = named.coordination.clone();
        match self.forerunner(&run).await {
            Ok(Some(found)) if found == *named => {}
            Ok(_) | Err(QueryError::UnknownRun { .. }) => {
                return Err(SubmitError::NoForerunner { run });
            }
            Err(QueryError::HeadRow { run, reason }) => {
                return Err(SubmitError::HeadRow { run, reason });
            }
            Err(QueryError::Unavailable(unavailable)) => return Err(unavailable.into()),
        }
        let reused = config.work().iter().filter_map(|item| {
            let output = item.reused.as_ref()?.output?;
            Some((item.id.clone(), output))
        });
        let reused: Vec<(WorkId, Digest)> = reused.collect();
        let missing = self.read(move |store| {
            for (work, output) in reused {
                if store.blob(&output)?.is_none() {
                    return Ok(Some(SubmitError::OutputMissing { work, output }));
                }
            }
            Ok(None)
        });
        missing.await?.map_or(Ok(()), Err)
    }
}

fn forerunner(store: &dyn Store, id: &CoordinationId) -> Result<Option<Forerunner>, QueryError> {
    let head = head_of(store, id)?.ok_or_else(|| QueryError::UnknownRun { run: id.clone() })?;
    let unreadable = |reason: String| QueryError::HeadRow { run: id.clone(), reason };
    let summary = head.run_summary().map_err(|error| unreadable(error.to_string()))?;
    Ok(summary.receipt.filter(|_| head.ended).map(|receipt| Forerunner {
        coordination: id.clone(),
        receipt,
        version: head.tip.version,
        hash: head.tip.hash,
    }))
}
