//! A rule over a state: if this key is so, decide that.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::decision::RoutingDecision;
use super::key::Key;
use super::name::Name;
use super::priority_level::Priority;
use super::shown::shown;
use crate::expression::comparison::{equal, order};

/// If a key of the state is so, decide that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionalRule {
    /// Names it for programs.
    pub rule_id: Name,
    /// Names it for people.
    pub name: Name,
    /// Where in the state it looks.
    pub condition_key: Key,
    /// How it compares what is there.
    pub condition_operator: ConditionOperator,
    /// What it compares it with.
    pub condition_value: Value,
    /// What it decides if that holds.
    pub decision: RoutingDecision,
    /// The task that goes on then.
    #[serde(default)]
    pub next_task: Option<Name>,
    /// Rules with a higher one are looked at first.
    #[serde(default)]
    pub priority: Priority,
}

/// How the value of a key is compared with that of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionOperator {
    /// They are equal; `1` and `1.0` are.
    #[serde(rename = "==")]
    Equal,
    /// They are not.
    #[serde(rename = "!=")]
    NotEqual,
    /// The key's number or text is greater.
    #[serde(rename = ">")]
    Greater,
    /// It is less.
    #[serde(rename = "<")]
    Less,
    /// It is greater or equal.
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// It is less or equal.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// The rule's list, object or text has what the key has.
    #[serde(rename = "in")]
    In,
    /// It has not.
    #[serde(rename = "not_in")]
    NotIn,
    /// The key's list, object or text has what the rule has.
    #[serde(rename = "contains")]
    Contains,
    /// It has not.
    #[serde(rename = "not_contains")]
    NotContains,
}

impl ConditionalRule {
    /// Whether its condition holds. It does not if the key is absent, or if such values cannot be
    /// compared so: then the negated operators do not hold either.
    #[must_use]
    pub fn matches(&self, state: &Map<String, Value>) -> bool {
        self.condition_key
            .find(state)
            .is_some_and(|value| self.condition_operator.holds(value, &self.condition_value))
    }

    /// The condition in words: `error_count > 0`.
    pub(super) fn condition(&self) -> String {
        let value = shown(&self.condition_value);
        format!("{} {} {value}", self.condition_key, self.condition_operator)
    }
}

impl ConditionOperator {
    /// The operator as rules write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterOrEqual => ">=",
            Self::LessOrEqual => "<=",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::Contains => "contains",
            Self::NotContains => "not_contains",
        }
    }

    fn holds(self, value: &Value, rule: &Value) -> bool {
        let ordered = |holds: fn(Ordering) -> bool| order(value, rule).is_some_and(holds);
        match self {
            Self::Equal => equal(value, rule),
            Self::NotEqual => !equal(value, rule),
            Self::Greater => ordered(Ordering::is_gt),
            Self::Less => ordered(Ordering::is_lt),
            Self::GreaterOrEqual => ordered(Ordering::is_ge),
            Self::LessOrEqual => ordered(Ordering::is_le),
            Self::In => has(rule, value) == Some(true),
            Self::NotIn => has(rule, value) == Some(false),
            Self::Contains => has(value, rule) == Some(true),
            Self::NotContains => has(value, rule) == Some(false),
        }
    }
}

impl fmt::Display for ConditionOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a list has a member, an object a name, or a text a part; nothing if that is no question.
fn has(whole: &Value, part: &Value) -> Option<bool> {
    match (whole, part) {
        (Value::Array(members), _) => Some(members.iter().any(|member| equal(member, part))),
        (Value::Object(members), Value::String(name)) => Some(members.contains_key(name)),
        (Value::String(text), Value::String(part)) => Some(text.contains(part.as_str())),
        _ => None,
    }
}
