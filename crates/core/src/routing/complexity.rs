//! What a state is like: its size and depth, and whether it tells of errors and gaps.

use serde::Serialize;
use serde_json::{Map, Number, Value};

use super::fraction::Fraction;

/// Keys that tell of errors, unless what they have is empty, zero, false or null.
const ERRORS: [&str; 4] = ["error", "errors", "error_count", "failed"];

/// Keys whose value has to be there if they are.
const REQUIRED: [&str; 2] = ["required_data", "mandatory_fields"];

/// What a state is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateComplexityMetrics {
    /// How many keys it has, without those inside of others.
    pub key_count: u64,
    /// How deep objects are in objects: 1 if none is, 0 if the state is empty.
    pub nested_depth: u64,
    /// The length of the whole state as compact JSON.
    pub total_size_bytes: u64,
    /// From 0 to 1: 0.4 for a hundred keys, 0.3 for ten levels, 0.3 for a million bytes.
    pub complexity_score: Fraction,
    /// Whether it tells of errors.
    pub has_errors: bool,
    /// Whether something that is required is empty.
    pub has_incomplete_data: bool,
}

impl StateComplexityMetrics {
    /// Looks through a state.
    #[must_use]
    pub fn of(state: &Map<String, Value>) -> Self {
        let key_count = state.len() as u64;
        let Extent { nested_depth, total_size_bytes } = Extent::of(state);
        let millionths = key_count
            .saturating_mul(4_000)
            .saturating_add(nested_depth.saturating_mul(30_000))
            .saturating_add(total_size_bytes.saturating_mul(3) / 10);
        Self {
            key_count,
            nested_depth,
            total_size_bytes,
            complexity_score: Fraction::of_millionths(millionths),
            has_errors: error_in(state).is_some(),
            has_incomplete_data: gap_in(state).is_some(),
        }
    }
}

/// The first key that tells of errors, and what it has.
pub(super) fn error_in(state: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    let with_value = |key| Some((key, state.get(key)?));
    ERRORS.into_iter().filter_map(with_value).find(|(_, value)| is_truthy(value))
}

/// The first key that is required and has nothing.
pub(super) fn gap_in(state: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    let with_value = |key| Some((key, state.get(key)?));
    REQUIRED.into_iter().filter_map(with_value).find(|(_, value)| !is_truthy(value))
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(members) => !members.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// How deep and how long a state is.
struct Extent {
    nested_depth: u64,
    total_size_bytes: u64,
}

impl Extent {
    /// Goes through a state without recursion, so that depth costs no stack.
    fn of(state: &Map<String, Value>) -> Self {
        let mut extent = Self { nested_depth: 0, total_size_bytes: 0 };
        let mut rest = Vec::with_capacity(2 * state.len());
        extent.open(state, Some(1), &mut rest);
        while let Some((value, depth)) = rest.pop() {
            extent.total_size_bytes += match value {
                Value::Null | Value::Bool(true) => 4,
                Value::Bool(false) => 5,
                Value::Number(number) => length_of_number(number),
                Value::String(text) => length_of_text(text),
                Value::Array(members) => {
                    // Objects inside of lists do not count as nested.
                    rest.extend(members.iter().map(|member| (member, None)));
                    brackets_and_commas(members.len())
                }
                Value::Object(members) => {
                    extent.open(members, depth, &mut rest);
                    continue;
                }
            };
        }
        extent
    }

    fn open<'v>(
        &mut self,
        members: &'v Map<String, Value>,
        depth: Option<u64>,
        rest: &mut Vec<(&'v Value, Option<u64>)>,
    ) {
        self.total_size_bytes += brackets_and_commas(members.len());
        if let Some(depth) = depth.filter(|_| !members.is_empty()) {
            self.nested_depth = self.nested_depth.max(depth);
        }
        for (name, value) in members {
            self.total_size_bytes += length_of_text(name) + 1;
            rest.push((value, depth.map(|depth| depth + 1)));
        }
    }
}

fn brackets_and_commas(members: usize) -> u64 {
    2 + members.saturating_sub(1) as u64
}

fn length_of_text(text: &str) -> u64 {
    let extra: u64 = text.bytes().map(|byte| u64::from(ESCAPED_BY[usize::from(byte)])).sum();
    2 + text.len() as u64 + extra
}

fn length_of_number(number: &Number) -> u64 {
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => digits(number),
        (None, Some(number)) => 1 + digits(number.unsigned_abs()),
        (None, None) => number.to_string().len() as u64,
    }
}

fn digits(number: u64) -> u64 {
    1 + u64::from(number.checked_ilog10().unwrap_or(0))
}

/// By how many bytes the escape of a byte is longer than the byte.
const ESCAPED_BY: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = 5;
        control += 1;
    }
    // \b, \t, \n, \f, \r, \" and \\ are short.
    let short = [0x08, 0x09, 0x0a, 0x0c, 0x0d, b'"' as usize, b'\\' as usize];
    let mut at = 0;
    while at < short.len() {
        table[short[at]] = 1;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn state(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn depth_counts_objects_in_objects() {
        let table = [
            (json!({}), 0),
            (json!({"a": 1}), 1),
            (json!({"a": {}}), 1),
            (json!({"a": {"b": {}}, "c": 1}), 2),
            (json!({"a": [{"b": {"c": 1}}]}), 1),
        ];
        for (value, depth) in table {
            assert_eq!(Extent::of(&state(value.clone())).nested_depth, depth, "{value}");
        }
    }

    #[test]
    fn a_large_value_counts_however_deep_it_is() {
        let metrics =
            StateComplexityMetrics::of(&state(json!({"a": {"b": ["c".repeat(5_000_000)]}})));
        assert_eq!(
            metrics,
            StateComplexityMetrics {
                key_count: 1,
                nested_depth: 2,
                total_size_bytes: 5_000_016,
                complexity_score: Fraction::of_millionths(1_000_000),
                has_errors: false,
                has_incomplete_data: false,
            }
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x7f]{0,9}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| json!(members)),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_size_is_the_length_of_the_state_as_json(
            members in prop::collection::btree_map(any::<String>(), value(), 0..4),
        ) {
            let members = state(json!(members));
            let json = serde_json::to_vec(&members).unwrap();
            prop_assert_eq!(Extent::of(&members).total_size_bytes, json.len() as u64);
        }
    }
}
