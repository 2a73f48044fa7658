//! `needs:`: the items, groups and matrices that an item waits for.

use super::process_text;
use crate::plan::mapping::ValueKind;
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Spanned, Template, Yaml};

pub(super) const NEEDS: ValueKind = ValueKind::List(&ValueKind::Template);

/// Needs of later versions.
const LATER: &[&str] = &["gate", "signal", "key", "approval", "lease", "route"];

pub(super) fn read_all(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Vec<Spanned<Template>> {
    let needs = diagnostics.list(node, "names").unwrap_or_default();
    needs.iter().filter_map(|need| read(need, diagnostics)).collect()
}

fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Spanned<Template>> {
    let Yaml::Map(entries) = &node.value else { return process_text::template(node, diagnostics) };
    let (what, span) =
        entries.first().map_or(("", node.span), |(key, _)| (key.value.as_str(), key.span));
    if LATER.contains(&what) {
        let message = format!("a need on a {what} is reserved and not supported by this version");
        diagnostics
            .error(DiagnosticCode::NotYetSupported, span, message)
            .hint("`needs` lists the names of items, groups and matrices");
    } else {
        diagnostics.wrong_type(node, "the name of an item or group");
    }
    None
}
