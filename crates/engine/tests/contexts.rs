//! Contexts of agents: distributed, updated together, and given to sessions.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod verified;

use std::time::Duration;

use antiphon::contexts::{ContextError, ContextLimits, IntelligenceUpdate};
use antiphon::keys::{JsonText, KeyWrite};
use antiphon::{
    AgentId, Budget, CoordinationConfig, Digest, Engine, Output, Run, SessionContext, Version,
    WorkSpec,
};
use serde_json::{Value, json};
use verified::verified;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn agent(name: &str) -> AgentId {
    name.parse().unwrap()
}

async fn open(engine: &Engine, items: Vec<WorkSpec>) -> Result<Run> {
    let budget = Budget::sessions(100).within(Duration::from_secs(600)).build()?;
    Ok(engine.submit(CoordinationConfig::open(items, budget)?.with_id("run")?).await?)
}

fn update(field: &str, data: Value, agents: Option<&[&str]>) -> IntelligenceUpdate {
    let agents = agents.map(|agents| agents.iter().map(|name| agent(name)).collect());
    let data = data.as_object().unwrap().clone();
    IntelligenceUpdate { field: field.to_owned(), data, agents, counts: true }
}

#[tokio::test]
async fn agents_have_their_own_copies_and_what_they_share_is_updated_with_one_event() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let run = open(&engine, Vec::new()).await?;
    let contexts = run.contexts();
    let given = json!({ "agent_assignment": { "tasks": ["t"] }, "own": { "kept": [1] } });
    let version = contexts.distribute([(agent("a"), given), (agent("b"), json!({}))]).await?;
    assert_eq!(version, Version(2));
    let a = contexts.get(&agent("a")).await?.unwrap();
    let expected = json!({
        "coordination_metadata": {
            "session_id": "run", "coordination_id": "run", "agent_id": "a", "agent_role": "a",
            "parent_workflow_id": null
        },
        "shared_intelligence": {
            "type_registry": {}, "pattern_library": {}, "validation_rules": {},
            "naming_conventions": {}, "dependency_graph": {}
        },
        "agent_assignment": {
            "objective": "", "tasks": ["t"], "input_data": {}, "dependencies": [],
            "output_requirements": {}, "success_criteria": {}
        },
        "coordination_protocols": {
            "update_interval_ms": 5000, "heartbeat_interval_ms": 10000,
            "status_update_channel": "state", "result_delivery_channel": "state",
            "error_reporting_channel": "state", "coordination_endpoint": null
        },
        "resource_allocation": {
            "quality_threshold": 0.8, "timeout_ms": 30000, "concurrency_limit": 10
        },
        "context_version": 1,
        "own": { "kept": [1] }
    });
    assert_eq!(Value::Object(a.members().clone()), expected);

    let sizes = engine.stats().all()["context_size_bytes"];
    assert!(sizes.count == 2 && sizes.p50 > 500.0, "{sizes:?}");
    let names = update("naming_conventions", json!({ "class": "PascalCase" }), None);
    assert_eq!(contexts.update(&names).await?, Version(3));
    let types = update("type_registry", json!({ "N": { "of": "int" } }), Some(&["b"]));
    assert_eq!(contexts.update(&types).await?, Version(4));
    let shared = async |name: &str| {
        let context = contexts.get(&agent(name)).await.unwrap().unwrap();
        let shared = &context.members()["shared_intelligence"];
        (context.version(), shared["naming_conventions"].clone(), shared["type_registry"].clone())
    };
    let class = json!({ "class": "PascalCase" });
    assert_eq!(shared("a").await, (2, class.clone(), json!({})));
    assert_eq!(shared("b").await, (3, class, json!({ "N": { "of": "int" } })));

    let refused = [
        (update("rules", json!({}), None), "is no part of the shared intelligence"),
        (update("type_registry", json!({}), Some(&["x"])), "agent x has no context"),
        (
            update("naming_conventions", json!({ "n": 1 }), None),
            "/shared_intelligence/naming_conventions must be an object of texts",
        ),
    ];
    for (update, why) in refused {
        let error = contexts.update(&update).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let wrong = json!({
        "coordination_metadata": { "agent_id": "other" },
        "agent_assignment": [],
        "coordination_protocols": { "update_interval_ms": 99 },
        "resource_allocation": { "quality_threshold": 1.5, "max_retry_attempts": -1 },
        "context_version": 0
    });
    let error = contexts.distribute([(agent("c"), wrong)]).await.unwrap_err();
    let ContextError::NotAContext { faults, .. } = error else { panic!("{error}") };
    let places: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    let expected = [
        "/coordination_metadata/agent_id",
        "/agent_assignment",
        "/coordination_protocols/update_interval_ms",
        "/resource_allocation/max_retry_attempts",
        "/resource_allocation/quality_threshold",
        "/context_version",
    ];
    assert_eq!(places, expected);

    assert_eq!(contexts.delete(Some(&[agent("a"), agent("none")])).await?, Version(5));
    assert_eq!(contexts.agents().await?, [agent("b")]);
    assert_eq!(contexts.delete(None).await?, Version(6));
    assert_eq!(contexts.get(&agent("b")).await?, None);
    run.close("done").await?;
    run.wait().await?;
    engine.close().await?;
    verified(&dir.path().join("state"))?;
    Ok(())
}

#[tokio::test]
async fn of_updates_at_the_same_time_none_is_lost() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let run = open(&engine, Vec::new()).await?;
    run.contexts().distribute([(agent("a"), json!({}))]).await?;
    let updates: Vec<_> = (0..8)
        .map(|n| {
            let contexts = run.contexts();
            let update = update("type_registry", json!({ format!("T{n}"): n }), None);
            tokio::spawn(async move { contexts.update(&update).await })
        })
        .collect();
    for update in updates {
        update.await??;
    }
    let a = run.contexts().get(&agent("a")).await?.unwrap();
    let types = a.members()["shared_intelligence"]["type_registry"].as_object().unwrap();
    assert_eq!((a.version(), types.len()), (9, 8));
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_session_has_the_context_that_its_agent_had_when_it_was_bound() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("echo", |session: SessionContext| async move {
        let context = session.context().await?;
        Ok(Output::text(context.map_or("none".to_owned(), |context| context.as_str().to_owned())))
    })?;
    let engine = builder.start().await?;
    let run = open(&engine, Vec::new()).await?;
    let large = format!("\"{}\"", "x".repeat(1_000));
    let set = |key: &str, value: &str| {
        KeyWrite::set(key.parse().unwrap(), JsonText::new(value).unwrap()).unwrap()
    };
    run.set_keys([set("context/small", "{ \"n\":  1 }"), set("context/large", &large)]).await?;
    let mut events = run.follow_after(Version(2)).await?;
    let items = ["small", "large", "other"].map(|name| WorkSpec::function(name, "echo").unwrap());
    run.add_work(items.to_vec()).await?;
    let mut named = Vec::new();
    for _ in 0..7 {
        let event = events.next().await?.unwrap();
        if &*event.kind == "coordination.session_bound" {
            let bound: Value = serde_json::from_slice(event.payload.bytes().unwrap())?;
            named.push((event.schema, bound["context"].as_str().map(str::to_owned)));
        }
    }
    let digest = |text: &str| Some(Digest::of(text.as_bytes()).to_string());
    let expected = [(2, digest("{ \"n\":  1 }")), (2, digest(&large)), (1, None)];
    assert_eq!(named, expected);
    for (item, context) in
        [("small", "{ \"n\":  1 }"), ("large", large.as_str()), ("other", "none")]
    {
        assert_eq!(run.output(item).await?, Some(Output::text(context)), "{item}");
    }
    engine.close().await?;
    verified(&dir.path().join("state"))?;
    Ok(())
}

#[test]
fn a_context_limits_time_and_memory_where_it_says_so() {
    let limits = |context: Value| {
        let limits = ContextLimits::of(&JsonText::new(context.to_string()).unwrap());
        (limits.time.map(|time| time.as_millis()), limits.memory)
    };
    let given =
        json!({ "resource_allocation": { "max_execution_time_ms": 1500, "max_memory_mb": 2 } });
    assert_eq!(limits(given), (Some(1500), Some(2 << 20)));
    for nothing in
        [json!({}), json!([]), json!({ "resource_allocation": { "max_memory_mb": "2" } })]
    {
        assert_eq!(limits(nothing), (None, None));
    }
}
