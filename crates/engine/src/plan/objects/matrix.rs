//! `matrix:`: one item for each combination of lists.

use std::collections::BTreeSet;

use crate::id::WorkId;
use crate::plan::mapping::{Object, ValueKind};
use crate::plan::resolve::{Cell, MAX_CELLS};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Spanned, Yaml, is_name, shorten};

pub(super) const MATRIX: ValueKind = ValueKind::Names(&ValueKind::List(&ValueKind::Value));

/// Most lists of a matrix.
const MAX_AXES: usize = 16;

/// One list of a matrix.
#[derive(Debug)]
struct Axis {
    name: Spanned<String>,
    values: Vec<String>,
}

/// The lists; without any, the item is its own only cell.
#[derive(Debug, Default)]
pub(super) struct MatrixAst {
    axes: Vec<Axis>,
}

impl MatrixAst {
    /// Reads the lists, which cannot be named as keys of `item` are.
    pub(super) fn read(node: &Node, item: &Object, diagnostics: &mut Diagnostics<'_>) -> Self {
        let mut axes = Vec::new();
        let entries = diagnostics.entries(node, "lists of values").unwrap_or_default();
        if entries.is_empty() && matches!(node.value, Yaml::Map(_)) {
            diagnostics.error(
                DiagnosticCode::BadValue,
                node.span,
                "a matrix needs at least one list",
            );
        }
        if entries.len() > MAX_AXES {
            let message =
                format!("this matrix has {} lists; at most {MAX_AXES} are allowed", entries.len());
            diagnostics.error(DiagnosticCode::TooLarge, node.span, message);
            return Self { axes };
        }
        for (name, value) in entries {
            if !is_name(&name.value) || item.key(&name.value).is_some() {
                let message =
                    format!("`{}` is not a valid name for a parameter", shorten(&name.value));
                let hint = "a parameter starts with a letter or `_`, followed by letters, digits, \
                    `_` or `-`, and is not a key of items";
                diagnostics.error(DiagnosticCode::BadId, name.span, message).hint(hint);
                continue;
            }
            let Some(list) = diagnostics.list(value, "values") else { continue };
            if list.is_empty() {
                diagnostics.error(
                    DiagnosticCode::BadValue,
                    value.span,
                    format!("`{}` has no values, so the matrix has no cells", name.value),
                );
            }
            axes.push(Axis { name: name.clone(), values: values(list, diagnostics) });
        }
        Self { axes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// One cell for each combination, the last list varying fastest; no more than `left`.
    pub(super) fn cells(
        &self,
        id: &Spanned<String>,
        left: usize,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Vec<Cell> {
        let count =
            self.axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
        if count.is_none_or(|count| count > left) {
            let message =
                format!("`{}` brings the plan to more than {MAX_CELLS} items", shorten(&id.value));
            let hint = "each cell of a matrix counts; move part of the work into a nested plan";
            diagnostics.error(DiagnosticCode::TooLarge, id.span, message).hint(hint);
            return Vec::new();
        }
        let mut values: Vec<Vec<(String, String)>> = vec![Vec::new()];
        for axis in &self.axes {
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
            let name = match within.as_slice() {
                [] => id.value.clone(),
                within => format!("{}[{}]", id.value, within.join(",")),
            };
            match new_id(&name) {
                Ok(id) => cells.push(Cell::new(id, values)),
                // A name that is bad by itself was reported already; what is left is what the
                // values make of it.
                Err(error) if new_id(&id.value).is_ok() => {
                    diagnostics.error(DiagnosticCode::BadId, id.span, error.to_string()).hint(
                        "shorten the values of its matrix, or leave such characters out of them",
                    );
                }
                Err(_) => {}
            }
        }
        cells
    }

    /// Reports lists that no text of the item uses: their cells would all do the same.
    pub(super) fn refuse_unused(&self, used: &BTreeSet<String>, diagnostics: &mut Diagnostics<'_>) {
        for axis in self.axes.iter().filter(|axis| !used.contains(&axis.name.value)) {
            let message = format!(
                "`{}` is never used, so its cells would all do the same thing",
                axis.name.value
            );
            diagnostics
                .error(DiagnosticCode::UnusedParameter, axis.name.span, message)
                .hint(format!("write {{{{{}}}}} where the value belongs", axis.name.value));
        }
    }
}

fn values(list: &[Node], diagnostics: &mut Diagnostics<'_>) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for entry in list {
        let Some(text) = diagnostics.text(entry) else { continue };
        let unfit = |c: char| c.is_control() || "[],{}".contains(c);
        if text.value.is_empty() || text.value.contains(unfit) {
            let message = "matrix values become part of an id: they cannot be empty or contain \
                brackets, braces, commas or control characters";
            diagnostics.error(DiagnosticCode::BadId, text.span, message);
        } else if !known.insert(text.value.clone()) {
            diagnostics.error(
                DiagnosticCode::BadValue,
                text.span,
                format!("`{}` appears twice in this list", shorten(&text.value)),
            );
        } else {
            values.push(text.value);
        }
    }
    values
}

fn new_id(text: &str) -> Result<WorkId, antiphon_core::id::IdError> {
    let id = WorkId::new(text)?;
    id.check_new().map(|()| id)
}
