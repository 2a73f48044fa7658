//! Routing: by the file of cases that other implementations can run as well, and by laws.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use antiphon_core::routing::{
    ConditionOperator, ConditionalRule, Fraction, Key, Router, Routers, RoutingContext,
    RoutingDecision, Standing,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    conditions: Vec<ConditionCase>,
    routings: Vec<RoutingCase>,
}

/// A rule's condition over a state.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionCase {
    state: Map<String, Value>,
    condition_key: Key,
    condition_operator: ConditionOperator,
    condition_value: Value,
    matches: bool,
}

/// Routers over a state, and all that they say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutingCase {
    name: String,
    state: Map<String, Value>,
    context: RoutingContext,
    routers: Routers,
    expected: Value,
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("routing_cases.json")).unwrap()
}

#[test]
fn conditions_hold_as_the_cases_say() {
    for case in cases().conditions {
        let told = format!("{case:?}");
        let rule = ConditionalRule {
            rule_id: "rule".parse().unwrap(),
            name: "Rule".parse().unwrap(),
            condition_key: case.condition_key,
            condition_operator: case.condition_operator,
            condition_value: case.condition_value,
            decision: RoutingDecision::Skip,
            next_task: None,
            priority: Default::default(),
        };
        assert_eq!(rule.matches(&case.state), case.matches, "{told}");
    }
}

#[test]
fn routers_say_what_the_cases_say() {
    let cases = cases().routings;
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    for RoutingCase { name, state, context, routers, expected } in cases {
        let result = routers.route(&state, &context);
        assert_eq!(serde_json::to_value(&result).unwrap(), expected, "{name}");
    }
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let rule = |member: &str, value: Value| {
        let mut rule = json!({
            "rule_id": "r", "name": "R", "condition_key": "k", "condition_operator": "==",
            "condition_value": 1, "decision": "skip",
        });
        rule[member] = value;
        json!({ "conditional": { "rules": [rule] } })
    };
    let table = [
        (rule("name", json!("")), "a name is empty; give it 1 to 256 characters"),
        (
            rule("rule_id", json!("x".repeat(257))),
            "a name has 257 characters; shorten it to at most 256",
        ),
        (rule("priority", json!(101)), "the priority 101 is above 100; choose one from 0 to 100"),
        (
            rule("condition_operator", json!("=")),
            "unknown variant `=`, expected one of `==`, `!=`, `>`, `<`, `>=`, `<=`, `in`, `not_in`, `contains`, `not_contains`",
        ),
        (
            rule("decision", json!("conditional")),
            "unknown variant `conditional`, expected one of `error`, `end`, `retry`, `parallel`, `branch`, `skip`, `continue`",
        ),
        (
            json!({ "parallel": { "parallelization_hints": [{ "task_group": [] }] } }),
            "a task group is empty; name at least one task",
        ),
        (
            json!({ "parallel": { "parallelization_hints": [{ "task_group": ["a"], "estimated_duration_ms": -1 }] } }),
            "-1 is no duration; give milliseconds that are not negative",
        ),
        (json!({ "state_analysis": { "max_complexity_score": 1.5 } }), "1.5 is not from 0 to 1"),
    ];
    for (router, said) in table {
        let error = serde_json::from_value::<Router>(router.clone()).unwrap_err();
        assert_eq!(error.to_string(), said, "{router}");
    }
}

#[test]
fn routers_are_stored_as_they_are_read() {
    for case in cases().routings {
        let stored = serde_json::to_value(&case.routers).unwrap();
        assert_eq!(
            serde_json::from_value::<Routers>(stored).unwrap(),
            case.routers,
            "{}",
            case.name
        );
    }
}

/// A state of keys that routers look at, with values of any kind.
fn state() -> impl Strategy<Value = Map<String, Value>> {
    let key = prop::sample::select(vec![
        "a",
        "error",
        "errors",
        "failed",
        "required_data",
        "completed_tasks",
        "task_priority",
    ]);
    let value = prop::sample::select(vec![
        json!(null),
        json!(0),
        json!(1),
        json!(95),
        json!(-1.5),
        json!("x"),
        json!([]),
        json!(["a", "b"]),
        json!({ "a": 1 }),
    ]);
    prop::collection::btree_map(key, value, 0..7).prop_map(|members| {
        members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    })
}

/// Some of four routers, in any order.
fn routers() -> impl Strategy<Value = Routers> {
    let rule = json!({
        "rule_id": "r", "name": "R", "condition_key": "a", "condition_operator": ">=",
        "condition_value": 1, "decision": "branch",
    });
    let all = [
        json!({ "conditional": { "rules": [rule] } }),
        json!({ "parallel": { "parallelization_hints": [{ "task_group": ["task", "a"] }] } }),
        json!({ "state_analysis": {} }),
        json!({ "priority": {} }),
    ];
    let all: Vec<Router> =
        all.into_iter().map(|router| serde_json::from_value(router).unwrap()).collect();
    prop::sample::subsequence(all, 0..=4).prop_shuffle().prop_map(Routers::from)
}

proptest! {
    #[test]
    fn every_router_says_something_and_the_best_vote_is_chosen(state in state(), routers in routers()) {
        let context = RoutingContext::new("task").unwrap();
        let result = routers.route(&state, &context);
        let asked: Vec<_> = routers.iter().map(Router::strategy).collect();
        let told: Vec<_> = result
            .votes()
            .iter()
            .map(|vote| match vote {
                Ok(vote) => vote.strategy,
                Err(failed) => failed.strategy,
            })
            .collect();
        prop_assert_eq!(asked, told);
        let chosen = result.chosen();
        let cast: Vec<_> = result.votes().iter().flatten().collect();
        prop_assert_eq!(result.routers_evaluated(), cast.len());
        prop_assert_eq!(cast.contains(&chosen), !cast.is_empty());
        for vote in &cast {
            prop_assert!(vote.standing <= chosen.standing, "{vote:?} outranks {chosen:?}");
            if vote.standing == chosen.standing {
                let score = |confidence: Fraction, weight| confidence.as_f64() * f64::from(weight);
                prop_assert!(
                    score(vote.confidence, vote.strategy.weight())
                        <= score(chosen.confidence, chosen.strategy.weight()) + 1e-9
                );
            }
            if vote.standing == Standing::Default {
                prop_assert_eq!(vote.decision, RoutingDecision::Continue);
            }
        }
    }
}
