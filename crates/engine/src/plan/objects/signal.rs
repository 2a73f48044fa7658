//! `signals:`: the run's own types of signals, and the schemas that their data must fit.

use serde_json::Value;

use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node};
use crate::signal_schemas::SignalSchemas;
use crate::signals::{JsonText, SignalType};

pub(super) static SIGNAL: Object = Object {
    name: "signal",
    what: "a type of signals",
    keys: &[key(
        "schema",
        ValueKind::Json,
        "schema: { type: object, required: [verdict] }",
        "A JSON Schema that the data of each such signal must fit; one that does not is refused. \
        References cannot lead outside of it.",
    )],
    later: &[],
    open: false,
};

/// The schemas of the types that are named.
pub(super) fn read_all(node: &Node, diagnostics: &mut Diagnostics<'_>) -> SignalSchemas {
    let mut schemas = SignalSchemas::default();
    for (name, value) in diagnostics.entries(node, "types of signals").unwrap_or_default() {
        let kind = match SignalType::new(&name.value) {
            Ok(kind) => Some(kind),
            Err(error) => {
                diagnostics.error(DiagnosticCode::BadId, name.span, error.to_string());
                None
            }
        };
        if value.is_null() {
            continue;
        }
        let fields = Fields::read(value, &SIGNAL, diagnostics);
        let Some(schema) = fields.as_ref().and_then(|fields| fields.get("schema")) else {
            continue;
        };
        let text = diagnostics.json(schema);
        let text = text.and_then(|value| JsonText::new(Value::to_string(&value)).ok());
        let (Some(kind), Some(text)) = (kind, text) else { continue };
        match schemas.clone().with(kind, text) {
            Ok(with) => schemas = with,
            Err(error) => {
                diagnostics.error(DiagnosticCode::BadValue, schema.span, error.to_string());
            }
        }
    }
    schemas
}
