//! The run that another one retries: it has ended, and what is taken over of it is in the ledger.

use std::collections::BTreeMap;

use antiphon_core::coordination::{CoordinationConfig, Forerunner};
use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, SessionId, StreamName, Version, WorkId};

use super::error::{QueryError, SubmitError};
use super::handle::Handle;
use super::status::head_of;
use crate::ledger::{Events, Store};
use crate::output_files::OutputFiles;
use crate::retry::{EarlierRun, Record};

impl Handle {
    /// A run as one that can be retried; `None` as long as it has not ended.
    pub(crate) async fn forerunner(
        &self,
        id: &CoordinationId,
    ) -> Result<Option<Forerunner>, QueryError> {
        let id = id.clone();
        self.read(move |store| Ok(forerunner(store, &id))).await?
    }

    /// What is recorded of a run and of those that carried out its nested plans; `None` as long as
    /// it has not ended.
    pub(crate) async fn earlier(
        &self,
        id: &CoordinationId,
    ) -> Result<Option<EarlierRun>, QueryError> {
        let id = id.clone();
        self.read(move |store| Ok(earlier(store, &id))).await?
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

/// Runs are nested only so deep, so this ends.
fn earlier(store: &dyn Store, id: &CoordinationId) -> Result<Option<EarlierRun>, QueryError> {
    let Some(forerunner) = forerunner(store, id)? else { return Ok(None) };
    let mut record = Record::default();
    for event in Events::after(store, StreamName::Coordination(id.clone()), Version(0)) {
        if let Ok(event) = CoordinationEvent::of(&event?) {
            record.take(event);
        }
    }
    let (mut items, sessions) = record.into_parts();
    for item in &mut items {
        let Some(digest) = item.files else { continue };
        let left = store.blob(&digest)?.and_then(|bytes| OutputFiles::from_bytes(&bytes).ok());
        item.left = left.map(|files| files.unchanged()).unwrap_or_default();
    }
    let mut below = BTreeMap::new();
    for (work, number) in sessions {
        let session = SessionId { coordination: id.clone(), number }.to_string();
        let Ok(child) = session.parse() else { continue };
        match earlier(store, &child) {
            Ok(Some(run)) => drop(below.insert(work, run)),
            Ok(None) | Err(QueryError::UnknownRun { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(EarlierRun { forerunner, items, below }))
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
