//! The router that looks for errors, gaps and size of the state.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::complexity::{StateComplexityMetrics, error_in, gap_in};
use super::context::RoutingContext;
use super::decision::{RoutingDecision, RoutingStrategy};
use super::fraction::Fraction;
use super::shown::shown;
use super::vote::{Metadata, Standing, Vote};

/// Decides by errors, gaps and complexity of the state, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateAnalysisRouter {
    max_complexity_score: Fraction,
    error_handling_decision: RoutingDecision,
}

impl Default for StateAnalysisRouter {
    /// Retries after errors, and branches above a complexity of 0.8.
    fn default() -> Self {
        Self {
            max_complexity_score: Fraction::of_percent(80),
            error_handling_decision: RoutingDecision::Retry,
        }
    }
}

impl StateAnalysisRouter {
    /// The same, with another limit on complexity.
    #[must_use]
    pub fn with_max_complexity(self, max_complexity_score: Fraction) -> Self {
        Self { max_complexity_score, ..self }
    }

    /// The same, with another decision after errors.
    #[must_use]
    pub fn on_errors(self, error_handling_decision: RoutingDecision) -> Self {
        Self { error_handling_decision, ..self }
    }

    /// What it says of a state.
    #[must_use]
    pub fn evaluate(&self, state: &Map<String, Value>, context: &RoutingContext) -> Vote {
        let metrics = StateComplexityMetrics::of(state);
        let score = metrics.complexity_score;
        let max = self.max_complexity_score;
        let (decision, percent, reasoning) = if let Some((key, value)) = error_in(state) {
            let value = shown(value);
            (self.error_handling_decision, 95, format!("State contains errors: {key} is {value}"))
        } else if let Some((key, value)) = gap_in(state) {
            let value = shown(value);
            (RoutingDecision::Skip, 80, format!("State has incomplete data: {key} is {value}"))
        } else if score > max {
            let reasoning = format!("State complexity {score} is above {max}");
            (RoutingDecision::Branch, 85, reasoning)
        } else {
            let reasoning =
                format!("State complexity {score} is within normal range (up to {max})");
            (RoutingDecision::Continue, 90, reasoning)
        };
        let is_normal = !metrics.has_errors && !metrics.has_incomplete_data && score <= max;
        Vote {
            strategy: RoutingStrategy::StateAnalysis,
            decision,
            confidence: Fraction::of_percent(percent),
            reasoning,
            next_task: None,
            standing: if is_normal { Standing::Default } else { Standing::Explicit },
            metadata: Metadata::State {
                retry_count: metrics.has_errors.then_some(context.retry_count),
                complexity_metrics: metrics,
            },
        }
    }
}
