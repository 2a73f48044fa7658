//! What one router says of a state.

use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use serde_json::Number;

use super::complexity::StateComplexityMetrics;
use super::decision::{RoutingDecision, RoutingStrategy};
use super::fraction::Fraction;
use super::name::Name;
use super::priority_level::Priority;
use super::router_error::RouterError;

/// What one router says of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// The kind of router.
    pub strategy: RoutingStrategy,
    /// What it decided.
    pub decision: RoutingDecision,
    /// How sure it is.
    pub confidence: Fraction,
    /// Why, in words.
    pub reasoning: String,
    /// The task that goes on, if it names one.
    pub next_task: Option<Name>,
    /// Whether it found something, or has nothing against the default.
    pub standing: Standing,
    /// What the decision rests on.
    pub metadata: Metadata,
}

/// Whether a vote says something or abstains. One that says something outranks all that do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The router found nothing that it is there for.
    Default,
    /// The router found what it is there for.
    Explicit,
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Metadata {
    /// The rule that matched.
    Rule { rule_id: Name, rule_name: Name, rule_priority: Priority },
    /// No rule matched.
    NoRule { rules_evaluated: usize },
    /// What can run beside the task.
    Parallel {
        parallel_tasks: Vec<Name>,
        dependencies: Vec<Name>,
        #[serde(rename = "estimated_duration_ms", with = "super::milliseconds")]
        estimated_duration: Duration,
    },
    /// Nothing can.
    NoHint { hints_checked: usize },
    /// What the state is like.
    State {
        complexity_metrics: StateComplexityMetrics,
        /// Told with errors.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_count: Option<u32>,
    },
    /// How urgent the task is.
    Priority { priority: Number, high_threshold: Priority, low_threshold: Priority },
    /// There was no vote.
    Nothing {},
}

/// A router that could not vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {strategy} router cannot vote: {error}")]
pub struct FailedVote {
    /// The kind of router.
    pub strategy: RoutingStrategy,
    /// Why not.
    pub error: RouterError,
}

impl Serialize for FailedVote {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("FailedVote", 2)?;
        members.serialize_field("strategy", &self.strategy)?;
        members.serialize_field("error", &self.error.to_string())?;
        members.end()
    }
}
