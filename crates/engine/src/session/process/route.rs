//! What the rules of an item decide to follow an attempt at it.

use std::time::Instant;

use antiphon_core::coordination::SessionOutcome;
use antiphon_core::id::WorkId;
use serde_json::{Map, Value, json};

use crate::keys::GATE_SCALE;
use crate::plan::RouteRules;
use crate::session::SessionResult;
use crate::stats::{Metric, Stats};

/// The attempt of which an item's rules are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    work: &'a WorkId,
    number: u32,
}

impl<'a> Attempt<'a> {
    /// An attempt at an item, counted from 1.
    pub(crate) fn new(work: &'a WorkId, number: u32) -> Self {
        Self { work, number }
    }

    /// The result with what the rules of its item decide to follow it. What they decide is measured where
    /// there is an engine that measures.
    pub(crate) fn routed(
        self,
        rules: &RouteRules,
        result: SessionResult,
        stats: Option<&Stats>,
    ) -> SessionResult {
        if rules.is_empty() {
            return result;
        }
        let began = Instant::now();
        let route = rules.decide(&self.state(&result));
        if let (Some(_), Some(stats)) = (&route, stats) {
            stats.record_time(Metric::RoutingDecisionTime, began.elapsed());
            stats.record(Metric::RoutingDecisions, 1);
        }
        match (route, result) {
            (Some(route), Ok(output)) => Ok(output.routed(route)),
            (Some(route), Err(failed)) => Err(failed.routed(route)),
            (None, result) => result,
        }
    }

    /// What conditions can look at, as docs/plan.md lists it. What there is nothing of is absent.
    fn state(self, result: &SessionResult) -> Value {
        let (outcome, text, tree, tokens) = match result {
            Ok(output) => {
                let tokens = output.report.as_ref().map(|report| report.tokens);
                (SessionOutcome::Success, output.text.as_deref(), &output.tree, tokens)
            }
            Err(failed) => {
                let tokens = failed.report.as_ref().map(|report| report.tokens);
                (failed.outcome, Some(failed.text.as_str()), &failed.tree, tokens)
            }
        };
        let exit = tree.as_ref().and_then(|tree| tree.exit.as_deref()?.strip_prefix("exit "));
        let visit = self.work.first_visit().map(|first| &self.work.as_str()[first.len() + 1..]);
        let members = [
            ("item", Some(Value::from(self.work.first_visit().unwrap_or(self.work.as_str())))),
            ("attempt", Some(self.number.into())),
            ("visit", visit.map_or(Some(1), |visit| visit.parse::<u32>().ok()).map(Value::from)),
            ("outcome", Some(outcome.as_str().to_lowercase().into())),
            ("exit", exit.and_then(|code| code.parse::<i64>().ok()).map(Value::from)),
            ("text", text.map(Value::from)),
            ("tokens", tokens.map(Value::from)),
            ("output", result.as_ref().ok().and_then(|output| value_of(output.as_bytes()?))),
            ("scores", result.as_ref().ok().map(|output| scores(output.scores()))),
        ];
        let members =
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(members.collect::<Map<_, _>>())
    }
}

fn value_of(output: &[u8]) -> Option<Value> {
    let text = || std::str::from_utf8(output).ok().map(Value::from);
    serde_json::from_slice(output).ok().or_else(text)
}

fn scores(scores: &std::collections::BTreeMap<String, i64>) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "scores have six digits behind their point")]
    let number = |score: i64| json!(score as f64 / GATE_SCALE as f64);
    Value::Object(scores.iter().map(|(name, score)| (name.clone(), number(*score))).collect())
}

#[cfg(test)]
mod tests {
    use antiphon_core::routing::RoutingDecision;

    use super::*;
    use crate::session::{Failed, Output};

    #[test]
    fn conditions_see_what_an_attempt_was_and_nothing_that_it_was_not() {
        let output = Output::text(r#"{"approved":false}"#).with_score("coverage", 840_000);
        let work: WorkId = "review#2".parse().unwrap();
        assert_eq!(
            Attempt::new(&work, 1).state(&Ok(output.with_usage(7, 0))),
            json!({
                "item": "review", "attempt": 1, "visit": 2, "outcome": "success", "tokens": 7,
                "output": { "approved": false }, "scores": { "coverage": 0.84 }
            })
        );
        let work: WorkId = "a".parse().unwrap();
        assert_eq!(
            Attempt::new(&work, 3).state(&Err(Failed::because("exit 1: no"))),
            json!({ "item": "a", "attempt": 3, "visit": 1, "outcome": "failure", "text": "exit 1: no" })
        );
    }
    #[test]
    fn what_rules_decide_is_measured_and_what_they_leave_to_the_outcome_is_not() {
        let rules = json!([{ "name": "again", "when": "attempt == 1", "decision": "retry" }]);
        let rules: RouteRules = serde_json::from_value(rules).unwrap();
        let (work, stats): (WorkId, _) = ("a".parse().unwrap(), Stats::default());
        let mut decisions = Vec::new();
        for attempt in 1..=3 {
            let routed =
                Attempt::new(&work, attempt).routed(&rules, Ok(Output::none()), Some(&stats));
            decisions.push(routed.unwrap().route.map(|route| route.decision));
        }
        assert_eq!(decisions, [Some(RoutingDecision::Retry), None, None]);
        let decided = ["routing_decisions_count", "routing_decision_time_ms"];
        assert_eq!(decided.map(|name| stats.get(name).unwrap().count), [1, 1]);
    }
}
