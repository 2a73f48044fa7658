//! Which item of the earlier run an item is: the one of the same id, or the cell of the same matrix
//! that did the same.
//!
//! The id of a cell has the values of its parameters in the order in which the plan lists them.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::WorkSpec;
use antiphon_core::digest::Digest;
use antiphon_core::id::WorkId;

use super::EarlierItem;

/// The earlier item of each item, by position.
pub(super) fn matched<'a>(
    earlier: &'a [EarlierItem],
    work: &'a [WorkSpec],
) -> Vec<Option<&'a EarlierItem>> {
    let by_id: BTreeMap<&WorkId, &EarlierItem> =
        earlier.iter().map(|item| (&item.spec.id, item)).collect();
    let named: BTreeSet<&WorkId> = work.iter().map(|item| &item.id).collect();
    // Cells that did the same are no cells of one matrix, so there is at most one.
    let mut cells: BTreeMap<(&str, Digest), &EarlierItem> = BTreeMap::new();
    for item in earlier.iter().filter(|item| !named.contains(&item.spec.id)) {
        if let (Some(matrix), Some(description)) = (matrix_of(&item.spec.id), item.spec.input) {
            cells.entry((matrix, description)).or_insert(item);
        }
    }
    let find = |item: &'a WorkSpec| {
        let same = || cells.remove(&(matrix_of(&item.id)?, item.input?));
        by_id.get(&item.id).copied().or_else(same)
    };
    work.iter().map(find).collect()
}

/// The matrix that a cell is of.
pub(super) fn matrix_of(id: &WorkId) -> Option<&str> {
    let (matrix, values) = id.as_str().split_once('[')?;
    values.ends_with(']').then_some(matrix)
}
