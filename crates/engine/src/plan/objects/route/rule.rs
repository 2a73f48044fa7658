//! A rule as it is recorded, and asked after an attempt.

use std::collections::BTreeSet;

use antiphon_core::coordination::Route;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expression::Expression;
use crate::id::WorkId;
use crate::routing::{Name, RoutingDecision};

/// What follows an attempt of which a condition holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Expression>,
    decision: RoutingDecision,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    to: BTreeSet<WorkId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

// Conditions are compared by what they were read from, which is always the same as itself.
impl Eq for RouteRule {}

impl RouteRule {
    pub(super) fn new(
        name: Name,
        when: Option<Expression>,
        decision: RoutingDecision,
        to: BTreeSet<WorkId>,
        because: Option<String>,
    ) -> Self {
        Self { name, when, decision, to, because }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Its condition; without one it always decides.
    #[must_use]
    pub fn when(&self) -> Option<&Expression> {
        self.when.as_ref()
    }

    /// Whether it decides about an attempt.
    #[must_use]
    pub fn holds(&self, attempt: &Value) -> bool {
        self.when.as_ref().is_none_or(|when| when.evaluate(attempt))
    }

    /// What it decides.
    #[must_use]
    pub fn route(&self) -> Route {
        let always = || "whatever the attempt was".to_owned();
        let condition = || self.when.as_ref().map_or_else(always, ToString::to_string);
        let reason = self.because.clone().unwrap_or_else(condition);
        let to: Vec<WorkId> = self.to.iter().cloned().collect();
        let route = match to.is_empty() {
            true => Route::new(self.decision, reason),
            false => Route::going_to(to, reason),
        };
        route.by_rule(self.name.clone())
    }
}

/// The rules of an item, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouteRules(Vec<RouteRule>);

impl RouteRules {
    pub(in crate::plan::objects) fn new(rules: Vec<RouteRule>) -> Self {
        Self(rules)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &RouteRule> {
        self.0.iter()
    }

    /// What the first of them decides whose condition holds. Nothing: what the outcome means by itself.
    #[must_use]
    pub fn decide(&self, attempt: &Value) -> Option<Route> {
        self.0.iter().find(|rule| rule.holds(attempt)).map(RouteRule::route)
    }
}
