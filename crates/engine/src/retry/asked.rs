//! What is to run again by name: an item, a cell, a group, a whole matrix, or an item of a nested
//! plan behind the one that runs it and a slash.

use antiphon_core::coordination::WorkSpec;
use antiphon_core::digest::Digest;

use super::Asked;
use super::matching::matrix_of;
use crate::plan::PlanSpec;

/// How alike names are (from 0 to 1) of which one may have been meant by the other.
const ALIKE: f64 = 0.8;

/// Names that are offered instead of one that is not there.
const OFFERED: usize = 3;

/// Longest name that may be a misspelling of another one, in bytes.
const MISSPELT: usize = 256;

impl Asked {
    /// Adds what a name stands for among these items. Gives whether there is anything.
    #[must_use]
    pub fn add<'b>(
        &mut self,
        name: &str,
        work: &[WorkSpec],
        blob: &dyn Fn(&Digest) -> Option<&'b [u8]>,
    ) -> bool {
        if let Some(item) = work.iter().find(|item| item.id == *name) {
            self.items.insert(item.id.clone());
            return true;
        }
        let is_member = |item: &&WorkSpec| {
            item.group.as_ref().is_some_and(|group| group.as_str() == name)
                || matrix_of(&item.id) == Some(name)
        };
        let before = self.items.len();
        self.items.extend(work.iter().filter(is_member).map(|item| item.id.clone()));
        self.items.len() > before || work.iter().any(|item| is_member(&item)) || {
            let slashes = name.match_indices('/').map(|(at, _)| at);
            slashes.into_iter().any(|at| self.add_below(&name[..at], &name[at + 1..], work, blob))
        }
    }

    fn add_below<'b>(
        &mut self,
        parent: &str,
        name: &str,
        work: &[WorkSpec],
        blob: &dyn Fn(&Digest) -> Option<&'b [u8]>,
    ) -> bool {
        let Some(parent) = work.iter().find(|item| item.id == *parent) else { return false };
        let plan = parent.input.filter(|_| parent.runner.is_plan());
        let plan = plan.and_then(|plan| PlanSpec::from_bytes(blob(&plan)?).ok());
        let mut inside = self.below.get(&parent.id).cloned().unwrap_or_default();
        let found = plan.is_some_and(|plan| inside.add(name, &plan.work, blob));
        if found {
            self.below.insert(parent.id.clone(), inside);
        }
        found
    }
}

/// The names of items and groups that may have been meant, the likeliest first.
pub(super) fn alike(name: &str, work: &[WorkSpec]) -> Vec<String> {
    if name.len() > MISSPELT {
        return Vec::new();
    }
    let names = work.iter().flat_map(|item| {
        let group = item.group.as_ref().map(antiphon_core::id::GroupName::as_str);
        [Some(item.id.as_str()), group].into_iter().flatten()
    });
    let likeness = |other: &str| {
        let begins = other.starts_with(name);
        if begins { 1.0 } else { strsim::jaro_winkler(name, other) }
    };
    let mut alike: Vec<(f64, &str)> = names.map(|other| (likeness(other), other)).collect();
    alike.retain(|(likeness, _)| *likeness >= ALIKE);
    alike.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    alike.dedup();
    alike.into_iter().take(OFFERED).map(|(_, other)| other.to_owned()).collect()
}
