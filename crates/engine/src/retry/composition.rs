//! The work of a retry, put together: what is taken over is marked so, and nested plans that are
//! carried out again are retries of their earlier runs, to any depth.

use std::collections::BTreeMap;

use antiphon_core::coordination::{Reused, Runner, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::id::WorkId;

use super::change::Change;
use super::matching::matched;
use super::{Asked, Decision, EarlierRun, Reason, Retry};
use crate::plan::PlanSpec;

/// What a retry is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The items, in the order of the plan.
    pub work: Vec<WorkSpec>,
    /// What was decided of each.
    pub decisions: Vec<Decision>,
    /// Nested plans as the items name them now, besides those that the plan brings.
    pub blobs: Vec<Vec<u8>>,
    /// What was decided inside of nested plans that are gone into.
    pub below: BTreeMap<WorkId, Self>,
}

impl Retry<'_, '_> {
    /// Decides, and puts the work together.
    #[must_use]
    pub fn compose(&self) -> Composed {
        let decisions = self.decide();
        let matched = matched(&self.earlier.items, self.work);
        let mut composed = Composed {
            work: Vec::with_capacity(self.work.len()),
            decisions: Vec::new(),
            blobs: Vec::new(),
            below: BTreeMap::new(),
        };
        for ((item, decision), before) in self.work.iter().zip(&decisions).zip(matched) {
            let item = item.clone();
            let item = match decision {
                Decision::TakeOver { work, output, changed } => {
                    // The record says what was carried out, so that a later retry finds the change.
                    let item = match before.filter(|_| changed.is_some()) {
                        Some(before) => item.described_as(&before.spec),
                        None => item,
                    };
                    let from = self.earlier.forerunner.coordination.clone();
                    let work = Some(work.clone()).filter(|work| *work != item.id);
                    let files = before.and_then(|before| before.files);
                    let session = before.and_then(|before| before.session.clone());
                    item.reused(Reused { from, work, output: *output, files, session })
                }
                Decision::Run(reason) => {
                    let item = item.again(reason.to_string());
                    let below = before.and_then(|before| self.earlier.below.get(&before.spec.id));
                    match below.filter(|_| reason.is_within()) {
                        Some(below) => self.below(item, below, &mut composed),
                        None => item,
                    }
                }
            };
            composed.work.push(item);
        }
        composed.decisions = decisions;
        composed
    }

    /// An item whose nested plan is carried out again, as a retry of the run that did it before.
    fn below(&self, item: WorkSpec, earlier: &EarlierRun, composed: &mut Composed) -> WorkSpec {
        let plan = item.input.filter(|_| matches!(item.runner, Runner::Nested { .. }));
        let plan = plan.and_then(|plan| PlanSpec::from_bytes((self.blob)(&plan)?).ok());
        let Some(plan) = plan else { return item };
        let nothing = Asked::default();
        let asked = self.asked.below.get(&item.id).unwrap_or(&nothing);
        let inner = Retry { earlier, work: &plan.work, asked, ..*self };
        let mut inner = inner.compose();
        composed.blobs.append(&mut inner.blobs);
        let bytes = plan.retrying(earlier.forerunner.clone(), inner.work.clone()).to_bytes();
        let item = item.with_input(Digest::of(&bytes));
        composed.blobs.push(bytes);
        composed.below.insert(item.id.clone(), inner);
        item
    }
}

impl Reason {
    /// Whether it lies in what an item's plan does. An item that runs again for what it needs, or
    /// that is asked for as a whole, does all of it again.
    fn is_within(&self) -> bool {
        matches!(self, Self::NotSucceeded(_) | Self::AskedBelow | Self::Changed(Change::Nested(_)))
    }
}
