//! `shared:`: keys that all runs share and that the sessions of an item may change.

use crate::coordination::MAX_LENT_KEYS;
use crate::keys::KeyName;
use crate::plan::mapping::ValueKind;
use crate::plan::text::{DiagnosticCode, Diagnostics, Node};

pub(super) const SHARED: ValueKind = ValueKind::List(&ValueKind::Text);

pub(super) fn read_all(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Vec<KeyName> {
    let names = diagnostics.list(node, "names of keys").unwrap_or_default();
    if names.len() > MAX_LENT_KEYS {
        let message = format!(
            "an item can change {MAX_LENT_KEYS} shared keys, but this names {}",
            names.len()
        );
        diagnostics.error(DiagnosticCode::TooLarge, node.span, message);
        return Vec::new();
    }
    names.iter().filter_map(|name| read(name, diagnostics)).collect()
}

fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<KeyName> {
    let name = diagnostics.text(node)?;
    match KeyName::new(&name.value) {
        Ok(name) => Some(name),
        Err(error) => {
            diagnostics.error(DiagnosticCode::BadId, name.span, error.to_string());
            None
        }
    }
}
