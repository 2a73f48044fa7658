//! Prefixes that mean something: what may stand below them, and who may write there.

use super::change::KeyChange;
use super::gate::{GATES, gate_of};
use super::value::KeyValue;
use crate::coordination::error::KeyError;
use crate::id::KeyName;

/// Below it is how much of a resource is there, from 0 to 1.
const RESOURCES: &str = "resource/";

/// Below it is what agents are given to go by.
pub(super) const CONTEXTS: &str = "context/";

/// The gate that a key is the score of, and the score.
pub(super) fn gate<'a>(key: &'a KeyName, value: &KeyValue) -> Option<(&'a str, i64)> {
    let KeyValue::Here(score) = value else { return None };
    Some((gate_of(key)?, score.as_str().parse().ok()?))
}

/// Whether a key may have this value.
pub(super) fn check_value(change: &KeyChange) -> Result<(), KeyError> {
    let Some(value) = change.value() else { return Ok(()) };
    let text = match &value {
        KeyValue::Here(text) => text.as_str(),
        // A number is never as large as that.
        KeyValue::Blob(_) => "",
    };
    let must_be = if change.key.as_str().starts_with(GATES) && text.parse::<i64>().is_err() {
        "a whole number of millionths"
    } else if change.key.as_str().starts_with(RESOURCES)
        && !text.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share))
    {
        "a number from 0 to 1"
    } else {
        return Ok(());
    };
    Err(KeyError::NotOfItsKind { key: change.key.clone(), must_be })
}

/// Whether a session that scores these gates may write a key: nothing else that decides about
/// sessions.
pub(super) fn check_session(key: &KeyName, scored: &[KeyName]) -> Result<(), KeyError> {
    if let Some(gate) = gate_of(key) {
        return match scored.contains(key) {
            true => Ok(()),
            false => Err(KeyError::NotScorer { gate: gate.to_owned() }),
        };
    }
    match [RESOURCES, CONTEXTS].into_iter().find(|prefix| key.as_str().starts_with(prefix)) {
        Some(prefix) => Err(KeyError::Foreign { key: key.clone(), prefix }),
        None => Ok(()),
    }
}
