//! Signals of runs: who sends them, who hears them, and what is left of them.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod verified;

use std::time::Duration;

use antiphon::keys::KeyWrite;
use antiphon::signals::{Dedup, From, HeardSignal, JsonText, Signal, SignalFilter, UNDECLARED};
use antiphon::{
    AgentId, AskError, Budget, CoordinationConfig, Engine, Failed, Output, Run, SessionContext,
    Submission, Verdict, Version, WorkSpec,
};
use serde_json::{Value, json};
use verified::verified;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn agent(name: &str) -> AgentId {
    name.parse().unwrap()
}

fn signal(kind: &str, from: &str) -> Signal {
    Signal::new(kind.parse().unwrap()).from(agent(from))
}

fn with(signal: Signal, data: &Value) -> Signal {
    signal.with_data(JsonText::new(data.to_string()).unwrap()).unwrap()
}

async fn open(engine: &Engine, id: &str) -> Result<Run> {
    let config = CoordinationConfig::open(
        Vec::new(),
        Budget::sessions(100).within(Duration::from_secs(600)).build()?,
    )?;
    Ok(engine.submit(config.with_id(id)?).await?)
}

/// A signal as `version type sender data`.
fn told(signal: &HeardSignal) -> String {
    let failed = if signal.failed { " failed" } else { "" };
    let data = signal.json().unwrap();
    format!("{} {} {}{failed} {data}", signal.version, signal.kind, signal.from)
}

async fn all(run: &Run, filter: SignalFilter, from: From) -> Result<Vec<String>> {
    let mut signals = run.signals(filter, from).await?;
    let mut all = Vec::new();
    while let Some(signal) = signals.next().await? {
        all.push(told(&signal));
    }
    Ok(all)
}

async fn history(run: &Run, filter: SignalFilter, limit: usize) -> Result<Vec<u64>> {
    let found = run.signal_history(filter, limit).await?;
    Ok(found.iter().map(|signal| signal.version.0).collect())
}

#[tokio::test]
async fn who_comes_late_hears_what_sessions_sent_and_when_they_began_and_ended() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("build", |session: SessionContext| async move {
        let done = Signal::new("stage_completed".parse()?).to(agent("tester"));
        session.signal(with(done, &json!({ "artifacts": 3 }))).await?;
        let forged = session.signal(signal("stage_completed", "somebody")).await;
        assert!(matches!(forged, Err(AskError::Rejected(_))), "{forged:?}");
        Ok(Output::none())
    })?;
    builder.register("test", |session: SessionContext| async move {
        match session.attempt() {
            1 => Err(Failed::because("flaky")),
            _ => Err(Failed::because("2 tests failed")),
        }
    })?;
    let engine = builder.start().await?;
    let mut build = WorkSpec::function("build-1", "build")?;
    build.agent = Some(agent("builder"));
    let test = WorkSpec::function("tester", "test")?.needs_work("build-1")?.with_attempts(2);
    let config = CoordinationConfig::of_work(
        vec![build, test],
        Budget::sessions(9).within(Duration::from_secs(600)).build()?,
    )?;
    let run = engine.submit(config.with_id("run")?).await?;
    let mut early = run.signals(SignalFilter::new(), From::Now).await?;
    run.wait().await?;

    let heard = [
        r#"3 agent_initialized builder {"agent_id":"builder","attempt":1,"item":"build-1","session":"run.1"}"#,
        r#"4 stage_completed builder {"artifacts":3}"#,
        r#"5 agent_completed builder {"agent_id":"builder","item":"build-1","session":"run.1","success":true}"#,
        r#"6 agent_initialized tester {"agent_id":"tester","attempt":1,"item":"tester","session":"run.2"}"#,
        r#"8 agent_initialized tester {"agent_id":"tester","attempt":2,"item":"tester","session":"run.3"}"#,
        r#"9 agent_completed tester failed {"agent_id":"tester","error":"2 tests failed","item":"tester","session":"run.3","success":false}"#,
    ];
    assert_eq!(all(&run, SignalFilter::new(), From::Beginning).await?, heard);
    // Those that join in the middle know the agents by their names as well.
    assert_eq!(all(&run, SignalFilter::new(), From::After(Version(4))).await?, heard[2..]);
    let mut rest = Vec::new();
    while let Some(signal) = early.next().await? {
        rest.push(told(&signal));
    }
    assert!(heard.ends_with(&rest.iter().map(String::as_str).collect::<Vec<_>>()), "{rest:?}");
    assert_eq!(history(&run, SignalFilter::new(), 100).await?, [9, 8, 6, 5, 4, 3]);
    assert_eq!(run.signals(SignalFilter::new(), From::Now).await?.next().await?, None);
    let stats = engine.stats().all();
    assert_eq!(stats["signals_sent"].count, 1, "a forged one is none");
    assert_eq!(stats["signals_received"].count, (heard.len() + 4 + rest.len()) as u64);
    let times = stats["signal_propagation_time_ms"];
    assert!(times.count == 1 && times.last > 0.0 && times.p50 <= times.p95, "{times:?}");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn the_names_of_secrets_take_the_place_of_their_values_in_what_sessions_send() -> Result {
    const KEY: &str = "hunter2-\"hunter2\"";
    const PIN: &str = "1234567890";
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("leak", |session: SessionContext| async move {
        let large = "x".repeat(20_000);
        for data in [
            json!({ "agent_id": KEY, "error": format!("{KEY} was refused"), "n": 1 }),
            json!({ "log": format!("{large}{KEY}") }),
            json!({ "pin": PIN.parse::<u64>()? }),
        ] {
            session.signal(with(Signal::new("note".parse()?), &data)).await?;
            let value = JsonText::new(data.to_string())?;
            session.set_keys([KeyWrite::set("kept".parse()?, value)?]).await?;
        }
        Ok(Output::none())
    })?;
    let engine = builder.start().await?;
    let budget = Budget::sessions(1).within(Duration::from_secs(60)).build()?;
    let config = CoordinationConfig::of_work(vec![WorkSpec::function("a", "leak")?], budget)?;
    let secrets = [("KEY", KEY), ("PIN", PIN)];
    let run = engine.submit(Submission::new(config.with_id("run")?).with_secrets(secrets)).await?;
    run.wait().await?;

    let notes = SignalFilter::new().of_type("note")?;
    let heard = run.signal_history(notes.clone(), 10).await?;
    let told: Vec<_> = heard.iter().map(|signal| (signal.about.as_str(), signal.failed)).collect();
    assert_eq!(told, [("a", false), ("a", false), ("[secret KEY]", true)]);
    let data = heard.iter().map(HeardSignal::json).collect::<std::result::Result<Vec<_>, _>>()?;
    assert_eq!(data[0], json!("{\"pin\":[secret PIN]}"));
    assert_eq!(data[1], json!({ "log": format!("{}[secret KEY]", "x".repeat(20_000)) }));
    let kept = run.key_history("kept", 10).await?;
    for (data, kept) in data.iter().zip(kept) {
        assert_eq!(serde_json::from_str::<Value>(kept.value.unwrap().as_str())?, *data);
    }
    let refused =
        json!({ "agent_id": "[secret KEY]", "error": "[secret KEY] was refused", "n": 1 });
    assert_eq!(data[2], refused);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn everybody_hears_what_they_asked_for_and_nothing_else() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let run = open(&engine, "run").await?;
    let large = "x".repeat(20_000);
    run.signal(with(signal("review.asked", "a").to(agent("b")), &json!({ "n": 1, "of": "x" })))
        .await?;
    run.signal(with(signal("review.done", "b"), &json!({ "n": 1, "text": large }))).await?;
    run.signal(signal("note", "a").to(agent("c")).about(agent("b"))).await?;
    run.signal(with(signal("note", "c"), &json!({ "n": 1.0, "error": "no" }))).await?;
    run.signal(with(signal("reviewed", "b"), &json!([1]))).await?;

    let any = SignalFilter::new;
    let asked = [
        (any(), vec![6, 5, 4, 3, 2]),
        (any().of_type("review.*")?, vec![3, 2]),
        (any().of_type("review*")?, vec![6, 3, 2]),
        (any().of_type("note")?.of_type("reviewed")?, vec![6, 5, 4]),
        (any().of_type("*")?.from(agent("a")), vec![4, 2]),
        (any().to(agent("b")), vec![6, 5, 3, 2]),
        (any().about(agent("b")), vec![6, 4, 3]),
        (any().failed(true), vec![5]),
        (any().with_data("n", json!(1)), vec![3, 2]),
        (any().with_data("n", json!(1)).with_data("of", json!("x")), vec![2]),
        (any().with_data("absent", Value::Null), vec![]),
    ];
    for (filter, versions) in asked {
        assert_eq!(history(&run, filter.clone(), 100).await?, versions, "{filter:?}");
        let mut heard = run.signals(filter, From::Beginning).await?;
        for version in versions.iter().rev() {
            assert_eq!(heard.next().await?.unwrap().version.0, *version);
        }
    }
    assert_eq!(history(&run, any(), 2).await?, [6, 5]);
    let one = run.signal_history(any().of_type("review.done")?, 1).await?;
    assert_eq!(one[0].json()?["text"], large);
    let refused = any().of_type("two types").unwrap_err().to_string();
    assert_eq!(
        refused,
        "the signal type \"two types\" holds ' '; letters, digits and any of _ . : - are allowed; a \
         type, or the beginning of one with a star behind it, as in `review.*`"
    );
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_sent_again_is_recorded_once_also_after_a_restart_and_by_the_id_of_its_command()
-> Result {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let engine = Engine::open(&state).await?;
    let run = open(&engine, "run").await?;
    let once = || signal("note", "a").once(Dedup::new("first"));
    let first = run.signal(once()).await?;
    assert_eq!(run.signal(once()).await?, first);
    let by_id = run.once("k")?.signal(signal("note", "a")).await?;
    engine.close().await?;

    let engine = Engine::open(&state).await?;
    let run = engine.run("run")?;
    assert_eq!(run.signal(once()).await?, first);
    assert_eq!(run.once("k")?.signal(signal("note", "a")).await?, by_id);
    let other = run.once("k")?.signal(signal("other", "a")).await.unwrap_err();
    assert!(other.to_string().contains("was used for another command"), "{other}");
    assert_eq!(history(&run, SignalFilter::new(), 10).await?, [by_id.0, first.0]);
    run.close("done").await?;
    run.wait().await?;
    assert_eq!(run.once("k")?.signal(signal("note", "a")).await?, by_id);
    let ended = run.signal(once()).await.unwrap_err();
    assert!(ended.to_string().contains("run run is not running"), "{ended}");
    engine.close().await?;
    verified(&state)?;
    Ok(())
}

#[tokio::test]
async fn a_signal_to_a_run_that_is_not_there_begins_one_where_the_engine_allows_it() -> Result {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let engine = Engine::open(&state).await?;
    let refused = engine.run("inbox")?.signal(signal("note", "a")).await.unwrap_err();
    assert_eq!(refused.to_string(), "run inbox is not running; list shows what there is");
    engine.close().await?;

    let engine = Engine::builder(&state)?.allowing_undeclared().start().await?;
    let run = engine.run("inbox")?;
    assert_eq!(run.signal(signal("note", "a")).await?, Version(2));
    assert_eq!(run.signal(signal("note", "a")).await?, Version(3));
    let status = run.status().await?;
    assert_eq!(status.summary.labels.get(UNDECLARED).map(String::as_str), Some("true"));
    run.close("done").await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    let ended = run.signal(signal("note", "a")).await.unwrap_err();
    assert_eq!(ended.to_string(), "run inbox is not running; list shows what there is");
    let counts = run.receipt().await?.unwrap().signals.unwrap();
    assert_eq!((counts.total(), counts.by_type[&"note".parse()?]), (2, 2));
    engine.close().await?;
    verified(&state)?;
    Ok(())
}
