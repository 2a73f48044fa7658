//! What follows an attempt, as the session itself decides it.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod verified;

use std::time::Duration;

use antiphon::routing::{
    ConditionOperator, ConditionalRouter, ConditionalRule, Route, RoutingContext, RoutingDecision,
    SmartRoutingOrchestrator, StateAnalysisRouter,
};
use antiphon::{Budget, CoordinationConfig, Engine, Failed, Output, SessionContext, WorkSpec};
use serde_json::json;
use verified::verified;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Retries while a draft has less than so many words.
fn rules() -> SmartRoutingOrchestrator {
    let mut routing = SmartRoutingOrchestrator::new();
    routing.add_router(ConditionalRouter::new(vec![ConditionalRule {
        rule_id: "short".parse().unwrap(),
        name: "too short".parse().unwrap(),
        condition_key: "words".parse().unwrap(),
        condition_operator: ConditionOperator::Less,
        condition_value: 3.into(),
        decision: RoutingDecision::Retry,
        next_task: None,
        priority: 50.try_into().unwrap(),
    }]));
    routing.add_router(StateAnalysisRouter::default());
    routing
}

#[tokio::test]
async fn what_a_session_decides_is_followed_and_in_the_receipt() -> Result {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let mut builder = Engine::builder(&state)?;
    builder.register("draft", |session: SessionContext| async move {
        let words = session.attempt();
        let routed = rules().route(&json!({ "words": words }), RoutingContext::new("draft")?)?;
        Ok(Output::text(format!("{words} words")).routed(&routed.result))
    })?;
    builder.register("lint", |_: SessionContext| async move {
        let why = "there is nothing to lint";
        Err(Failed::because(why).routed(Route::new(RoutingDecision::Skip, why)))
    })?;
    builder.register("publish", |session: SessionContext| async move {
        let draft = session.output_of("draft").await?.unwrap_or_default();
        let enough = Route::new(RoutingDecision::End, "published");
        Ok(draft.routed(enough.by_rule("enough".parse()?)))
    })?;
    builder.register("never", |_: SessionContext| async move {
        Ok(Output::text("it was started all the same"))
    })?;
    let engine = builder.start().await?;
    let work = vec![
        WorkSpec::function("draft", "draft")?,
        WorkSpec::function("lint", "lint")?,
        WorkSpec::function("publish", "publish")?.needs_work("draft")?.needs_work("lint")?,
        WorkSpec::function("later", "never")?.needs_work("publish")?,
    ];
    let budget = Budget::sessions(100).within(Duration::from_secs(600)).build()?;
    let run = engine.submit(CoordinationConfig::of_work(work, budget)?.with_id("r")?).await?;
    run.wait().await?;
    let receipt = run.receipt().await?.unwrap();
    let ends = receipt.work_outcomes.iter().map(|item| {
        let end = item.final_outcome.as_ref().map_or("unfinished", |end| end.as_str());
        format!("{} {end} after {}", item.work_id, item.attempts)
    });
    let mut ends: Vec<String> = ends.collect();
    ends.sort();
    assert_eq!(
        ends,
        [
            "draft succeeded after 3",
            "later unfinished after 0",
            "lint skipped after 1",
            "publish succeeded after 1",
        ]
    );
    let decided = receipt.routes.unwrap().routes.into_iter().map(|route| {
        let rule = route.rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
        format!("{} {} at {}{rule}", route.work_id, route.decision.as_str(), route.confidence)
    });
    let mut decided: Vec<String> = decided.collect();
    decided.sort();
    assert_eq!(
        decided,
        [
            "draft continue at 900000",
            "draft retry at 1000000 by too short",
            "draft retry at 1000000 by too short",
            "lint skip at 1000000",
            "publish end at 1000000 by enough",
        ]
    );
    engine.close().await?;
    verified(&state)
}
