//! Where in a state a rule looks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::name::{Name, NameError};

/// A key of a state, such as `error_count`, or the way to one inside of others: `review.score`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    text: Name,
    /// The names between dots, if there are dots.
    names: Vec<Box<str>>,
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// [`NameError`] if it is empty or has more than 256 characters.
    pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
        let text = Name::new(text)?;
        let dotted = text.as_str().contains('.');
        let names = text.as_str().split('.').filter(|_| dotted).map(Box::from).collect();
        Ok(Self { text, names })
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// What is there. A key that has just this name, dots and all, comes first.
    pub(super) fn find<'s>(&self, state: &'s Map<String, Value>) -> Option<&'s Value> {
        state.get(self.as_str()).or_else(|| {
            let (first, rest) = self.names.split_first()?;
            let first = state.get(&**first)?;
            rest.iter().try_fold(first, |value, name| value.as_object()?.get(&**name))
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl FromStr for Key {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
