//! What is to run again by name: an item, a cell, a group, a whole matrix, or an item of a nested
//! plan behind the one that runs it and a slash.

use std::collections::BTreeSet;

use antiphon_core::coordination::WorkSpec;
use antiphon_core::digest::Digest;
use antiphon_core::id::GroupName;

use super::Asked;
use super::matching::matrix_of;
use crate::plan::PlanSpec;

/// How alike names are (from 0 to 1) of which one may have been meant by the other.
const ALIKE: f64 = 0.8;

/// Names that are offered instead of one that is not there.
const OFFERED: usize = 3;

/// Longest name that may be a misspelling of another one, in bytes.
const MISSPELT: usize = 256;

/// Descriptions by their digests.
type Blobs<'a, 'b> = &'a dyn Fn(&Digest) -> Option<&'b [u8]>;

impl Asked {
    /// Adds what a name, or the beginning of one only, stands for among these items. Gives whether
    /// there is anything.
    #[must_use]
    pub fn add<'b>(&mut self, name: &str, work: &[WorkSpec], blob: Blobs<'_, 'b>) -> bool {
        if self.add_exact(name, work) {
            return true;
        }
        let mut slashes = name.match_indices('/').map(|(at, _)| at);
        if slashes.any(|at| self.add_below(&name[..at], &name[at + 1..], work, blob)) {
            return true;
        }
        begun(name, work).is_some_and(|whole| self.add_exact(whole, work))
    }

    fn add_exact(&mut self, name: &str, work: &[WorkSpec]) -> bool {
        if let Some(item) = work.iter().find(|item| item.id == *name) {
            self.items.insert(item.id.clone());
            return true;
        }
        let mut members =
            work.iter().filter(|item| groups_of(item).any(|of| of == name)).peekable();
        let is_any = members.peek().is_some();
        self.items.extend(members.map(|item| item.id.clone()));
        is_any
    }

    fn add_below<'b>(
        &mut self,
        parent: &str,
        name: &str,
        work: &[WorkSpec],
        blob: Blobs<'_, 'b>,
    ) -> bool {
        let exact = work.iter().find(|item| item.id == *parent);
        let only = || begun(parent, work).and_then(|id| work.iter().find(|item| item.id == *id));
        let Some(parent) = exact.or_else(only) else { return false };
        let plan = nested(parent, blob);
        let mut inside = self.below.get(&parent.id).cloned().unwrap_or_default();
        let found = plan.is_some_and(|plan| inside.add(name, &plan.work, blob));
        if found {
            self.below.insert(parent.id.clone(), inside);
        }
        found
    }
}

/// The plan of an item, if it has one that can be read.
fn nested<'b>(item: &WorkSpec, blob: Blobs<'_, 'b>) -> Option<PlanSpec> {
    let plan = item.input.filter(|_| item.runner.is_plan())?;
    PlanSpec::from_bytes(blob(&plan)?).ok()
}

/// The group and the matrix that an item is in.
fn groups_of(item: &WorkSpec) -> impl Iterator<Item = &str> {
    let group = item.group.as_ref().map(GroupName::as_str);
    [group, matrix_of(&item.id)].into_iter().flatten()
}

/// The only name that begins so: of an item, else of a group or a matrix.
fn begun<'w>(name: &str, work: &'w [WorkSpec]) -> Option<&'w str> {
    let begins = |other: &&str| other.starts_with(name);
    let mut items = work.iter().map(|item| item.id.as_str()).filter(begins);
    if let (Some(only), None) = (items.next(), items.next()) {
        return Some(only);
    }
    // All cells of one matrix, or all items of one group, are what is meant by its beginning.
    let single = work.iter().filter(|item| matrix_of(&item.id).is_none());
    let single = single.map(|item| item.id.as_str());
    let names = single.chain(work.iter().flat_map(groups_of)).filter(begins);
    let names: BTreeSet<&str> = names.collect();
    names.first().copied().filter(|_| names.len() == 1)
}

/// The names that may have been meant, the likeliest first.
pub(super) fn alike(name: &str, work: &[WorkSpec], blob: Blobs<'_, '_>) -> Vec<String> {
    if name.len() > MISSPELT {
        return Vec::new();
    }
    let inside = below(name, work, blob);
    if !inside.is_empty() {
        return inside;
    }
    let names = work.iter().flat_map(|item| groups_of(item).chain([item.id.as_str()]));
    let names: BTreeSet<&str> = names.collect();
    let likeness = |other: &str| {
        let begins = other.starts_with(name);
        if begins { 1.0 } else { strsim::jaro_winkler(name, other) }
    };
    let mut alike: Vec<(f64, &str)> =
        names.into_iter().map(|other| (likeness(other), other)).collect();
    alike.retain(|(likeness, _)| *likeness >= ALIKE);
    alike.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    alike.into_iter().take(OFFERED).map(|(_, other)| other.to_owned()).collect()
}

/// The same in the nested plan that the name begins with.
fn below(name: &str, work: &[WorkSpec], blob: Blobs<'_, '_>) -> Vec<String> {
    let slashes = name.match_indices('/').map(|(at, _)| at);
    let found = slashes.filter_map(|at| {
        let (parent, name) = (&name[..at], &name[at + 1..]);
        let plan = nested(work.iter().find(|item| item.id == *parent)?, blob)?;
        let near = alike(name, &plan.work, blob).into_iter();
        Some(near.map(|near| format!("{parent}/{near}")).collect::<Vec<_>>())
    });
    found.flatten().collect()
}
