//! What a key must be before an item may start.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::coordination::error::NeedError;
use crate::coordination::key::{GATE_SCALE, KeyValue, gate_of};
use crate::coordination::limits::MAX_KEY_BYTES_IN_STATE;
use crate::id::KeyName;
use crate::json_text::JsonText;

/// Whose keys a need looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyOwner {
    /// Those of the item's own run alone.
    #[default]
    Run,
    /// Those of its run and, where they do not meet it, those that all runs share.
    Shared,
}

impl KeyOwner {
    fn is_run(&self) -> bool {
        *self == Self::Run
    }
}

/// What a key must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyNeed {
    /// Which key.
    pub key: KeyName,
    /// What must hold of it.
    pub holds: KeyCondition,
    /// Whose keys count.
    #[serde(default, skip_serializing_if = "KeyOwner::is_run")]
    pub of: KeyOwner,
}

/// What must hold of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyCondition {
    /// It is there.
    Exists,
    /// It is a number of at least so many millionths. The score of a gate is kept in millionths.
    AtLeast(i64),
    /// It is this JSON value, however that is written.
    Equals(JsonText),
}

impl KeyNeed {
    /// A condition on a key of the item's own run.
    #[must_use]
    pub fn new(key: KeyName, holds: KeyCondition) -> Self {
        Self { key, holds, of: KeyOwner::Run }
    }

    /// Met as well where the key that all runs share is so.
    #[must_use]
    pub fn or_shared(self) -> Self {
        Self { of: KeyOwner::Shared, ..self }
    }

    /// Whether a key that all runs share may meet it.
    #[must_use]
    pub fn looks_at_shared(&self) -> bool {
        self.of == KeyOwner::Shared
    }

    /// Whether it is met where the key has this value, or none.
    pub(in crate::coordination) fn is_met_by(&self, value: Option<&KeyValue>) -> bool {
        let here = match value {
            None => return false,
            Some(KeyValue::Here(text)) => Some(text.as_str()),
            // Larger than anything that could be asked for.
            Some(KeyValue::Blob(_)) => None,
        };
        match (&self.holds, here) {
            (KeyCondition::Exists, _) => true,
            (_, None) => false,
            (KeyCondition::AtLeast(least), Some(text)) => {
                self.millionths(text).is_some_and(|number| number >= *least)
            }
            (KeyCondition::Equals(wanted), Some(text)) => is_same(wanted.as_str(), text),
        }
    }

    fn millionths(&self, text: &str) -> Option<i64> {
        if gate_of(&self.key).is_some() {
            return text.parse().ok();
        }
        let number: f64 = text.parse().ok()?;
        // Beyond the range of numbers this is the largest one, which compares as it should.
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
        #[expect(clippy::cast_precision_loss, reason = "the scale is exact")]
        Some((number * GATE_SCALE as f64).round() as i64)
    }

    pub(super) fn check(&self) -> Result<(), NeedError> {
        let KeyCondition::Equals(value) = &self.holds else { return Ok(()) };
        let (actual, max) = (value.as_str().len(), MAX_KEY_BYTES_IN_STATE);
        if actual > max {
            return Err(NeedError::ValueTooLarge { key: self.key.clone(), actual, max });
        }
        Ok(())
    }
}

fn is_same(left: &str, right: &str) -> bool {
    let value = |text| serde_json::from_str::<Value>(text).ok();
    left == right || value(left).is_some_and(|left| value(right) == Some(left))
}

/// Millionths as a decimal number.
struct Millionths(i64);

impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = format!("{whole}.{rest:06}");
        write!(f, "{sign}{}", digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl KeyNeed {
    /// A value of the key as people write it: the score of a gate as a decimal number.
    pub(in crate::coordination) fn shown(&self, value: &KeyValue) -> String {
        match value {
            KeyValue::Blob(_) => "a large value".to_owned(),
            KeyValue::Here(text) => match (gate_of(&self.key), text.as_str().parse()) {
                (Some(_), Ok(score)) => Millionths(score).to_string(),
                _ => text.as_str().to_owned(),
            },
        }
    }
}

impl fmt::Display for KeyNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match gate_of(&self.key) {
            Some(gate) => write!(f, "gate {gate}")?,
            None => write!(f, "key {}", self.key)?,
        }
        match &self.holds {
            KeyCondition::Exists => f.write_str(" to be there")?,
            KeyCondition::AtLeast(least) => write!(f, " of at least {}", Millionths(*least))?,
            KeyCondition::Equals(value) => write!(f, " to be {}", value.as_str())?,
        }
        match self.of {
            KeyOwner::Run => Ok(()),
            KeyOwner::Shared => f.write_str(", in the run or in shared"),
        }
    }
}
