//! `context:`: what the sessions of an item are given to go by.

use serde_json::Value;

use crate::contexts::AgentContext;
use crate::id::{AgentId, CoordinationId};
use crate::keys::JsonText;
use crate::plan::mapping::ValueKind;
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Spanned};

pub(super) const CONTEXT: ValueKind = ValueKind::Names(&ValueKind::Json);

/// A context, of which everything that is wrong is reported. What it does not say is filled in when it
/// is given to a session.
pub(super) fn read(
    item: &Spanned<String>,
    node: &Node,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<JsonText> {
    diagnostics.entries(node, "parts of a context")?;
    let given = diagnostics.json(node)?;
    // Names that are none were reported, and are no concern of the context.
    let run = CoordinationId::new("run").ok()?;
    let agent = AgentId::new(&item.value).ok()?;
    match AgentContext::read(&run, &agent, given.clone()) {
        Ok(_) => JsonText::new(Value::to_string(&given)).ok(),
        Err(faults) => {
            for fault in faults {
                let message = format!("`context` at {}: it {}", fault.pointer, fault.detail);
                diagnostics.error(DiagnosticCode::BadValue, node.span, message);
            }
            None
        }
    }
}
