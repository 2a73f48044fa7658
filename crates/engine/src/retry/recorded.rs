//! The plan of an earlier run as it is recorded. If that run was a retry, what it took over, and the
//! runs that its nested plans retried, are no part of the plan.

use std::collections::BTreeMap;

use antiphon_core::coordination::{Runner, WorkSpec};
use antiphon_core::digest::Digest;

use crate::plan::PlanSpec;

/// Takes items back to what their plan says, with the nested plans in them.
pub(super) struct RecordedPlan<'a> {
    blobs: &'a BTreeMap<Digest, Vec<u8>>,
    /// What each nested plan came to.
    plans: BTreeMap<Digest, Digest>,
    /// Nested plans that are not recorded so.
    new: Vec<Vec<u8>>,
}

impl<'a> RecordedPlan<'a> {
    pub(super) fn new(blobs: &'a BTreeMap<Digest, Vec<u8>>) -> Self {
        Self { blobs, plans: BTreeMap::new(), new: Vec::new() }
    }

    pub(super) fn items<'w>(
        &mut self,
        items: impl IntoIterator<Item = &'w WorkSpec>,
    ) -> Vec<WorkSpec> {
        items.into_iter().map(|item| self.item(item)).collect()
    }

    /// The nested plans that the items name now and that nobody has recorded.
    pub(super) fn into_blobs(self) -> Vec<Vec<u8>> {
        self.new
    }

    fn item(&mut self, item: &WorkSpec) -> WorkSpec {
        let item = item.clone().planned();
        match (&item.runner, item.input) {
            (Runner::Nested { .. }, Some(plan)) => item.with_input(self.plan(plan)),
            _ => item,
        }
    }

    fn plan(&mut self, digest: Digest) -> Digest {
        if let Some(known) = self.plans.get(&digest) {
            return *known;
        }
        let recorded = self.blobs.get(&digest);
        let Some(plan) = recorded.and_then(|bytes| PlanSpec::from_bytes(bytes).ok()) else {
            return digest;
        };
        let work = self.items(&plan.work);
        let planned = if plan.forerunner.is_none() && work == plan.work {
            digest
        } else {
            let bytes = plan.planned(work).to_bytes();
            let planned = Digest::of(&bytes);
            self.new.push(bytes);
            planned
        };
        self.plans.insert(digest, planned);
        planned
    }
}
