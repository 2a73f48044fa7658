//! What an expression means, without the text: conditions and how they are combined.

use std::cmp::Ordering;

use serde_json::Value;

use super::comparison::{equal, order};
use super::path::Path;

/// A condition. It is at most as deep as the parser lets it be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Has(Path),
    Compare { path: Path, operator: Operator, literal: Value },
    OneOf { path: Path, literals: Vec<Value> },
    Contains { path: Path, literal: Value },
}

/// How a value is compared with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Node {
    /// Whether the condition holds.
    pub(super) fn holds(&self, over: &Value) -> bool {
        match self {
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(over)),
            Self::All(nodes) => nodes.iter().all(|node| node.holds(over)),
            Self::Not(node) => !node.holds(over),
            Self::Has(path) => path.find(over).is_some(),
            Self::Compare { path, operator, literal } => {
                path.find(over).is_some_and(|value| operator.holds(value, literal))
            }
            Self::OneOf { path, literals } => path
                .find(over)
                .is_some_and(|value| literals.iter().any(|literal| equal(value, literal))),
            Self::Contains { path, literal } => {
                path.find(over).is_some_and(|value| contains(value, literal))
            }
        }
    }

    /// Adds the paths that it looks at.
    pub(super) fn collect_paths<'n>(&'n self, paths: &mut Vec<&'n Path>) {
        match self {
            Self::Any(nodes) | Self::All(nodes) => {
                nodes.iter().for_each(|node| node.collect_paths(paths));
            }
            Self::Not(node) => node.collect_paths(paths),
            Self::Has(path)
            | Self::Compare { path, .. }
            | Self::OneOf { path, .. }
            | Self::Contains { path, .. } => paths.push(path),
        }
    }
}

impl Operator {
    fn holds(self, value: &Value, literal: &Value) -> bool {
        let ordered = |holds: fn(Ordering) -> bool| order(value, literal).is_some_and(holds);
        match self {
            Self::Equal => equal(value, literal),
            Self::NotEqual => !equal(value, literal),
            Self::Less => ordered(Ordering::is_lt),
            Self::LessOrEqual => ordered(Ordering::is_le),
            Self::Greater => ordered(Ordering::is_gt),
            Self::GreaterOrEqual => ordered(Ordering::is_ge),
        }
    }
}

/// Whether a list has this member, or an object this name.
fn contains(value: &Value, literal: &Value) -> bool {
    match (value, literal) {
        (Value::Array(members), _) => members.iter().any(|member| equal(member, literal)),
        (Value::Object(members), Value::String(name)) => members.contains_key(name),
        _ => false,
    }
}
