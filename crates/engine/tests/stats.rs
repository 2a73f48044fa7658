//! What an engine measures of itself: every name, what it counts and what it does not.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::time::Duration;

use antiphon::keys::JsonText;
use antiphon::routing::{RoutingContext, SmartRoutingOrchestrator};
use antiphon::signals::{Dedup, From, Signal, SignalFilter};
use antiphon::waits::{SignalNeed, Waited};
use antiphon::{
    AgentId, Budget, CoordinationConfig, Engine, Need, Output, SessionContext, WorkSpec,
};
use serde_json::json;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn agent(name: &str) -> AgentId {
    name.parse().unwrap()
}

fn note() -> Signal {
    Signal::new("note".parse().unwrap()).from(agent("a"))
}

/// How many values there are under each name that has some.
fn counts(engine: &Engine) -> Vec<(&'static str, u64)> {
    let all = engine.stats().all().into_iter().map(|(name, measured)| (name, measured.count));
    all.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn every_metric_has_a_value_for_each_time_that_it_happened_and_none_for_what_was_refused()
-> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("route", |session: SessionContext| async move {
        session.signal(Signal::new("note".parse()?)).await?;
        let mut routers = SmartRoutingOrchestrator::new().measured_by(session.stats());
        let routed = routers.route(&json!({}), RoutingContext::new("route")?)?;
        Ok(Output::none().routed(&routed.result))
    })?;
    let engine = builder.start().await?;
    assert_eq!(counts(&engine), []);
    let budget = Budget::sessions(9).within(Duration::from_secs(600)).build()?;
    let config = CoordinationConfig::open(Vec::new(), budget)?.with_id("run")?;
    let run = engine.submit(config).await?;

    run.signal(note()).await?;
    let large = JsonText::new(format!("\"{}\"", "x".repeat(70_000)))?;
    assert!(note().with_data(large).is_err(), "it is refused before it is sent");
    assert!(run.signal(note().once(Dedup::new(""))).await.is_err(), "a key has a letter");
    assert_eq!(counts(&engine), [("signal_propagation_time_ms", 1), ("signals_sent", 1)]);

    let contexts = run.contexts();
    contexts.distribute([(agent("a"), json!({})), (agent("b"), json!({}))]).await?;
    assert!(contexts.distribute([(agent("c"), json!(1))]).await.is_err());

    let waited = |kind: &str, time| {
        let need = Need::from(SignalNeed::new(kind.parse().unwrap()));
        run.wait_for([need], Some(time))
    };
    assert!(matches!(waited("note", Duration::from_secs(60)).await?, Waited::Met(_)));
    let unmet = waited("other", Duration::from_millis(1)).await?;
    assert!(matches!(unmet, Waited::TimedOut { .. }));

    run.add_work(WorkSpec::function("item", "route")?).await?;
    run.close("that is all").await?;
    run.wait().await?;
    let mut signals = run.signals(SignalFilter::new().of_type("note")?, From::Beginning).await?;
    while signals.next().await?.is_some() {}

    let all: Vec<_> = counts(&engine);
    let expected = [
        ("context_distribution_per_agent_ms", 2),
        ("context_distribution_time_ms", 1),
        ("context_size_bytes", 2),
        ("dependency_resolution_time_ms", 1),
        ("routing_decision_time_ms", 1),
        ("routing_decisions_count", 1),
        ("signal_propagation_time_ms", 2),
        ("signals_received", 2),
        ("signals_sent", 2),
    ];
    assert_eq!(all, expected);
    for (name, measured) in engine.stats().all() {
        assert!(measured.last > 0.0, "{name}: {measured:?}");
        assert!(0.0 < measured.p50 && measured.p50 <= measured.p95, "{name}: {measured:?}");
    }
    assert_eq!(engine.stats().get("signals_lost"), None);
    engine.close().await?;
    Ok(())
}
