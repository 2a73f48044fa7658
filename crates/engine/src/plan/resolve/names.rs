//! What a plan's names stand for: items, groups, matrices and their cells.

use std::collections::{BTreeMap, BTreeSet};

use crate::coordination::Need;
use crate::id::{GroupName, WorkId};
use crate::plan::text::{DiagnosticCode, Diagnostics, Span, Spanned, enumerate, shorten};

/// How many names before and after an unknown one are searched for a similar one.
const NEAR: usize = 500;

/// An item, or one combination of its matrix.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Cell {
    id: WorkId,
    /// The parameters of the matrix.
    values: Vec<(String, String)>,
}

impl Cell {
    pub(in crate::plan) fn new(id: WorkId, values: Vec<(String, String)>) -> Self {
        Self { id, values }
    }

    pub(in crate::plan) fn id(&self) -> &WorkId {
        &self.id
    }

    /// The names of its parameters.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An item as others name it.
#[derive(Debug)]
pub(in crate::plan) struct NamedItem<'p> {
    id: &'p Spanned<String>,
    /// Its cells, in order; an item without a matrix is its own only cell.
    cells: Vec<Cell>,
    has_matrix: bool,
    /// The group that it says it is in.
    group: Option<&'p Spanned<String>>,
    /// Whether it is a nested plan, whose output is its receipt.
    is_plan: bool,
    /// The outputs that it declares.
    outputs: Option<BTreeSet<&'p str>>,
}

impl<'p> NamedItem<'p> {
    /// An item that declares no outputs.
    pub(in crate::plan) fn new(
        id: &'p Spanned<String>,
        group: Option<&'p Spanned<String>>,
        cells: Vec<Cell>,
        has_matrix: bool,
    ) -> Self {
        Self { id, cells, has_matrix, group, is_plan: false, outputs: None }
    }

    pub(in crate::plan) fn with_outputs(
        self,
        is_plan: bool,
        outputs: Option<BTreeSet<&'p str>>,
    ) -> Self {
        Self { is_plan, outputs, ..self }
    }

    pub(in crate::plan) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    pub(super) fn is_plan(&self) -> bool {
        self.is_plan
    }

    pub(super) fn outputs(&self) -> Option<&BTreeSet<&'p str>> {
        self.outputs.as_ref()
    }

    /// The group that the item, or its cells, are in: a matrix is a group of its own name unless
    /// another is given.
    pub(in crate::plan) fn group(&self) -> Option<GroupName> {
        match self.group {
            Some(group) => GroupName::new(&group.value).ok(),
            None if self.has_matrix => GroupName::new(&self.id.value).ok(),
            None => None,
        }
    }

    fn cell_ids(&self) -> impl Iterator<Item = &WorkId> {
        self.cells.iter().map(|cell| &cell.id)
    }
}

/// What the output of a name in a placeholder is of.
pub(super) struct OutputOf<'a, 'p> {
    pub(super) item: &'a NamedItem<'p>,
    pub(super) ids: Vec<WorkId>,
    /// Whether these are all cells of a matrix, however many there are.
    pub(super) all_cells: bool,
}

/// Every name of a plan.
#[derive(Debug)]
pub(in crate::plan) struct Names<'p> {
    items: Vec<NamedItem<'p>>,
    /// Which item an id, also of a cell, comes from.
    by_id: BTreeMap<WorkId, usize>,
    by_name: BTreeMap<&'p str, usize>,
    groups: BTreeMap<&'p str, GroupName>,
    /// The names of items and groups, in order.
    own: Vec<&'p str>,
    /// Whether a name that is none of them is that of an item of a run.
    of_a_run: bool,
}

impl<'p> Names<'p> {
    pub(in crate::plan) fn new(
        items: Vec<NamedItem<'p>>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Self {
        let mut names = Self {
            items: Vec::new(),
            by_id: BTreeMap::new(),
            by_name: BTreeMap::new(),
            groups: BTreeMap::new(),
            own: Vec::new(),
            of_a_run: false,
        };
        for (index, item) in items.iter().enumerate() {
            for id in item.cell_ids() {
                names.by_id.insert(id.clone(), index);
            }
            names.by_name.insert(&item.id.value, index);
            if let Some(group) = item.group
                && let Ok(name) = GroupName::new(&group.value)
            {
                names.groups.insert(&group.value, name);
            }
        }
        for group in items.iter().filter_map(|item| item.group) {
            if names.by_name.contains_key(group.value.as_str()) {
                let message = format!(
                    "`{}` is already an item, so it cannot be a group",
                    shorten(&group.value)
                );
                diagnostics
                    .error(DiagnosticCode::BadId, group.span, message)
                    .hint("`needs` refers to both, so their names must differ");
            }
        }
        names.own = names.by_name.keys().chain(names.groups.keys()).copied().collect();
        names.own.sort_unstable();
        names.own.dedup();
        names.items = items;
        names
    }

    /// The same where other names are those of items of a run, which the plan is added to.
    pub(in crate::plan) fn with_those_of_a_run(self) -> Self {
        Self { of_a_run: true, ..self }
    }

    /// The item of a run that a name stands for which is none of the plan.
    pub(super) fn elsewhere(&self, name: &str) -> Option<WorkId> {
        let is_here = self.by_id.contains_key(name)
            || self.by_name.contains_key(name)
            || self.groups.contains_key(name);
        WorkId::new(name).ok().filter(|_| self.of_a_run && !is_here)
    }

    /// The items in the order of the plan.
    pub(in crate::plan) fn items(&self) -> &[NamedItem<'p>] {
        &self.items
    }

    /// The item or matrix of this name.
    pub(super) fn item(&self, name: &str) -> Option<&NamedItem<'p>> {
        self.by_name.get(name).map(|index| &self.items[*index])
    }

    /// The item, cell or matrix of this name.
    pub(super) fn output_of(&self, name: &str) -> Option<OutputOf<'_, 'p>> {
        if let Some((id, index)) = self.by_id.get_key_value(name) {
            let ids = vec![id.clone()];
            return Some(OutputOf { item: &self.items[*index], ids, all_cells: false });
        }
        let item = &self.items[*self.by_name.get(name)?];
        Some(OutputOf { item, ids: item.cell_ids().cloned().collect(), all_cells: true })
    }

    /// What a name in the `needs` of an item refers to; an unknown name is reported.
    pub(super) fn need(
        &self,
        name: &str,
        of: &str,
        span: Span,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Vec<Need> {
        if let Some((id, _)) = self.by_id.get_key_value(name) {
            return vec![Need::Work(id.clone())];
        }
        if let Some(index) = self.by_name.get(name) {
            let item = &self.items[*index];
            return match item.group() {
                Some(group) if item.group.is_none() => vec![Need::Group(group)],
                // Others are in its group too, so its cells are named one by one.
                _ => item.cell_ids().map(|id| Need::Work(id.clone())).collect(),
            };
        }
        if let Some(group) = self.groups.get(name) {
            return vec![Need::Group(group.clone())];
        }
        if let Some(id) = self.elsewhere(name) {
            return vec![Need::Work(id)];
        }
        if diagnostics.is_full() {
            return Vec::new();
        }
        let message = format!("unknown item or group `{}`", shorten(name));
        let hint = self.suggestion(name, of, diagnostics);
        diagnostics.error(DiagnosticCode::UnknownNeed, span, message).hint_if(hint);
        Vec::new()
    }

    /// The items and cells that a name stands for; an unknown name is reported.
    pub(in crate::plan) fn members(
        &self,
        name: &Spanned<String>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Vec<&WorkId> {
        self.need(&name.value, "", name.span, diagnostics);
        self.known_members(&name.value)
    }

    /// The items and cells that a name stands for, if it stands for any.
    pub(in crate::plan) fn known_members(&self, name: &str) -> Vec<&WorkId> {
        let of_group = |group: &GroupName| {
            let members = self.items.iter().filter(|item| item.group().as_ref() == Some(group));
            members.flat_map(NamedItem::cell_ids).collect()
        };
        match (self.by_id.get_key_value(name), self.item(name), self.groups.get(name)) {
            (Some((id, _)), _, _) => vec![id],
            (None, Some(item), _) => item.cell_ids().collect(),
            (None, None, Some(group)) => of_group(group),
            (None, None, None) => Vec::new(),
        }
    }

    /// The name of the item that an id, also of a cell, comes from.
    pub(in crate::plan) fn item_of(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(|index| self.items[*index].id.value.as_str())
    }

    /// A similar name for an item to refer to, or those that there are.
    pub(super) fn suggestion(
        &self,
        name: &str,
        of: &str,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<String> {
        let base = name.split('[').next().unwrap_or_default();
        if let Some(index) = self.by_name.get(base).filter(|_| base != name) {
            let item = &self.items[*index];
            if !item.has_matrix {
                return Some(format!("`{base}` has no matrix, so it has no cells"));
            }
            let ids: Vec<&str> = item.cell_ids().map(WorkId::as_str).collect();
            return Some(
                diagnostics
                    .suggestion(name, ids.iter().copied())
                    .unwrap_or_else(|| format!("its cells are {}", enumerate(&ids))),
            );
        }
        // Of thousands, those are looked at that begin like it.
        let near = self.own.partition_point(|own| *own < name).saturating_sub(NEAR);
        let others = self.own.iter().copied().filter(|own| *own != of);
        let alike = self.own[near..].iter().take(2 * NEAR).copied().filter(|own| *own != of);
        diagnostics.suggestion(name, alike).or_else(|| {
            let others: Vec<&str> = others.collect();
            (!others.is_empty()).then(|| format!("known names: {}", enumerate(&others)))
        })
    }
}
