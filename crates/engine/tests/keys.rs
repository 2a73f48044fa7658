//! Keys of runs: set together or not at all, read as they are, and as they were.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod verified;

use std::time::Duration;

use antiphon::keys::{Expected, FoundKey, JsonText, KeyRecord, KeyWrite};
use antiphon::{
    Budget, CoordinationConfig, Engine, Output, Run, SessionContext, Version, WorkSpec,
};
use serde_json::{Value, json};
use verified::verified;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn set(key: &str, value: &Value) -> KeyWrite {
    KeyWrite::set(key.parse().unwrap(), JsonText::new(value.to_string()).unwrap()).unwrap()
}

fn delete(key: &str) -> KeyWrite {
    KeyWrite::delete(key.parse().unwrap())
}

async fn open(engine: &Engine, id: &str) -> Result<Run> {
    let budget = Budget::sessions(100).within(Duration::from_secs(600)).build()?;
    Ok(engine.submit(CoordinationConfig::open(Vec::new(), budget)?.with_id(id)?).await?)
}

fn found(keys: &[FoundKey]) -> Vec<String> {
    keys.iter().map(|key| format!("{} {} {}", key.version, key.key, key.value.as_str())).collect()
}

fn record(change: &KeyRecord) -> String {
    let value = change.value.as_ref().map_or("", |value| value.as_str());
    let gone = if change.gone { "gone" } else { "" };
    format!("{} {} {value}{gone} by {}", change.version, change.key, change.by)
}

#[tokio::test]
async fn keys_are_read_as_they_are_and_of_an_ended_run_as_they_were() -> Result {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let engine = Engine::open(&state).await?;
    let run = open(&engine, "run").await?;
    let mut watched = run.watch_keys("state/", Version(0)).await?;
    let large = Value::from("x".repeat(5_000));
    run.set_keys([set("state/a", &json!(1)), set("state/b", &large), set("other", &json!(null))])
        .await?;
    run.set_keys([set("gate/coverage", &json!(810_000)), delete("state/a")]).await?;
    run.set_keys([set("state/c", &json!({ "n": [1, 2] }))]).await?;
    assert_eq!(run.set_keys([delete("state/a")]).await?, Version(4), "nothing was recorded of it");

    let there = [
        "3 gate/coverage 810000".to_owned(),
        "2 other null".to_owned(),
        format!("2 state/b {large}"),
        r#"4 state/c {"n":[1,2]}"#.to_owned(),
    ];
    assert_eq!(found(&run.keys("", None, 100).await?), there);
    assert_eq!(found(&run.keys("", Some("other"), 1).await?), there[2..3]);
    assert_eq!(run.key("state").await?, None);
    assert_eq!(run.key("state/c").await?.unwrap().version, Version(4));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(record(&watched.next().await?.unwrap()));
    }
    let changes = [
        "2 state/a 1 by operator".to_owned(),
        format!("2 state/b {large} by operator"),
        "3 state/a gone by operator".to_owned(),
        r#"4 state/c {"n":[1,2]} by operator"#.to_owned(),
    ];
    assert_eq!(seen, changes);
    let back = run.key_history("state/a", 10).await?;
    let back: Vec<String> = back.iter().map(record).collect();
    assert_eq!(back, [changes[2].clone(), changes[0].clone()]);
    engine.close().await?;

    let engine = Engine::open(&state).await?;
    let run = engine.run("run")?;
    assert_eq!(found(&run.keys("", None, 100).await?), there);
    run.close("done").await?;
    run.wait().await?;
    assert_eq!(found(&run.keys("", None, 100).await?), there);
    let gates = run.receipt().await?.unwrap().gates.unwrap().gates;
    assert_eq!((gates[0].gate.as_str(), gates[0].score, gates.len()), ("coverage", 810_000, 1));
    engine.close().await?;
    verified(&state)
}

#[tokio::test]
async fn of_changes_that_rest_on_the_same_version_one_is_made() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("count", |session: SessionContext| async move {
        for _ in 0..10 {
            loop {
                let found = session.key("count").await?;
                let (n, expected) = match &found {
                    None => (0, Expected::Nothing),
                    Some(found) => (found.value.as_str().parse()?, Expected::At(found.version)),
                };
                let next: u64 = n + 1;
                if session.set_keys([set("count", &json!(next)).expecting(expected)]).await.is_ok()
                {
                    break;
                }
            }
        }
        let foreign = session.set_keys([set("gate/own", &json!(1))]).await.unwrap_err();
        Ok(Output::text(foreign.to_string()))
    })?;
    let engine = builder.start().await?;
    let work = ["a", "b", "c", "d"].map(|id| WorkSpec::function(id, "count").unwrap());
    let budget = Budget::sessions(9).within(Duration::from_secs(600)).build()?;
    let config = CoordinationConfig::of_work(work.to_vec(), budget)?.with_concurrency(4)?;
    let run = engine.submit(config.with_id("run")?).await?;
    run.wait().await?;
    assert_eq!(run.key("count").await?.unwrap().value.as_str(), "40");
    let history = run.key_history("count", 100).await?;
    let values: Vec<&str> =
        history.iter().rev().map(|change| change.value.as_ref().unwrap().as_str()).collect();
    let serial: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    assert_eq!(values, serial, "each rests on the one before");
    assert_eq!(
        run.output("a").await?.unwrap().as_text()?,
        "this session may not score gate own; only sessions of items that the plan names under \
         `gates`, as `own: { by: [ITEM] }`, and callers outside of sessions may"
    );
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn what_passes_a_limit_is_refused_whole() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let run = open(&engine, "run").await?;
    let many = |count: usize, bytes: usize| {
        let value = Value::from("x".repeat(bytes));
        (0..count).map(move |n| set(&format!("key-{n:05}"), &value)).collect::<Vec<_>>()
    };
    let refused = [run.set_keys(many(1_001, 1)).await, run.set_keys(many(400, 200)).await];
    assert_eq!(
        refused.map(|refused| refused.unwrap_err().to_string()),
        [
            "1001 keys are too many for one command; at most 1000 can be changed at once",
            "the changes take 92429 bytes together; at most 65536 fit one command: change fewer keys \
             at once",
        ]
    );
    assert_eq!(run.status().await?.version, Version(1));
    run.set_keys(many(1_000, 1)).await?;
    assert_eq!(run.keys("key-", Some("key-00997"), 10).await?.len(), 2);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn keys_that_all_share_are_changed_by_callers_and_by_sessions_that_were_lent_them() -> Result
{
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let setup = || -> Result<antiphon::EngineBuilder> {
        let mut builder = Engine::builder(&state)?;
        builder.register("take", |session: SessionContext| async move {
            let free = session
                .shared_key("resource/gpu")
                .await?
                .map(|free| free.value.as_str().to_owned());
            let taken = session.set_shared_keys([set("resource/gpu", &json!(0))]).await;
            let foreign = session.set_shared_keys([set("gate/quality", &json!(1))]).await;
            let told = taken.err().map_or("taken".to_owned(), |error| error.to_string());
            Ok(Output::text(format!("{free:?}; {told}; {}", foreign.unwrap_err())))
        })?;
        Ok(builder)
    };
    let engine = setup()?.start().await?;
    let shared = engine.shared();
    assert_eq!(shared.keys("", None, 10).await?, []);
    assert!(shared.status().await.is_err(), "looking does not bring it into being");
    let budget = || Budget::sessions(9).within(Duration::from_secs(600)).build();
    assert_eq!(
        CoordinationConfig::open(Vec::new(), budget()?)?.with_id("shared").unwrap_err().to_string(),
        "the run id \"shared\" is that of the keys which all runs may read; choose another one"
    );

    // The first of them may be set by two at once, or by a session.
    let first = [set("resource/gpu", &json!(1))];
    let (one, other) = tokio::join!(shared.set_keys(first.clone()), shared.set_keys(first));
    assert_eq!([one?.min(other?), Version(3)], [Version(2), Version(3)]);
    let work = vec![
        WorkSpec::function("lent", "take")?.may_set_shared("resource/gpu")?,
        WorkSpec::function("not", "take")?.needs_work("lent")?,
    ];
    let run = engine.submit(CoordinationConfig::of_work(work, budget()?)?.with_id("run")?).await?;
    run.wait().await?;
    let not_lent = |work, key| {
        format!(
            "item {work} was not lent key {key} of those that all share; only what its plan names \
             under `shared` is"
        )
    };
    assert_eq!(
        run.output("lent").await?.unwrap().as_text()?,
        format!("Some(\"1\"); taken; {}", not_lent("lent", "gate/quality"))
    );
    assert_eq!(
        run.output("not").await?.unwrap().as_text()?,
        format!(
            "Some(\"0\"); {}; {}",
            not_lent("not", "resource/gpu"),
            not_lent("not", "gate/quality")
        )
    );
    for refused in [
        shared.cancel("x").await.unwrap_err().to_string(),
        shared.pause("x").await.unwrap_err().to_string(),
        shared.signal(antiphon::signals::Signal::new("a".parse()?)).await.unwrap_err().to_string(),
        shared.add_work(WorkSpec::function("a", "take")?).await.unwrap_err().to_string(),
    ] {
        assert_eq!(refused, "run shared keeps keys for all other runs; only keys can be set in it");
    }
    engine.close().await?;

    let engine = setup()?.start().await?;
    assert_eq!(found(&engine.shared().keys("", None, 10).await?), ["4 resource/gpu 0"]);
    let history = engine.shared().key_history("resource/gpu", 10).await?;
    assert_eq!(record(&history[0]), "4 resource/gpu 0 by session:run.1");
    engine.close().await?;
    verified(&state)
}
