//! How values of JSON compare: numbers by what they are worth, whichever way they are stored, texts
//! by their characters, and what differs in type not at all.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// How deep lists and objects are compared; what is nested deeper equals nothing.
const MAX_DEPTH: usize = 128;

/// Whether two values are equal; those of different types are not.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    equal_within(left, right, MAX_DEPTH)
}

fn equal_within(left: &Value, right: &Value, depth: usize) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => numbers(left, right) == Ordering::Equal,
        (Value::Array(left), Value::Array(right)) => {
            depth > 0
                && left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| equal_within(left, right, depth - 1))
        }
        (Value::Object(left), Value::Object(right)) => {
            depth > 0
                && left.len() == right.len()
                && left.iter().all(|(name, left)| {
                    right.get(name).is_some_and(|right| equal_within(left, right, depth - 1))
                })
        }
        _ => left == right,
    }
}

/// The order of two values: of two numbers, two texts or two booleans; others have none.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(numbers(left, right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// The order of two numbers, without rounding either.
pub(crate) fn numbers(left: &Number, right: &Number) -> Ordering {
    match (Worth::of(left), Worth::of(right)) {
        (Worth::Integer(left), Worth::Integer(right)) => left.cmp(&right),
        (Worth::Integer(left), Worth::Double(right)) => integer_with_double(left, right),
        (Worth::Double(left), Worth::Integer(right)) => integer_with_double(right, left).reverse(),
        // JSON has neither infinities nor NaN.
        (Worth::Double(left), Worth::Double(right)) => {
            left.partial_cmp(&right).unwrap_or(Ordering::Equal)
        }
    }
}

/// What a number is worth: an integer of 64 bits with either sign, or a double.
enum Worth {
    Integer(i128),
    Double(f64),
}

impl Worth {
    fn of(number: &Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Self::Integer(integer.into()),
            (None, Some(integer)) => Self::Integer(integer.into()),
            (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
        }
    }
}

fn integer_with_double(integer: i128, double: f64) -> Ordering {
    // Beyond these, a double is further from zero than any integer of 64 bits.
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    if double >= BEYOND {
        return Ordering::Less;
    }
    if double <= -BEYOND {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was just checked")]
    let whole = double.trunc() as i128;
    let fraction = double - double.trunc();
    integer.cmp(&whole).then_with(|| 0.0.partial_cmp(&fraction).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_and_doubles_compare_by_what_they_are_worth() {
        let table = [
            (json!(1), Ordering::Equal, json!(1.0)),
            (json!(0), Ordering::Equal, json!(-0.0)),
            (json!(1), Ordering::Less, json!(1.5)),
            (json!(-1), Ordering::Greater, json!(-1.5)),
            // 2^53 + 1 has no double of its own.
            (json!(9_007_199_254_740_993_u64), Ordering::Greater, json!(9_007_199_254_740_992.0)),
            (json!(i64::MAX), Ordering::Less, json!(9_223_372_036_854_775_808.0)),
            (json!(i64::MIN), Ordering::Equal, json!(-9_223_372_036_854_775_808.0)),
            (json!(u64::MAX), Ordering::Less, json!(18_446_744_073_709_551_616.0)),
            (json!(u64::MAX), Ordering::Greater, json!(i64::MAX)),
            (json!(u64::MAX), Ordering::Less, json!(1e300)),
            (json!(i64::MIN), Ordering::Greater, json!(-1e300)),
        ];
        for (left, expected, right) in table {
            assert_eq!(order(&left, &right), Some(expected), "{left} and {right}");
            assert_eq!(order(&right, &left), Some(expected.reverse()), "{right} and {left}");
            assert_eq!(equal(&left, &right), expected == Ordering::Equal, "{left} and {right}");
        }
    }

    #[test]
    fn lists_and_objects_are_equal_if_all_in_them_is() {
        let whole = json!({"a": [1, {"b": null}], "c": "d"});
        assert!(equal(&whole, &json!({"c": "d", "a": [1.0, {"b": null}]})));
        for other in [
            json!({"a": [1, {"b": null}]}),
            json!({"a": [{"b": null}, 1], "c": "d"}),
            json!({"a": [1, {"b": false}], "c": "d"}),
            json!([]),
        ] {
            assert!(!equal(&whole, &other), "{other}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_equals_nothing() {
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(equal(&nested(128), &nested(128)));
        assert!(!equal(&nested(129), &nested(129)));
    }

    proptest! {
        #[test]
        fn the_order_of_numbers_is_total(numbers in prop::collection::vec(
            prop_oneof![
                any::<i64>().prop_map(|number| json!(number)),
                any::<u64>().prop_map(|number| json!(number)),
                prop::num::f64::NORMAL.prop_map(|number| json!(number)),
                any::<i64>().prop_map(|number| json!(number as f64)),
            ], 3)) {
            let [a, b, c] = [&numbers[0], &numbers[1], &numbers[2]];
            let le = |left, right| order(left, right).is_some_and(Ordering::is_le);
            prop_assert!(le(a, b) || le(b, a));
            prop_assert!(!(le(a, b) && le(b, c)) || le(a, c));
            prop_assert_eq!(equal(a, b), le(a, b) && le(b, a));
        }
    }
}
