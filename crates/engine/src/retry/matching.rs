//! Which item of the earlier run an item is: the one of the same id, or the cell of the same matrix
//! that did the same, or else that has the same values.
//!
//! The id of a cell has the values of its parameters in the order in which the plan lists them.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::WorkSpec;
use antiphon_core::id::WorkId;

use super::EarlierItem;

/// The earlier item of each item, by position.
pub(super) fn matched<'a>(
    earlier: &'a [EarlierItem],
    work: &'a [WorkSpec],
) -> Vec<Option<&'a EarlierItem>> {
    let by_id: BTreeMap<&WorkId, &EarlierItem> =
        earlier.iter().map(|item| (&item.spec.id, item)).collect();
    let mut matched: Vec<Option<&EarlierItem>> =
        work.iter().map(|item| by_id.get(&item.id).copied()).collect();
    let named: BTreeSet<&WorkId> = work.iter().map(|item| &item.id).collect();
    let mut left: Vec<&EarlierItem> =
        earlier.iter().filter(|item| !named.contains(&item.spec.id)).collect();
    let did = |item: &'a WorkSpec| Some((matrix_of(&item.id)?, item.input?));
    pair(work, &mut matched, &mut left, did);
    // Only then, as a cell that did the same may have these values, too.
    pair(work, &mut matched, &mut left, |item| Some((matrix_of(&item.id)?, values_of(&item.id))));
    matched
}

/// Matches the items without an earlier one to those that are left and have the same key, where
/// that is one on either side.
fn pair<'a, K: Ord>(
    work: &'a [WorkSpec],
    matched: &mut [Option<&'a EarlierItem>],
    left: &mut Vec<&'a EarlierItem>,
    key: impl Fn(&'a WorkSpec) -> Option<K>,
) {
    let mut sides: BTreeMap<K, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, item) in left.iter().enumerate() {
        if let Some(key) = key(&item.spec) {
            sides.entry(key).or_default().0.push(at);
        }
    }
    for (at, item) in work.iter().enumerate().filter(|(at, _)| matched[*at].is_none()) {
        if let Some(sides) = key(item).and_then(|key| sides.get_mut(&key)) {
            sides.1.push(at);
        }
    }
    let mut taken = BTreeSet::new();
    for sides in sides.into_values() {
        if let ([then], [now]) = (sides.0.as_slice(), sides.1.as_slice()) {
            matched[*now] = Some(left[*then]);
            taken.insert(*then);
        }
    }
    let mut at = 0..;
    left.retain(|_| at.next().is_some_and(|at| !taken.contains(&at)));
}

/// The values of a cell's parameters, in no order.
fn values_of(id: &WorkId) -> Vec<&str> {
    let values = id.as_str().split_once('[').map_or("", |(_, values)| values);
    let mut values: Vec<&str> = values.trim_end_matches(']').split(',').collect();
    values.sort_unstable();
    values
}

/// The matrix that a cell is of.
pub(super) fn matrix_of(id: &WorkId) -> Option<&str> {
    let (matrix, values) = id.as_str().split_once('[')?;
    values.ends_with(']').then_some(matrix)
}
