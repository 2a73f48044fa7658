//! Everything that a retry is decided from, read once.

use std::collections::BTreeMap;

use antiphon_core::coordination::{Runner, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::event::Started;

use super::EarlierRun;
use crate::plan::{Origin, PlanSpec};

/// A run that has ended, with how it was started and the descriptions of its items.
#[derive(Debug, Clone)]
pub struct Retried {
    pub(super) run: EarlierRun,
    pub(super) started: Started,
    /// Where it was started from, as far as that can be read.
    pub(super) origin: Option<Origin>,
    /// The descriptions of commands, and nested plans, of the run and of those below it.
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Retried {
    /// Reads the descriptions of what a run did. One that is gone is left out: what it described
    /// counts as changed.
    pub(crate) fn read<E>(
        run: EarlierRun,
        started: Started,
        mut fetch: impl FnMut(&Digest) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let origin = started.origin.map(|origin| fetch(&origin)).transpose()?.flatten();
        let origin = origin.and_then(|bytes| Origin::from_bytes(&bytes).ok());
        let mut descriptions = Descriptions { blobs: BTreeMap::new(), fetch };
        descriptions.of_run(&run)?;
        Ok(Self { run, started, origin, blobs: descriptions.blobs })
    }

    /// What became of it.
    #[must_use]
    pub fn run(&self) -> &EarlierRun {
        &self.run
    }
}

struct Descriptions<F> {
    blobs: BTreeMap<Digest, Vec<u8>>,
    fetch: F,
}

impl<E, F: FnMut(&Digest) -> Result<Option<Vec<u8>>, E>> Descriptions<F> {
    fn of_run(&mut self, run: &EarlierRun) -> Result<(), E> {
        self.of_items(run.items.iter().map(|item| &item.spec))?;
        run.below.values().try_for_each(|below| self.of_run(below))
    }

    /// Inputs of functions are no descriptions, and may be large.
    fn of_items<'w>(&mut self, items: impl Iterator<Item = &'w WorkSpec>) -> Result<(), E> {
        for item in items {
            let is_nested = matches!(item.runner, Runner::Nested { .. });
            let is_described = is_nested || matches!(item.runner, Runner::Process { .. });
            for digest in item.inputs().filter(|_| is_described) {
                if self.blobs.contains_key(&digest) {
                    continue;
                }
                let Some(bytes) = (self.fetch)(&digest)? else { continue };
                let plan = is_nested.then(|| PlanSpec::from_bytes(&bytes).ok()).flatten();
                self.blobs.insert(digest, bytes);
                if let Some(plan) = plan {
                    self.of_items(plan.work.iter())?;
                }
            }
        }
        Ok(())
    }
}
