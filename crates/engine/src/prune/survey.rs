//! One look at the whole ledger: what the runs that may go are made of, and what stays names.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use antiphon_core::coordination::{Runner, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, Seq, StreamName, Version};

use super::runs::Runs;
use super::{PruneRequest, Pruned};
use crate::clock;
use crate::ledger::{AllEvents, ReadError, Store};
use crate::plan::PlanSpec;

/// What can go now, run by run.
#[derive(Debug, Default)]
pub struct Survey {
    pub(super) runs: Vec<Tree>,
    needed: Vec<CoordinationId>,
    left: u64,
    /// Bytes of all that goes.
    bytes: u64,
}

/// Most runs that go at a time, so that a prune ends within a bounded time.
const MAX_RUNS: usize = 10_000;

/// What one run that somebody started is made of, with the runs nested in it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) id: Option<CoordinationId>,
    /// The payloads that are there, by stream.
    pub(super) payloads: BTreeMap<CoordinationId, Vec<Version>>,
    pub(super) blobs: BTreeSet<Digest>,
    /// Bytes of the payloads.
    bytes: u64,
    /// The runs that its events name.
    named: BTreeSet<CoordinationId>,
}

/// What is named by what stays.
#[derive(Debug, Default)]
struct Kept {
    blobs: HashSet<Digest>,
    runs: BTreeSet<CoordinationId>,
}

impl Survey {
    /// Looks at a ledger, which takes time in proportion to its events.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read, or is damaged.
    pub fn of(store: &dyn Store, request: &PruneRequest) -> Result<Self, ReadError> {
        let runs = Runs::of(store, request, clock::wall())?;
        if runs.eligible.is_empty() {
            return Ok(Self::default());
        }
        let mut plans = NestedPlans { store, known: HashMap::new() };
        let mut trees: Vec<Option<Tree>> = runs
            .eligible
            .iter()
            .map(|id| Some(Tree { id: Some(id.clone()), ..Tree::default() }))
            .collect();
        let mut kept = Kept::default();
        for placed in AllEvents::after(store, Seq(0)) {
            let event = placed?.event;
            let StreamName::Coordination(id) = &event.stream else { continue };
            // What was erased names nothing any more.
            let Ok(decoded) = CoordinationEvent::of(&event) else { continue };
            let mut blobs = decoded.blobs();
            if let CoordinationEvent::WorkAdded(added) = &decoded {
                plans.add_inputs(&added.items, &mut blobs)?;
            }
            let named = decoded.runs().into_iter().cloned();
            let place = runs.place.get(id);
            match place.and_then(|at| trees[*at].as_mut()) {
                Some(tree) => {
                    tree.named.extend(named);
                    // What makes a head row what it is stays, and the end with its receipt.
                    if event.version == Version(1) || decoded.is_terminal() {
                        kept.blobs.extend(blobs);
                    } else {
                        tree.payloads.entry(id.clone()).or_default().push(event.version);
                        tree.bytes += event.payload.bytes().map_or(0, <[u8]>::len) as u64;
                        tree.blobs.extend(blobs);
                    }
                }
                None => {
                    kept.runs.extend(named);
                    kept.blobs.extend(blobs);
                }
            }
        }
        let needed = match request.forerunners {
            true => Vec::new(),
            false => spare(&mut trees, &mut kept, &runs),
        };
        let mut going: Vec<Tree> = trees.into_iter().flatten().collect();
        going.retain(|tree| !tree.payloads.is_empty());
        assign(&mut going, &kept);
        let left = going.len().saturating_sub(MAX_RUNS) as u64;
        going.truncate(MAX_RUNS);
        let mut bytes = going.iter().map(|tree| tree.bytes).sum();
        for blob in going.iter().flat_map(|tree| &tree.blobs) {
            bytes += store.blob_size(blob)?.unwrap_or(0);
        }
        Ok(Self { runs: going, needed, left, bytes })
    }

    /// What would go.
    #[must_use]
    pub fn pruned(&self) -> Pruned {
        let nested = self.runs.iter().map(|tree| {
            tree.payloads.keys().filter(|id| Some(*id) != tree.id.as_ref()).count() as u64
        });
        let payloads = self.runs.iter().flat_map(|tree| tree.payloads.values());
        Pruned {
            runs: self.runs.iter().filter_map(|tree| tree.id.clone()).collect(),
            nested: nested.sum(),
            payloads: payloads.map(|versions| versions.len() as u64).sum(),
            blobs: self.runs.iter().map(|tree| tree.blobs.len() as u64).sum(),
            bytes: self.bytes,
            needed: self.needed.clone(),
            left: self.left,
            sizes: None,
        }
    }
}

/// Takes out the runs that others which stay have taken over from, again and again, as these stay
/// then too. Gives those of which anything is left to be erased.
fn spare(trees: &mut [Option<Tree>], kept: &mut Kept, runs: &Runs) -> Vec<CoordinationId> {
    let mut needed = BTreeSet::new();
    let mut to_see: Vec<CoordinationId> = kept.runs.iter().cloned().collect();
    while let Some(id) = to_see.pop() {
        let Some(at) = runs.place.get(&id) else { continue };
        let Some(tree) = trees[*at].take() else { continue };
        kept.blobs.extend(tree.blobs);
        to_see.extend(tree.named);
        if !tree.payloads.is_empty() {
            needed.insert(*at);
        }
    }
    needed.into_iter().map(|at| runs.eligible[at].clone()).collect()
}

/// Leaves each blob with the last run that names it, as runs go one after the other and may be cut
/// off in between; what stays keeps its own.
fn assign(going: &mut [Tree], kept: &Kept) {
    let mut taken = HashSet::new();
    for tree in going.iter_mut().rev() {
        tree.blobs.retain(|blob| !kept.blobs.contains(blob) && taken.insert(*blob));
    }
}

/// Nested plans, which name the inputs of runs that may not have begun.
struct NestedPlans<'a> {
    store: &'a dyn Store,
    /// What each names, at any depth.
    known: HashMap<Digest, Vec<Digest>>,
}

impl NestedPlans<'_> {
    /// Adds what the plans name that items carry out.
    fn add_inputs(&mut self, items: &[WorkSpec], blobs: &mut Vec<Digest>) -> Result<(), ReadError> {
        for item in items {
            let (Some(input), Runner::Nested { .. }) = (item.input, &item.runner) else { continue };
            if !self.known.contains_key(&input) {
                let below = self.below(input)?;
                self.known.insert(input, below);
            }
            blobs.extend(self.known.get(&input).into_iter().flatten());
        }
        Ok(())
    }

    fn below(&mut self, plan: Digest) -> Result<Vec<Digest>, ReadError> {
        // One that was erased, or is none, starts no run.
        let bytes = self.store.blob(&plan)?;
        let Some(plan) = bytes.and_then(|bytes| PlanSpec::from_bytes(&bytes).ok()) else {
            return Ok(Vec::new());
        };
        let mut blobs: Vec<Digest> = plan.work.iter().flat_map(WorkSpec::blobs).collect();
        self.add_inputs(&plan.work, &mut blobs)?;
        Ok(blobs)
    }
}
