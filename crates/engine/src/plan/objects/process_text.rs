//! Texts with placeholders that a process can be given.

use super::secret_lint;
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Spanned, Template};

pub(super) fn template(
    node: &Node,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Spanned<Template>> {
    let text = diagnostics.text(node)?;
    if text.value.contains('\0') {
        diagnostics.error(
            DiagnosticCode::BadValue,
            text.span,
            "text for a process cannot contain a NUL byte",
        );
        return None;
    }
    secret_lint::inspect_text(&text, diagnostics);
    Some(Spanned::new(Template::read(&text, diagnostics), text.span))
}
