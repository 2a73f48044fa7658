//! The JSON Schema of plan files, for editors; made from the table of keys.

use serde_json::{Map, Value, json};

use super::mapping::{Object, ValueKind};
use super::objects::OBJECTS;

/// The JSON Schema (draft 2020-12) of a plan file.
///
/// It knows what an editor can know; [`parse`](super::parse) finds more.
#[must_use]
pub fn schema() -> Value {
    let definitions: Map<String, Value> =
        OBJECTS.iter().skip(1).map(|object| (object.name.to_owned(), of_object(object))).collect();
    let mut schema = of_object(OBJECTS[0]);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Antiphon plan");
    schema["$defs"] = Value::Object(definitions);
    schema
}

fn of_object(object: &Object) -> Value {
    let mut properties = Map::new();
    for key in object.keys {
        let mut value = of_kind(&key.kind);
        value["description"] = json!(key.doc);
        properties.insert(key.name.to_owned(), value);
    }
    let required: Vec<&str> =
        object.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = if object.open {
        let mut value = of_kind(&ValueKind::Value);
        value["description"] = json!("A parameter of the item's runner.");
        value
    } else {
        json!(false)
    };
    schema
}

fn of_kind(kind: &ValueKind) -> Value {
    match kind {
        ValueKind::Text | ValueKind::Template | ValueKind::Value => {
            json!({ "type": ["string", "number", "boolean"] })
        }
        ValueKind::Json => json!({}),
        ValueKind::Flag => json!({ "type": "boolean" }),
        ValueKind::Integer(min, max) => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        ValueKind::Count => {
            json!({ "type": ["string", "integer"], "pattern": r"^[0-9][0-9_]*(\.[0-9]+)? ?[kMG]?$", "minimum": 0 })
        }
        ValueKind::Duration => {
            json!({ "type": "string", "pattern": r"^([0-9][0-9_]*(\.[0-9]+)? ?(ms|s|m|h|d) ?)+$" })
        }
        ValueKind::Size => {
            json!({ "type": "string", "pattern": r"^[0-9][0-9_]*(\.[0-9]+)? ?(B|[kKMGT]B|[KMGT]iB)$" })
        }
        ValueKind::Cost => {
            json!({ "type": "string", "pattern": r"^[0-9][0-9_]*(\.[0-9]+)? ?[A-Z]{3}$" })
        }
        ValueKind::Share => {
            json!({ "type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)? ?%?$", "minimum": 0, "maximum": 1 })
        }
        ValueKind::Word(words) => json!({ "enum": words }),
        ValueKind::List(of) => json!({ "type": "array", "items": of_kind(of) }),
        ValueKind::Names(of) => json!({ "type": "object", "additionalProperties": of_kind(of) }),
        ValueKind::Of(object) => json!({ "$ref": format!("#/$defs/{}", object.name) }),
        ValueKind::Either(kinds) => {
            json!({ "anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>() })
        }
    }
}
