//! What the table of an object's keys is made of.
//!
//! The objects' files hold the tables; the reader looks keys up in them, and the JSON Schema and
//! the reference in `docs/plan.md` follow from them.

use std::fmt;

/// A mapping with fixed keys.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Object {
    /// Its name in the schema.
    pub name: &'static str,
    /// What it is, for messages: "the plan", "a runner".
    pub what: &'static str,
    pub keys: &'static [Key],
    /// Names that are reserved for a later version.
    pub later: &'static [&'static str],
    /// Whether other keys are allowed as well: the parameters of a runner.
    pub open: bool,
}

#[derive(Debug)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Key {
    pub name: &'static str,
    pub kind: ValueKind,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
    /// The key with a value, as it is written in a plan.
    pub example: &'static str,
    /// Whether it must be there.
    pub required: bool,
}

/// What a key takes.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueKind {
    Text,
    /// A text with placeholders.
    Template,
    /// A parameter's value: a text with placeholders, or a number or truth value as it is written.
    Value,
    /// Anything: a text, a number, a truth value, a list or a mapping.
    Json,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A count such as `200k`.
    Count,
    /// A duration such as `10m`.
    Duration,
    /// A size such as `2GiB`.
    Size,
    /// A cost such as `2.50 USD`.
    Cost,
    /// A share such as `20%`.
    Share,
    /// One of some words.
    Word(&'static [&'static str]),
    List(&'static Self),
    /// A mapping from names of the user's own.
    Names(&'static Self),
    /// A mapping with fixed keys.
    Of(&'static Object),
    Either(&'static [Self]),
}

/// What it takes, in words.
impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Template => f.write_str("text with placeholders"),
            Self::Value => f.write_str("value with placeholders"),
            Self::Json => f.write_str("anything"),
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Integer(min, max) if *max >= i64::from(i32::MAX) && *min > 0 => {
                write!(f, "whole number from {min}")
            }
            Self::Integer(min, max) if *max >= i64::from(i32::MAX) && *min < 0 => {
                f.write_str("whole number")
            }
            Self::Integer(min, max) => write!(f, "whole number from {min} to {max}"),
            Self::Count => f.write_str("count"),
            Self::Duration => f.write_str("duration"),
            Self::Size => f.write_str("size"),
            Self::Cost => f.write_str("cost"),
            Self::Share => f.write_str("share"),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                f.write_str(&words.join(", "))
            }
            Self::List(of) => write!(f, "list of: {of}"),
            Self::Names(of) => write!(f, "names, each with: {of}"),
            Self::Of(object) => write!(f, "mapping `{}`", object.name),
            Self::Either(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                f.write_str(&kinds.join("; or "))
            }
        }
    }
}

impl Object {
    /// The key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(in crate::plan) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

pub(in crate::plan) const fn key(
    name: &'static str,
    kind: ValueKind,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, doc, example, required: false }
}

pub(in crate::plan) const fn required(
    name: &'static str,
    kind: ValueKind,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, doc, example, required: true }
}
