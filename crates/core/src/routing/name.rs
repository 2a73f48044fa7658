//! What tasks, rules, capabilities and candidates are called.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MAX_CHARS: usize = 256;

/// What a task, a rule, a capability or a candidate is called: 1 to 256 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("a name is empty; give it 1 to {MAX_CHARS} characters")]
    Empty,
    /// The text is too long.
    #[error("a name has {chars} characters; shorten it to at most {MAX_CHARS}")]
    TooLong {
        /// How many it has.
        chars: usize,
    },
}

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// [`NameError`] if it is empty or has more than 256 characters.
    pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
        let text = text.as_ref();
        // No text has more characters than bytes.
        let chars = if text.len() > MAX_CHARS { text.chars().count() } else { text.len() };
        match chars {
            0 => Err(NameError::Empty),
            1..=MAX_CHARS => Ok(Self(text.into())),
            _ => Err(NameError::TooLong { chars }),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names with commas between them; of many, the first ten.
pub(super) fn listed<'n>(names: impl ExactSizeIterator<Item = &'n Name>) -> String {
    const SHOWN: usize = 10;
    let more = names.len().saturating_sub(SHOWN);
    let mut text = String::new();
    for (index, name) in names.take(SHOWN).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(name.as_str());
    }
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_256_characters() {
        assert_eq!(Name::new("é".repeat(256)).map(|name| name.as_str().len()), Ok(512));
        let refused = |text: &str| Name::new(text).unwrap_err().to_string();
        assert_eq!(refused(""), "a name is empty; give it 1 to 256 characters");
        assert_eq!(
            refused(&"é".repeat(257)),
            "a name has 257 characters; shorten it to at most 256"
        );
    }

    #[test]
    fn of_many_names_ten_are_listed() {
        let names: Vec<Name> = (1..=12).map(|n| Name::new(n.to_string()).unwrap()).collect();
        assert_eq!(listed(names[..2].iter()), "1, 2");
        assert_eq!(listed(names.iter()), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    }
}
