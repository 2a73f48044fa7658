//! Routers with what a program keeps beside them: ids, times, and the last decisions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use antiphon_core::routing::{Router, Routers, RoutingContext, RoutingStrategy};
use serde_json::Value;

use super::history::{RoutingHistoryRecord, RoutingStats};
use crate::clock;
use crate::stats::{Metric, Stats};

const DEFAULT_HISTORY: usize = 1_000;

/// Routers, with a history of what they decided.
#[derive(Debug, Clone)]
pub struct SmartRoutingOrchestrator {
    routers: Routers,
    /// The oldest first.
    history: VecDeque<Arc<RoutingHistoryRecord>>,
    max_history_size: usize,
    stats: Option<Stats>,
}

/// Why nothing was decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// Routers look at the keys of a state, and this has none.
    #[error("the state is {found}; give an object, such as {{\"error_count\": 0}}")]
    NoObject {
        /// What it is.
        found: &'static str,
    },
}

impl Default for SmartRoutingOrchestrator {
    fn default() -> Self {
        Self::new()
    }
}

impl SmartRoutingOrchestrator {
    /// Without routers; remembers a thousand decisions.
    #[must_use]
    pub fn new() -> Self {
        Self {
            routers: Routers::default(),
            history: VecDeque::new(),
            max_history_size: DEFAULT_HISTORY,
            stats: None,
        }
    }

    /// The same, with its decisions among what an engine measures.
    #[must_use]
    pub fn measured_by(self, stats: Stats) -> Self {
        Self { stats: Some(stats), ..self }
    }

    /// The same, remembering at most so many decisions.
    #[must_use]
    pub fn with_max_history(self, max_history_size: usize) -> Self {
        Self { max_history_size, ..self }
    }

    /// Adds a router. One of the same kind is replaced, and returned.
    pub fn add_router(&mut self, router: impl Into<Router>) -> Option<Router> {
        self.routers.add(router)
    }

    /// Removes the router of this kind, if there is one.
    pub fn remove_router(&mut self, strategy: RoutingStrategy) -> Option<Router> {
        self.routers.remove(strategy)
    }

    /// The routers.
    #[must_use]
    pub fn routers(&self) -> &Routers {
        &self.routers
    }

    /// Has every router vote on a state, chooses one vote, and remembers it all.
    ///
    /// # Errors
    /// [`RoutingError`] if the state is not an object.
    pub fn route(
        &mut self,
        state: &Value,
        context: RoutingContext,
    ) -> Result<Arc<RoutingHistoryRecord>, RoutingError> {
        let members =
            state.as_object().ok_or_else(|| RoutingError::NoObject { found: kind(state) })?;
        let began = Instant::now();
        let result = self.routers.route(members, &context);
        let record = Arc::new(RoutingHistoryRecord {
            routing_id: uuid::Uuid::now_v7().to_string(),
            at: clock::wall(),
            context,
            result,
            routing_time: began.elapsed(),
        });
        if let Some(stats) = &self.stats {
            stats.record_time(Metric::RoutingDecisionTime, record.routing_time);
            stats.record(Metric::RoutingDecisions, 1);
        }
        self.history.push_back(Arc::clone(&record));
        while self.history.len() > self.max_history_size {
            self.history.pop_front();
        }
        Ok(record)
    }

    /// What was decided, the newest first.
    pub fn history(&self) -> impl Iterator<Item = &RoutingHistoryRecord> {
        self.history.iter().rev().map(|record| &**record)
    }

    /// What was decided of one task, the newest first.
    pub fn history_of<'h>(
        &'h self,
        task: &'h str,
    ) -> impl Iterator<Item = &'h RoutingHistoryRecord> {
        self.history().filter(move |record| record.context.current_task.as_str() == task)
    }

    /// Forgets what was decided.
    pub fn clear_history(&mut self) {
        self.history.clear();
    }

    /// Sums over what is remembered.
    #[must_use]
    pub fn stats(&self) -> RoutingStats {
        RoutingStats::of(self.history())
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use antiphon_core::routing::{PriorityRouter, RoutingDecision};
    use serde_json::json;

    use super::*;

    fn routing() -> SmartRoutingOrchestrator {
        let mut routing = SmartRoutingOrchestrator::new().with_max_history(3);
        routing.add_router(PriorityRouter::default());
        routing
    }

    fn route(routing: &mut SmartRoutingOrchestrator, task: &str, priority: u8) -> RoutingDecision {
        let context = RoutingContext::new(task).unwrap().with_custom("priority", priority);
        routing.route(&json!({}), context).unwrap().result.decision()
    }

    #[test]
    fn the_last_decisions_are_remembered_and_told_newest_first() {
        let mut routing = routing();
        for (task, priority) in [("a", 50), ("b", 90), ("a", 10), ("c", 10)] {
            route(&mut routing, task, priority);
        }
        let tasks: Vec<&str> =
            routing.history().map(|record| record.context.current_task.as_str()).collect();
        assert_eq!(tasks, ["c", "a", "b"]);
        assert_eq!(routing.history_of("a").count(), 1);
        let stats = routing.stats();
        assert_eq!(
            (stats.total_routings, stats.decisions, stats.strategies),
            (
                3,
                [(RoutingDecision::Continue, 1), (RoutingDecision::Skip, 2)].into(),
                [(RoutingStrategy::Priority, 3)].into()
            )
        );
        let times = stats.times.unwrap();
        assert!(times.min <= times.average && times.average <= times.max, "{times:?}");
        routing.clear_history();
        assert_eq!(routing.stats(), RoutingStats::default());
    }

    #[test]
    fn a_record_is_what_was_decided_with_an_id_and_a_time() {
        let mut routing = routing();
        let context = RoutingContext::new("a").unwrap().with_correlation_id("request 7");
        let record = routing.route(&json!({}), context).unwrap();
        let mut told = serde_json::to_value(&*record).unwrap();
        let members = told.as_object_mut().unwrap();
        assert_eq!(members.remove("routing_id"), Some(json!(record.routing_id)));
        assert_eq!(members.remove("at"), Some(json!(record.at)));
        assert!(members.remove("routing_time_ms").unwrap().as_f64().unwrap() >= 0.0);
        let vote = json!({
            "strategy": "priority",
            "decision": "continue",
            "confidence": 0.8,
            "reasoning": "Medium-priority task: 50",
            "next_task": null,
            "standing": "default",
            "metadata": { "priority": 50, "high_threshold": 80, "low_threshold": 20 },
        });
        let mut expected = vote.clone();
        let chosen = expected.as_object_mut().unwrap();
        chosen.remove("standing");
        chosen.insert("routers_evaluated".to_owned(), json!(1));
        chosen.insert("votes".to_owned(), json!([vote]));
        chosen.insert(
            "context".to_owned(),
            json!({
                "current_task": "a",
                "execution_time": 0.0,
                "retry_count": 0,
                "custom_data": {},
                "correlation_id": "request 7",
            }),
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn a_state_that_is_no_object_is_refused_and_not_remembered() {
        let mut routing = routing();
        let error = routing.route(&json!([1]), RoutingContext::new("a").unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the state is a list; give an object, such as {\"error_count\": 0}"
        );
        assert_eq!(routing.history().count(), 0);
    }

    #[test]
    fn a_router_that_was_replaced_or_removed_is_returned() {
        let mut routing = routing();
        let replaced = routing.add_router(PriorityRouter::default());
        assert_eq!(replaced, Some(PriorityRouter::default().into()));
        let removed = routing.remove_router(RoutingStrategy::Priority);
        assert_eq!(removed, replaced);
        assert_eq!(routing.remove_router(RoutingStrategy::Priority), None);
        assert_eq!(route(&mut routing, "a", 90), RoutingDecision::Continue);
        assert_eq!(routing.history().next().unwrap().result.reasoning(), "No routers available");
    }
}
