//! The run that another one retries: it has ended, and what is taken over of it is in the ledger.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::{CoordinationConfig, Forerunner};
use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, Started};
use antiphon_core::id::{CoordinationId, SessionId, StreamName, Version, WorkId};

use super::error::{QueryError, SubmitError};
use super::handle::Handle;
use super::status::head_of;
use crate::ledger::{Events, ReadError, Store};
use crate::output_files::OutputFiles;
use crate::retry::{Below, EarlierRun, Record, Retried};

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
        let read = self.read(move |store| Ok(ended(store, &id))).await??;
        Ok(read.map(|(run, _)| run))
    }

    /// The same with everything else that a retry is decided from.
    pub(crate) async fn retried(&self, id: &CoordinationId) -> Result<Option<Retried>, QueryError> {
        let id = id.clone();
        self.read(move |store| Ok(retried(store, &id))).await?
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
            Ok(_) | Err(QueryError::UnknownRun { .. } | QueryError::Erased { .. }) => {
                return Err(SubmitError::NoForerunner { run });
            }
            Err(QueryError::HeadRow { run, reason } | QueryError::Events { run, reason }) => {
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

/// A run that has ended, with how it was started, unless that was erased.
type Ended = (EarlierRun, Option<Started>);

/// Reads the records of runs, each once.
struct Records<'a> {
    store: &'a dyn Store,
    read: BTreeMap<CoordinationId, Record>,
}

impl Records<'_> {
    fn of(&mut self, id: &CoordinationId) -> Result<&mut Record, ReadError> {
        match self.read.entry(id.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(free) => {
                let mut record = Record::of(id.clone());
                let stream = StreamName::Coordination(id.clone());
                for event in Events::after(self.store, stream, Version(0)) {
                    if let Ok(event) = CoordinationEvent::of(&event?) {
                        record.take(event);
                    }
                }
                Ok(free.insert(record))
            }
        }
    }

    /// The run that carried out an item's nested plan, in one run after the other from which the
    /// item was taken over.
    fn below(
        &mut self,
        run: &CoordinationId,
        work: &WorkId,
    ) -> Result<Option<CoordinationId>, ReadError> {
        let (mut run, mut work, mut seen) = (run.clone(), work.clone(), BTreeSet::new());
        // No run comes twice in what the engine writes.
        while seen.insert(run.clone()) {
            match self.of(&run)?.below(&work) {
                Some(Below::Session(number)) => {
                    let session = SessionId { coordination: run, number };
                    return Ok(session.nested_coordination().ok());
                }
                Some(Below::TakenOver(reused)) => {
                    work = reused.work.unwrap_or(work);
                    run = reused.from;
                }
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Runs are nested only so deep, so this ends.
    fn ended(&mut self, id: &CoordinationId) -> Result<Option<Ended>, QueryError> {
        let Some(forerunner) = forerunner(self.store, id)? else { return Ok(None) };
        let nested: Vec<WorkId> = self.of(id)?.nested().cloned().collect();
        let mut below = BTreeMap::new();
        for work in nested {
            let Some(child) = self.below(id, &work)? else { continue };
            match self.ended(&child) {
                Ok(Some((run, _))) => drop(below.insert(work, run)),
                Ok(None) | Err(QueryError::UnknownRun { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut record = self.read.remove(id).unwrap_or_else(|| Record::of(id.clone()));
        let started = record.started();
        let mut items = record.into_items();
        for item in &mut items {
            let Some(digest) = item.files else { continue };
            let files = self.store.blob(&digest)?;
            let left = files.and_then(|bytes| OutputFiles::from_bytes(&bytes).ok());
            item.left = left.map(|files| files.now()).unwrap_or_default();
        }
        Ok(Some((EarlierRun { forerunner, items, below }, started)))
    }
}

fn ended(store: &dyn Store, id: &CoordinationId) -> Result<Option<Ended>, QueryError> {
    Records { store, read: BTreeMap::new() }.ended(id)
}

fn retried(store: &dyn Store, id: &CoordinationId) -> Result<Option<Retried>, QueryError> {
    let Some((run, started)) = ended(store, id)? else { return Ok(None) };
    let is_whole = |started: &Started| run.items.len() >= started.items as usize;
    let started = started.filter(is_whole);
    let started = started.ok_or_else(|| QueryError::Erased { run: id.clone() })?;
    Ok(Some(Retried::read(run, started, |digest| store.blob(digest))?))
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
