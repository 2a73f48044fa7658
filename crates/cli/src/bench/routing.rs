//! Routing: decisions over a state, as a program makes them that embeds the engine.

use std::time::{Duration, Instant};

use antiphon::routing::{
    ConditionOperator, ConditionalRouter, ConditionalRule, ParallelRouter, ParallelizationHint,
    PriorityRouter, RoutingContext, RoutingDecision, RoutingStrategy, SmartRoutingOrchestrator,
    StateAnalysisRouter,
};
use serde_json::{Map, Value, json};

use super::report::Measured;
use crate::command_error::CommandError;

const ROUNDS: usize = 2_000;

/// Decisions of a round: so many that reading the clock costs nothing beside them, and so few that
/// most rounds are over before the scheduler has anything to say.
const DECISIONS: u32 = 100;

/// The state of every measurement, as JSON: a kibibyte.
const STATE_BYTES: usize = 1_024;

pub(super) fn run() -> Result<Vec<Measured>, CommandError> {
    Ok(vec![four()?, ten_rules()?])
}

/// Ids, times and the history are part of it.
fn four() -> Result<Measured, CommandError> {
    let mut routing = SmartRoutingOrchestrator::new();
    routing.add_router(ConditionalRouter::new(rules(10)?));
    routing.add_router(ParallelRouter::new(vec![ParallelizationHint {
        task_group: vec![name("models")?, name("validators")?, name("tests")?]
            .try_into()
            .map_err(CommandError::internal)?,
        dependencies: vec![name("parse")?],
        estimated_duration: Duration::from_secs(1),
    }]));
    routing.add_router(StateAnalysisRouter::default());
    routing.add_router(PriorityRouter::default());
    let state = Value::Object(state()?);
    let context = RoutingContext::new("models").map_err(CommandError::internal)?;
    timed("route.four", || {
        let routed = routing.route(&state, context.clone()).map_err(CommandError::internal)?;
        Ok(routed.result.strategy() == RoutingStrategy::Parallel)
    })
}

fn ten_rules() -> Result<Measured, CommandError> {
    let router = ConditionalRouter::new(rules(10)?);
    let state = state()?;
    timed("route.rules.10", || Ok(router.evaluate(&state).decision == RoutingDecision::Continue))
}

/// Times decisions, each of which has to be the expected one.
fn timed(
    name: &str,
    mut is_expected: impl FnMut() -> Result<bool, CommandError>,
) -> Result<Measured, CommandError> {
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..DECISIONS {
            if !is_expected()? {
                return Err(CommandError::internal("the routers decided something else"));
            }
        }
        let taken = began.elapsed();
        times.push(taken / DECISIONS);
        rates.push(f64::from(DECISIONS) / taken.as_secs_f64());
    }
    Ok(Measured::timed(name, "us", &mut times, &mut rates))
}

/// Rules none of which matches, so that all are looked at.
fn rules(number: usize) -> Result<Vec<ConditionalRule>, CommandError> {
    let rule = |n: usize| {
        let (key, operator, value) = match n % 5 {
            0 => ("error_count", ConditionOperator::Greater, json!(0)),
            1 => ("status", ConditionOperator::In, json!(["failed", "cancelled", "timeout"])),
            2 => ("review.score", ConditionOperator::Less, json!(0.5)),
            3 => ("completed_tasks", ConditionOperator::NotContains, json!("parse")),
            _ => ("missing", ConditionOperator::NotEqual, json!("done")),
        };
        Ok(ConditionalRule {
            rule_id: name(&format!("rule-{n}"))?,
            name: name(&format!("Rule {n}"))?,
            condition_key: key.parse().map_err(CommandError::internal)?,
            condition_operator: operator,
            condition_value: value,
            decision: RoutingDecision::Retry,
            next_task: None,
            priority: Default::default(),
        })
    };
    (0..number).map(rule).collect()
}

fn name(text: &str) -> Result<antiphon::routing::Name, CommandError> {
    text.parse().map_err(CommandError::internal)
}

fn state() -> Result<Map<String, Value>, CommandError> {
    let mut state = Map::new();
    state.insert("error_count".to_owned(), json!(0));
    state.insert("status".to_owned(), json!("running"));
    state.insert("task_priority".to_owned(), json!(50));
    state.insert("completed_tasks".to_owned(), json!(["parse", "plan", "lint", "fetch"]));
    state
        .insert("review".to_owned(), json!({ "score": 0.93, "comments": ["ok", "shorter names"] }));
    for n in 0..12 {
        let result = json!({ "passed": 128 + n, "seconds": 1.25, "log": format!("out/{n}.txt") });
        state.insert(format!("outputs-{n}"), result);
    }
    let length = |state: &Map<String, Value>| {
        serde_json::to_vec(state).map(|bytes| bytes.len()).map_err(CommandError::internal)
    };
    let missing = STATE_BYTES.saturating_sub(length(&state)? + r#","notes":"""#.len());
    state.insert("notes".to_owned(), Value::from("x".repeat(missing)));
    match length(&state)? {
        STATE_BYTES => Ok(state),
        other => Err(CommandError::internal(format!("the state has {other} bytes"))),
    }
}
