//! Conditions over JSON, such as `score >= 0.8 && !("draft" in tags)`: a subset of CEL, read by our
//! own parser and evaluated without a way to fail, to loop or to call anything.
//!
//! Whatever the text, reading it ends with an [`Expression`] or a [`ParseError`] that says where;
//! whatever the JSON, evaluating it ends with true or false. What both cost is bounded by
//! [`MAX_BYTES`] and [`MAX_DEPTH`], and by the longest list that is searched.

pub(crate) mod comparison;
mod error;
mod limits;
mod node;
mod parse;
mod path;
mod token;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use error::{ParseError, Problem};
pub use limits::{MAX_BYTES, MAX_DEPTH};
use node::Node;
pub use path::Path;

/// A condition over JSON. It keeps the text that it was read from, and is printed and stored as
/// that.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: Box<str>,
    node: Node,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// A [`ParseError`] says what is wrong, where, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { text: text.into(), node: parse::parse(text)? })
    }

    /// The text that it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the condition holds for a value, whose members are the first names of paths.
    ///
    /// A comparison with something absent is false, and so is one between types that have no
    /// order.
    #[must_use]
    pub fn evaluate(&self, over: &Value) -> bool {
        self.node.holds(over)
    }

    /// What it looks at, in the order of the text, so that a caller can refuse names that will
    /// never be there.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        self.node.collect_paths(&mut paths);
        paths
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expression {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
