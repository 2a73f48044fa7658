//! The runs of a ledger as pruning sees them: those that somebody started and may go, and the
//! nested ones that go with them.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::id::{CoordinationId, StreamName};
use antiphon_core::time::WallTime;

use super::PruneRequest;
use crate::ledger::{HeadFilter, HeadQuery, ReadError, Store};
use crate::signals::UNDECLARED;

/// The runs that may go, as their head rows tell, and what they are made of.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Oldest first.
    pub(super) eligible: Vec<CoordinationId>,
    /// The place in `eligible` of the outermost run, of each run that is in one of these.
    pub(super) place: BTreeMap<CoordinationId, usize>,
}

impl Runs {
    pub(super) fn of(
        store: &dyn Store,
        request: &PruneRequest,
        now: WallTime,
    ) -> Result<Self, ReadError> {
        if !request.is_limited() {
            return Ok(Self::default());
        }
        let age = request.older_than.unwrap_or_default().as_nanos();
        let before = now.0.saturating_sub(u64::try_from(age).unwrap_or(u64::MAX));
        let filter =
            HeadFilter { prefix: StreamName::COORDINATIONS.to_owned(), ..HeadFilter::default() };
        let mut parents = BTreeMap::new();
        let (mut started, mut stays) = (Vec::new(), BTreeSet::new());
        // The newest first.
        for head in store.heads(&HeadQuery::List(filter))? {
            let StreamName::Coordination(id) = &head.stream else { continue };
            let Ok(summary) = head.run_summary() else {
                stays.insert(id.clone());
                continue;
            };
            if !head.ended {
                stays.insert(id.clone());
            }
            match summary.parent {
                Some(parent) => drop(parents.insert(id.clone(), parent.coordination)),
                None if !head.ended || id.is_shared() => {}
                None if summary.labels.contains_key(UNDECLARED) => {}
                None => started.push((id.clone(), head.changed.1)),
            }
        }
        let outermost = |id: &CoordinationId| {
            let mut id = id;
            while let Some(parent) = parents.get(id) {
                id = parent;
            }
            id.clone()
        };
        // What is unfinished keeps what it is nested in.
        let stays: BTreeSet<CoordinationId> = stays.iter().map(outermost).collect();
        let old = started.into_iter().skip(request.keep.unwrap_or(0));
        let mut eligible: Vec<CoordinationId> = old
            .filter(|(id, ended)| ended.0 <= before && !stays.contains(id))
            .map(|(id, _)| id)
            .collect();
        eligible.reverse();
        let mut place: BTreeMap<CoordinationId, usize> =
            eligible.iter().enumerate().map(|(at, id)| (id.clone(), at)).collect();
        for id in parents.keys() {
            if let Some(at) = place.get(&outermost(id)).copied() {
                place.insert(id.clone(), at);
            }
        }
        Ok(Self { eligible, place })
    }
}
