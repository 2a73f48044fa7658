//! The router that goes by the priority of the task.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::context::RoutingContext;
use super::decision::{RoutingDecision, RoutingStrategy};
use super::fraction::Fraction;
use super::priority_level::Priority;
use super::router_error::RouterError;
use super::shown::shown;
use super::vote::{Metadata, Standing, Vote};
use crate::expression::comparison::numbers;

/// From where on a task is urgent, up to where it is not, and what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriorityRoutingConfig {
    /// A task is urgent from this priority on. It is looked at first.
    pub high_priority_threshold: Priority,
    /// A task is not urgent up to this one.
    pub low_priority_threshold: Priority,
    /// What is decided for an urgent task.
    pub high_priority_decision: RoutingDecision,
    /// What is decided for one that is not.
    pub low_priority_decision: RoutingDecision,
    /// What is decided for those in between.
    pub default_decision: RoutingDecision,
}

impl Default for PriorityRoutingConfig {
    /// Continues from 80 on and in between, and skips up to 20.
    fn default() -> Self {
        Self {
            high_priority_threshold: Priority::HIGH,
            low_priority_threshold: Priority::LOW,
            high_priority_decision: RoutingDecision::Continue,
            low_priority_decision: RoutingDecision::Skip,
            default_decision: RoutingDecision::Continue,
        }
    }
}

/// Decides by the priority of the task: that of the context's `custom_data`, else `task_priority`
/// of the state, else 50.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorityRouter {
    #[serde(default)]
    config: PriorityRoutingConfig,
}

impl PriorityRouter {
    /// Goes by these thresholds.
    #[must_use]
    pub fn new(config: PriorityRoutingConfig) -> Self {
        Self { config }
    }

    /// What it says of a task.
    ///
    /// # Errors
    /// [`RouterError::NotANumber`] if the priority is none.
    pub fn evaluate(
        &self,
        state: &Map<String, Value>,
        context: &RoutingContext,
    ) -> Result<Vote, RouterError> {
        let priority = priority(state, context)?;
        let PriorityRoutingConfig {
            high_priority_threshold: high,
            low_priority_threshold: low,
            ..
        } = self.config;
        let against = |threshold: Priority| numbers(&priority, &threshold.get().into());
        let (decision, percent, standing, reasoning) = if against(high).is_ge() {
            let reasoning = format!("High-priority task: {priority} >= {high}");
            (self.config.high_priority_decision, 95, Standing::Explicit, reasoning)
        } else if against(low).is_le() {
            let reasoning = format!("Low-priority task: {priority} <= {low}");
            (self.config.low_priority_decision, 85, Standing::Explicit, reasoning)
        } else {
            let reasoning = format!("Medium-priority task: {priority}");
            (self.config.default_decision, 80, Standing::Default, reasoning)
        };
        Ok(Vote {
            strategy: RoutingStrategy::Priority,
            decision,
            confidence: Fraction::of_percent(percent),
            reasoning,
            next_task: None,
            standing,
            metadata: Metadata::Priority { priority, high_threshold: high, low_threshold: low },
        })
    }
}

fn priority(state: &Map<String, Value>, context: &RoutingContext) -> Result<Number, RouterError> {
    let places = [
        ("custom_data.priority", context.custom_data.get("priority")),
        ("task_priority", state.get("task_priority")),
    ];
    for (key, value) in places {
        match value {
            None | Some(Value::Null) => {}
            Some(Value::Number(number)) => return Ok(number.clone()),
            Some(other) => return Err(RouterError::NotANumber { key, found: shown(other) }),
        }
    }
    Ok(Priority::MEDIUM.get().into())
}
