//! The router that looks for what can run side by side.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::context::RoutingContext;
use super::decision::{RoutingDecision, RoutingStrategy};
use super::fraction::Fraction;
use super::name::{Name, listed};
use super::router_error::RouterError;
use super::shown::shown;
use super::vote::{Metadata, Standing, Vote};

/// Tasks that can run side by side, once others are completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelizationHint {
    /// The tasks.
    pub task_group: TaskGroup,
    /// What must be completed before.
    #[serde(default)]
    pub dependencies: Vec<Name>,
    /// How long the group is going to take.
    #[serde(rename = "estimated_duration_ms", default, with = "super::milliseconds")]
    pub estimated_duration: Duration,
}

/// The tasks of a hint: one at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Name>")]
pub struct TaskGroup(Vec<Name>);

/// A group has no task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a task group is empty; name at least one task")]
pub struct TaskGroupError;

impl TryFrom<Vec<Name>> for TaskGroup {
    type Error = TaskGroupError;
    fn try_from(tasks: Vec<Name>) -> Result<Self, TaskGroupError> {
        if tasks.is_empty() { Err(TaskGroupError) } else { Ok(Self(tasks)) }
    }
}

/// Decides that tasks run side by side if a hint says that they can.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelRouter {
    #[serde(default)]
    parallelization_hints: Vec<ParallelizationHint>,
}

impl ParallelRouter {
    /// Goes by these hints, in this order.
    #[must_use]
    pub fn new(parallelization_hints: Vec<ParallelizationHint>) -> Self {
        Self { parallelization_hints }
    }

    /// What it says of a state; it reads `completed_tasks`.
    ///
    /// # Errors
    /// [`RouterError::NotAList`] if those are no list.
    pub fn evaluate(
        &self,
        state: &Map<String, Value>,
        context: &RoutingContext,
    ) -> Result<Vote, RouterError> {
        let completed = Completed::of(state)?;
        let task = &context.current_task;
        let hits = self.parallelization_hints.iter().filter_map(|hint| {
            let parallel_tasks = hint.beside(task, &completed);
            (!parallel_tasks.is_empty()).then_some((hint, parallel_tasks))
        });
        let strategy = RoutingStrategy::Parallel;
        let Some((hint, parallel_tasks)) = { hits }.next() else {
            return Ok(Vote {
                strategy,
                decision: RoutingDecision::Continue,
                confidence: Fraction::of_percent(70),
                reasoning: format!("No parallel execution opportunities for task '{task}'"),
                next_task: None,
                standing: Standing::Default,
                metadata: Metadata::NoHint { hints_checked: self.parallelization_hints.len() },
            });
        };
        let beside = listed(parallel_tasks.iter());
        Ok(Vote {
            strategy,
            decision: RoutingDecision::Parallel,
            confidence: Fraction::of_percent(90),
            reasoning: format!("Task '{task}' can run in parallel with {beside}"),
            next_task: None,
            standing: Standing::Explicit,
            metadata: Metadata::Parallel {
                parallel_tasks,
                dependencies: hint.dependencies.clone(),
                estimated_duration: hint.estimated_duration,
            },
        })
    }
}

impl ParallelizationHint {
    /// The tasks that can run beside this one now; none if the hint does not apply.
    fn beside(&self, task: &Name, completed: &Completed<'_>) -> Vec<Name> {
        let TaskGroup(group) = &self.task_group;
        if !group.contains(task) || !self.dependencies.iter().all(|task| completed.has(task)) {
            return Vec::new();
        }
        group.iter().filter(|other| *other != task && !completed.has(other)).cloned().collect()
    }
}

/// The tasks that a state calls completed.
struct Completed<'s>(&'s [Value]);

impl<'s> Completed<'s> {
    fn of(state: &'s Map<String, Value>) -> Result<Self, RouterError> {
        match state.get("completed_tasks") {
            None | Some(Value::Null) => Ok(Self(&[])),
            Some(Value::Array(tasks)) => Ok(Self(tasks)),
            Some(other) => {
                Err(RouterError::NotAList { key: "completed_tasks", found: shown(other) })
            }
        }
    }

    fn has(&self, task: &Name) -> bool {
        self.0.iter().any(|completed| completed.as_str() == Some(task.as_str()))
    }
}
