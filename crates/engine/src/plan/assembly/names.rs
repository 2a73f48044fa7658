//! What a plan's names stand for: items, groups, matrices and their cells.

use std::collections::BTreeMap;

use super::MAX_STEPS;
use super::filling_in::Cell;
use crate::coordination::Need;
use crate::id::{GroupName, WorkId};
use crate::plan::draft::{Draft, ItemDraft};
use crate::plan::fields::{enumerate, shorten, suggestion};
use crate::plan::problem::{DiagnosticCode, Diagnostics};
use crate::plan::source::Span;

/// Every name of a plan.
pub(super) struct Names<'d> {
    draft: &'d Draft,
    /// The cells of each item, in order; an item without a matrix is its own only cell.
    cells: Vec<Vec<Cell>>,
    /// Which item an id, also of a cell, comes from.
    by_id: BTreeMap<WorkId, usize>,
    by_name: BTreeMap<&'d str, usize>,
    groups: BTreeMap<&'d str, GroupName>,
}

impl<'d> Names<'d> {
    pub(super) fn of(draft: &'d Draft, diagnostics: &mut Diagnostics<'_>) -> Self {
        let mut names = Self {
            draft,
            cells: Vec::new(),
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
            groups: BTreeMap::new(),
        };
        let mut left = MAX_STEPS;
        for (index, item) in draft.items.iter().enumerate() {
            let cells = cells(item, left, diagnostics);
            left = left.saturating_sub(cells.len());
            for cell in &cells {
                names.by_id.insert(cell.id.clone(), index);
            }
            names.cells.push(cells);
            names.by_name.insert(&item.id.value, index);
            if let Some(group) = &item.group
                && let Ok(name) = GroupName::new(&group.value)
            {
                names.groups.insert(&group.value, name);
            }
        }
        for group in draft.items.iter().filter_map(|item| item.group.as_ref()) {
            if names.by_name.contains_key(group.value.as_str()) {
                let message = format!(
                    "`{}` is an item already, so it cannot be a group",
                    shorten(&group.value)
                );
                diagnostics
                    .error(DiagnosticCode::BadId, group.span, message)
                    .hint("`needs` names both, so they need different names");
            }
        }
        names
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.iter().map(Vec::as_slice)
    }

    /// The group that an item, or the cells of one, are in.
    pub(super) fn group_of(&self, item: &ItemDraft) -> Option<GroupName> {
        match &item.group {
            Some(group) => self.groups.get(group.value.as_str()).cloned(),
            None if !item.matrix.is_empty() => GroupName::new(&item.id.value).ok(),
            None => None,
        }
    }

    /// The item that an id, also of a cell, comes from.
    pub(super) fn item(&self, id: &str) -> Option<&'d ItemDraft> {
        self.by_id.get(id).and_then(|index| self.draft.items.get(*index))
    }

    /// An item or matrix of this name.
    pub(super) fn named(&self, name: &str) -> Option<&'d ItemDraft> {
        self.by_name.get(name).and_then(|index| self.draft.items.get(*index))
    }

    /// The cells of an item or matrix of this name.
    pub(super) fn cells_of(&self, name: &str) -> Vec<WorkId> {
        let cells =
            self.by_name.get(name).map(|index| self.cells[*index].as_slice()).unwrap_or_default();
        cells.iter().map(|cell| cell.id.clone()).collect()
    }

    /// What a name in `needs` stands for; tells if it is nothing.
    pub(super) fn need(
        &self,
        name: &str,
        span: Span,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Vec<Need> {
        if let Some((id, _)) = self.by_id.get_key_value(name) {
            return vec![Need::Work(id.clone())];
        }
        if let Some(index) = self.by_name.get(name) {
            let item = &self.draft.items[*index];
            return match self.group_of(item) {
                Some(group) if item.group.is_none() => vec![Need::Group(group)],
                // Others are in its group too, so its cells are named one by one.
                _ => self.cells[*index].iter().map(|cell| Need::Work(cell.id.clone())).collect(),
            };
        }
        if let Some(group) = self.groups.get(name) {
            return vec![Need::Group(group.clone())];
        }
        if diagnostics.is_full() {
            return Vec::new();
        }
        let message = format!("there is no item or group `{}`", shorten(name));
        diagnostics
            .error(DiagnosticCode::UnknownNeed, span, message)
            .hint_if(self.suggestion(name));
        Vec::new()
    }

    /// The name that was meant, or those that there are.
    pub(super) fn suggestion(&self, name: &str) -> Option<String> {
        let base = name.split('[').next().unwrap_or_default();
        if let Some(index) = self.by_name.get(base).filter(|_| base != name) {
            if self.draft.items[*index].matrix.is_empty() {
                return Some(format!("`{base}` has no matrix, so it has no cells"));
            }
            let ids: Vec<&str> = self.cells[*index].iter().map(|cell| cell.id.as_str()).collect();
            return Some(
                suggestion(name, ids.iter().copied())
                    .unwrap_or_else(|| format!("its cells are {}", enumerate(&ids))),
            );
        }
        let mut own: Vec<&str> = self.by_name.keys().chain(self.groups.keys()).copied().collect();
        own.sort_unstable();
        own.dedup();
        suggestion(name, own.iter().copied())
            .or_else(|| (!own.is_empty()).then(|| format!("there are {}", enumerate(&own))))
    }
}

/// One cell for each combination of a matrix, the last list going round fastest.
fn cells(item: &ItemDraft, left: usize, diagnostics: &mut Diagnostics<'_>) -> Vec<Cell> {
    let count =
        item.matrix.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
    if count.is_none_or(|count| count > left) {
        let message =
            format!("with `{}` the plan has more than {MAX_STEPS} items", shorten(&item.id.value));
        let hint = "cells of a matrix count; put a part of the work into a nested plan";
        diagnostics.error(DiagnosticCode::TooLarge, item.id.span, message).hint(hint);
        return Vec::new();
    }
    let mut values: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for axis in &item.matrix {
        let with = |before: &Vec<(String, String)>, value: &String| {
            let mut cell = before.clone();
            cell.push((axis.name.value.clone(), value.clone()));
            cell
        };
        values = values
            .iter()
            .flat_map(|before| axis.values.iter().map(move |value| with(before, value)))
            .collect();
    }
    let mut cells = Vec::new();
    for values in values {
        let within: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
        let id = match within.as_slice() {
            [] => item.id.value.clone(),
            within => format!("{}[{}]", item.id.value, within.join(",")),
        };
        match WorkId::new(&id) {
            Ok(id) => cells.push(Cell { id, values }),
            // A name that is bad by itself was told where it stands; what is left is the length of
            // the cell's.
            Err(error) if WorkId::new(&item.id.value).is_ok() => {
                diagnostics
                    .error(DiagnosticCode::BadId, item.id.span, error.to_string())
                    .hint("shorten the values of its matrix");
            }
            Err(_) => {}
        }
    }
    cells
}
