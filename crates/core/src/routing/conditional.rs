//! The router that goes by rules.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::decision::{RoutingDecision, RoutingStrategy};
use super::fraction::Fraction;
use super::rule::ConditionalRule;
use super::vote::{Metadata, Standing, Vote};

/// Decides what the first rule says that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Rules")]
pub struct ConditionalRouter {
    rules: Vec<ConditionalRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<ConditionalRule>,
}

impl From<Rules> for ConditionalRouter {
    fn from(Rules { rules }: Rules) -> Self {
        Self::new(rules)
    }
}

impl ConditionalRouter {
    /// Goes by these rules, by priority; those of the same priority in the given order.
    #[must_use]
    pub fn new(mut rules: Vec<ConditionalRule>) -> Self {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        Self { rules }
    }

    /// What it says of a state.
    #[must_use]
    pub fn evaluate(&self, state: &Map<String, Value>) -> Vote {
        let strategy = RoutingStrategy::Conditional;
        let Some(rule) = self.rules.iter().find(|rule| rule.matches(state)) else {
            let rules_evaluated = self.rules.len();
            return Vote {
                strategy,
                decision: RoutingDecision::Continue,
                confidence: Fraction::of_percent(50),
                reasoning: format!("No conditional rules matched ({rules_evaluated} evaluated)"),
                next_task: None,
                standing: Standing::Default,
                metadata: Metadata::NoRule { rules_evaluated },
            };
        };
        Vote {
            strategy,
            decision: rule.decision,
            confidence: Fraction::of_percent(100),
            reasoning: format!("Conditional rule '{}' matched: {}", rule.name, rule.condition()),
            next_task: rule.next_task.clone(),
            standing: Standing::Explicit,
            metadata: Metadata::Rule {
                rule_id: rule.rule_id.clone(),
                rule_name: rule.name.clone(),
                rule_priority: rule.priority,
            },
        }
    }
}
