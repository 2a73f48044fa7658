//! `capabilities:`: what runners can, and what items want of one.

use crate::plan::mapping::ValueKind;
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Spanned};
use crate::routing::{Capabilities, Name};

pub(super) const CAPABILITIES: ValueKind = ValueKind::List(&ValueKind::Text);

/// The capabilities that are listed; those that are none were reported.
pub(super) fn read_all(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Capabilities {
    let names = diagnostics.list(node, "capabilities").unwrap_or_default();
    names.iter().filter_map(|name| Some(read(name, diagnostics)?.value)).collect()
}

/// One of them; `None` if it is none, which was reported.
pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Spanned<Name>> {
    let name = diagnostics.text(node)?;
    match Name::new(&name.value) {
        Ok(read) => Some(Spanned::new(read, name.span)),
        Err(error) => {
            diagnostics.error(DiagnosticCode::BadValue, name.span, error.to_string());
            None
        }
    }
}
