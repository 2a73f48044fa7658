//! `gates:`: the scores that items wait for, and whose sessions give them.

use std::collections::BTreeMap;

use super::names::check_name;
use crate::id::WorkId;
use crate::keys::{KeyName, gate_key};
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::resolve::Names;
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Span, Spanned, shorten};

pub(super) static GATE: Object = Object {
    name: "gate",
    what: "a gate",
    keys: &[key(
        "by",
        ValueKind::List(&ValueKind::Text),
        "by: [tests]",
        "The items, groups and matrices whose sessions may score it: by `antiphon gate score`, or by a \
        score of its name in the result file with which they succeed. Without it only callers outside \
        of sessions do.",
    )],
    later: &[],
    open: false,
};

/// The gates of a plan as they are written.
#[derive(Debug, Default)]
pub(super) struct GateAsts {
    /// Whether the plan says which gates it has.
    declared: bool,
    gates: Vec<GateAst>,
}

#[derive(Debug)]
struct GateAst {
    name: Spanned<String>,
    key: KeyName,
    /// Who may score it, if that is said.
    by: Vec<Spanned<String>>,
}

impl GateAsts {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Self {
        let mut gates = Vec::new();
        for (name, value) in diagnostics.entries(node, "gates").unwrap_or_default() {
            check_name("gate", name, diagnostics);
            let by = read_by(name, value, diagnostics);
            match gate_key(&name.value) {
                Ok(key) => gates.push(GateAst { name: name.clone(), key, by }),
                Err(error) => {
                    diagnostics.error(DiagnosticCode::BadId, name.span, error.to_string());
                }
            }
        }
        Self { declared: true, gates }
    }

    /// Reports a gate that an item needs and that is none of these.
    pub(super) fn check_need(&self, gate: &str, span: Span, diagnostics: &mut Diagnostics<'_>) {
        let mut names = self.gates.iter().map(|gate| gate.name.value.as_str());
        if !self.declared || names.any(|name| name == gate) || diagnostics.is_full() {
            return;
        }
        let names = self.gates.iter().map(|gate| gate.name.value.as_str());
        let hint = diagnostics
            .suggestion(gate, names)
            .unwrap_or_else(|| format!("add it to `gates`: `{gate}: {{ by: [ITEM] }}`"));
        let message = format!("unknown gate `{}`", shorten(gate));
        diagnostics.error(DiagnosticCode::UnknownNeed, span, message).hint(hint);
    }

    /// The gates that each item and cell scores.
    pub(super) fn resolve(
        &self,
        names: &Names<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> BTreeMap<WorkId, Vec<KeyName>> {
        let mut scored = BTreeMap::<WorkId, Vec<KeyName>>::new();
        for gate in &self.gates {
            for name in &gate.by {
                for id in names.members(name, diagnostics) {
                    let scores = scored.entry(id.clone()).or_default();
                    if !scores.contains(&gate.key) {
                        scores.push(gate.key.clone());
                    }
                }
            }
        }
        scored
    }
}

fn read_by(
    gate: &Spanned<String>,
    node: &Node,
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Spanned<String>> {
    if node.is_null() {
        return Vec::new();
    }
    let fields = Fields::read(node, &GATE, diagnostics);
    let Some(by) = fields.and_then(|fields| fields.get("by")) else { return Vec::new() };
    let names = diagnostics.list(by, "items").unwrap_or_default();
    if names.is_empty() {
        let message = format!("nobody scores gate `{}`", shorten(&gate.value));
        diagnostics
            .error(DiagnosticCode::MissingKey, by.span, message)
            .hint("name the items that do, or remove `by` if it is scored from outside");
    }
    names.iter().filter_map(|name| diagnostics.text(name)).collect()
}
