//! The engine as a program uses it: real files, real tasks, real restarts.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon::append::HeadRow;
use antiphon::coordination::{
    Backoff, Blocked, CoordinationBudget, CoordinationConfig, FailurePolicy, SessionOutcome,
    SessionSpawner, SessionTerminationInfo, SpawnError, Verdict, WorkSpec,
};
use antiphon::digest::Digest;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, StreamName, Version};
use antiphon::ledger::verify::{Scope, verify};
use antiphon::ledger::{HeadQuery, OpenError, SqliteOptions, SqliteStore, Store};
use antiphon::world::EraseRequest;
use antiphon::{Engine, EngineBuilder, Failed, Output, SessionContext, StartError, SubmitError};
use tokio::sync::Notify;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn budget() -> CoordinationBudget {
    CoordinationBudget::new(1_000, 600_000, 1_000, None).unwrap()
}

fn work(ids: &[&str]) -> Vec<WorkSpec> {
    ids.iter().map(|id| WorkSpec::function(id, "work").unwrap()).collect()
}

fn config(ids: &[&str]) -> CoordinationConfig {
    CoordinationConfig::of_work(work(ids), budget()).unwrap()
}

fn setup(dir: &Path) -> EngineBuilder {
    Engine::builder(dir.join("state")).unwrap()
}

/// The builder of an engine whose work ends at once and puts nothing out.
fn idle(dir: &Path) -> Result<EngineBuilder> {
    let mut setup = setup(dir);
    setup.register("work", |_| async { Ok(Output::none()) })?;
    Ok(setup)
}

/// The events of a coordination as `type` or `type OUTCOME`.
async fn story(engine: &Engine, id: &CoordinationId) -> Result<Vec<String>> {
    let mut events = engine.run(id)?.follow().await?;
    let mut story = Vec::new();
    while let Some(recorded) = events.next().await? {
        let line = match CoordinationEvent::of(&recorded)? {
            CoordinationEvent::SessionBound(bound) => format!("bound {}", bound.work),
            CoordinationEvent::SessionUnbound(unbound) => {
                format!("unbound {} {}", unbound.work, unbound.outcome.as_str())
            }
            CoordinationEvent::WorkSkipped(skipped) => format!("skipped {:?}", skipped.works),
            other => other.kind().trim_start_matches("coordination.").to_owned(),
        };
        story.push(line);
    }
    Ok(story)
}

#[tokio::test]
async fn work_runs_in_the_order_of_its_needs_and_passes_its_output_on() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register("work", |session: SessionContext| async move {
        let before = match session.output_of("first").await? {
            Some(output) => output.as_text()?.to_owned(),
            None => "nothing".to_owned(),
        };
        Ok(Output::text(format!("{} after {before}", session.work())))
    })?;
    let engine = setup.start().await?;
    let items = vec![
        WorkSpec::function("second", "work")?.needs_work("first")?,
        WorkSpec::function("first", "work")?,
    ];
    let run = engine.submit(CoordinationConfig::of_work(items, budget())?).await?;
    let ended = run.wait().await?;
    assert_eq!(ended.verdict, Verdict::Succeeded);
    let output = run.output("second").await?.unwrap();
    assert_eq!(output, Output::text("second after first after nothing"));
    let expected = [
        "started",
        "work_added",
        "bound first",
        "unbound first SUCCESS",
        "bound second",
        "unbound second SUCCESS",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    let receipt = engine.blob(ended.receipt).await?.unwrap();
    assert_eq!(antiphon::digest::Digest::of(&receipt), ended.receipt);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_failure_is_retried_and_a_panic_is_a_failure() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register("work", |session: SessionContext| async move {
        match session.attempt() {
            1 => Err(Failed::because("not yet")),
            2 => panic!("the function is broken"),
            _ => Ok(Output::none()),
        }
    })?;
    let engine = setup.start().await?;
    let items = vec![WorkSpec::function("a", "work")?.with_backoff(Backoff {
        initial_ns: 1_000_000,
        factor: 1,
        cap_ns: 1_000_000,
        jitter_ppm: 0,
    })];
    let run = engine.submit(CoordinationConfig::of_work(items, budget())?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    let expected = [
        "started",
        "work_added",
        "bound a",
        "unbound a FAILURE",
        "bound a",
        "unbound a FAILURE",
        "bound a",
        "unbound a SUCCESS",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_function_whose_values_panic_when_they_are_dropped_has_failed() -> Result {
    struct Explosive(&'static str);
    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("{}", self.0);
        }
    }
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path()).with_grace(Duration::from_millis(20));
    // A future is dropped with what it holds only after it has said that it is ready.
    setup
        .register("ends", |_| {
            let held = Explosive("on success");
            std::future::poll_fn(move |_| {
                let _ = &held;
                std::task::Poll::Ready(Ok(Output::none()))
            })
        })
        .unwrap();
    setup
        .register("panics", |_| {
            let held = Explosive("again");
            std::future::poll_fn(move |_| {
                let _ = &held;
                panic!("at first")
            })
        })
        .unwrap();
    let engine = setup.start().await?;
    for (function, text) in [
        ("ends", "the function panicked: on success"),
        ("panics", "the function panicked: at first"),
    ] {
        let items = vec![WorkSpec::function("a", function)?.with_attempts(1)];
        let run = engine.submit(CoordinationConfig::of_work(items, budget())?).await?;
        assert_eq!(run.wait().await?.verdict, Verdict::Failed);
        assert_eq!(run.output("a").await?.unwrap(), Output::none().with_note(text));
    }
    engine.close().await?;
    Ok(())
}

/// Opens the state again after an engine was dropped without closing; its thread lets the lock go
/// in its own time.
async fn reopen(dir: &Path) -> Result<EngineBuilder> {
    loop {
        match Engine::builder(dir.join("state")) {
            Ok(setup) => return Ok(setup),
            Err(StartError::Open(OpenError::InUse { .. })) => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Registers a function that counts its runs, says when it has begun, and then does its work or
/// hangs.
fn register_counting(
    setup: &mut EngineBuilder,
    runs: &Arc<AtomicU32>,
    begun: &Arc<Notify>,
    hangs: bool,
) {
    let (runs, begun) = (Arc::clone(runs), Arc::clone(begun));
    setup
        .register("work", move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            begun.notify_one();
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(Output::none())
            }
        })
        .unwrap();
}

#[tokio::test]
async fn what_ran_when_the_engine_died_is_lost_and_runs_again() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, begun) = <(Arc<AtomicU32>, Arc<Notify>)>::default();
    let mut first = setup(dir.path());
    register_counting(&mut first, &runs, &begun, true);
    let engine = first.start().await?;
    let run = engine.submit(config(&["a", "b"]).with_id("nightly")?).await?;
    begun.notified().await;
    drop(engine);

    let mut second = reopen(dir.path()).await?;
    register_counting(&mut second, &runs, &begun, false);
    let engine = second.start().await?;
    let run = engine.run(run.id())?;
    assert_eq!(
        engine.submit(config(&["a", "b"]).with_id("nightly")?).await?.id(),
        run.id(),
        "the same start finds the first"
    );
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    let expected = [
        "started",
        "work_added",
        "bound a",
        "resumed",
        "unbound a LOST",
        "bound a",
        "unbound a SUCCESS",
        "bound b",
        "unbound b SUCCESS",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    assert_eq!(
        engine.submit(config(&["a", "b"]).with_id("nightly")?).await?.id(),
        run.id(),
        "also once it has ended"
    );
    let other = engine.submit(config(&["c"]).with_id("nightly")?).await;
    assert_eq!(
        other.unwrap_err().to_string(),
        "run nightly exists and was started with something else: item a is gone; item b is gone; item c is new; choose another id for this"
    );
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn closing_gives_up_what_does_not_end_within_the_grace() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, begun) = <(Arc<AtomicU32>, Arc<Notify>)>::default();
    let mut first = setup(dir.path()).with_grace(Duration::from_millis(20));
    register_counting(&mut first, &runs, &begun, true);
    let engine = first.start().await?;
    let run = engine.submit(config(&["a"])).await?;
    begun.notified().await;
    engine.close().await?;

    let mut second = setup(dir.path());
    register_counting(&mut second, &runs, &begun, false);
    let engine = second.start().await?;
    let run = engine.run(run.id())?;
    run.wait().await?;
    let expected = [
        "started",
        "work_added",
        "bound a",
        "unbound a LOST",
        "resumed",
        "bound a",
        "unbound a SUCCESS",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_second_engine_is_refused_and_told_who_holds_the_ledger() -> Result {
    let dir = tempfile::tempdir()?;
    let _first = setup(dir.path());
    let refused = Engine::builder(dir.path().join("state")).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_session_is_asked_first_and_abandoned_after_the_grace() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path()).with_grace(Duration::from_millis(20));
    let begun = Arc::new(Notify::new());
    let (polite, rude) = (Arc::clone(&begun), Arc::clone(&begun));
    setup.register("polite", move |session: SessionContext| {
        polite.notify_one();
        async move {
            let asked_before = session.must_stop();
            session.stop_requested().await;
            assert!(!asked_before && session.must_stop());
            Err(Failed::because("asked to stop"))
        }
    })?;
    setup.register("rude", move |_| {
        rude.notify_one();
        std::future::pending()
    })?;
    let engine = setup.start().await?;
    for (function, text) in [
        ("polite", "asked to stop"),
        ("rude", "it did not stop within the grace and was abandoned"),
    ] {
        let work = vec![WorkSpec::function("a", function)?, WorkSpec::function("b", function)?];
        let run = engine.submit(CoordinationConfig::of_work(work, budget())?).await?;
        begun.notified().await;
        run.cancel("not needed").await?;
        assert_eq!(run.wait().await?.verdict, Verdict::Aborted);
        let expected = [
            "started",
            "work_added",
            "bound a",
            "stop_requested",
            "unbound a CANCELLED",
            "aborted",
        ];
        assert_eq!(story(&engine, run.id()).await?, expected);
        let output = run.output("a").await?.unwrap();
        assert_eq!(output, Output::none().with_note(text));
    }
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_session_over_its_time_is_ended_and_its_item_fails_for_good() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path()).with_grace(Duration::from_millis(20));
    setup.register("work", |session: SessionContext| async move {
        session.stop_requested().await;
        Ok(Output::none())
    })?;
    let engine = setup.start().await?;
    let work = vec![
        WorkSpec::function("slow", "work")?.with_timeout_ticks(20).with_attempts(1),
        WorkSpec::function("after", "work")?.needs_work("slow")?,
    ];
    let run = engine.submit(CoordinationConfig::of_work(work, budget())?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Failed);
    let expected = [
        "started",
        "work_added",
        "bound slow",
        "unbound slow TIMEOUT",
        "skipped [\"after\"]",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    engine.close().await?;
    Ok(())
}

fn deeper() -> Result<WorkSpec> {
    Ok(WorkSpec::plan("deeper", "deep")?.with_attempts(1))
}

#[tokio::test]
async fn a_nested_run_that_could_not_be_started_is_none_to_look_at() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = idle(dir.path())?;
    setup.register_plan("deep", CoordinationConfig::of_work(vec![deeper()?], budget())?)?;
    let engine = setup.start().await?;
    let run = engine
        .submit(CoordinationConfig::of_work(vec![deeper()?], budget())?.with_id("run")?)
        .await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Failed);
    // The last of them is as deep as runs can be.
    let mut nested = Vec::new();
    let mut id = "run".to_owned();
    while let Some(report) = engine.run(&id)?.report().await? {
        let item = engine.run(&id)?.item("deeper").await?.item;
        nested.push((report.failures[0].nested, item.attempts[0].nested));
        if !report.failures[0].nested {
            break;
        }
        id.push_str(".1");
    }
    let (last, above) = nested.split_last().ok_or("there is none")?;
    assert_eq!((*last, above.len()), ((false, false), 8));
    assert!(above.iter().all(|each| *each == (true, true)), "{nested:?}");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_plan_runs_as_a_nested_coordination_and_is_charged_to_its_parent() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = idle(dir.path())?;
    setup.register_plan("child", config(&["x", "y"]))?;
    let engine = setup.start().await?;
    let work = vec![
        WorkSpec::plan("nested", "child")?,
        WorkSpec::function("after", "work")?.needs_work("nested")?,
    ];
    let run =
        engine.submit(CoordinationConfig::of_work(work, budget())?.with_id("parent")?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    let status = run.status().await?;
    assert_eq!(status.summary.usage.consumed_episodes(), 3, "two of the child and one of its own");
    let child: CoordinationId = "parent.1".parse()?;
    let child_story = story(&engine, &child).await?;
    assert_eq!(
        child_story,
        [
            "started",
            "work_added",
            "bound x",
            "unbound x SUCCESS",
            "bound y",
            "unbound y SUCCESS",
            "completed"
        ]
    );
    assert_eq!(engine.run(&child)?.status().await?.summary.parent.unwrap().to_string(), "parent.1");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_nested_coordination_cancelled_by_hand_is_tried_again_even_on_the_last_attempt() -> Result
{
    let dir = tempfile::tempdir()?;
    let begun = Arc::new(Notify::new());
    let mut setup = setup(dir.path());
    let signal = Arc::clone(&begun);
    setup.register("work", move |session: SessionContext| {
        let signal = Arc::clone(&signal);
        async move {
            if session.coordination().as_str() == "parent.1" {
                signal.notify_one();
                session.stop_requested().await;
            }
            Ok(Output::none())
        }
    })?;
    setup.register_plan("child", config(&["x"]))?;
    let engine = setup.start().await?;
    let work = vec![WorkSpec::plan("nested", "child")?.with_attempts(1)];
    let run =
        engine.submit(CoordinationConfig::of_work(work, budget())?.with_id("parent")?).await?;
    begun.notified().await;
    engine.run("parent.1")?.cancel("not like this").await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    let again = ["bound nested", "unbound nested SUCCESS", "completed"];
    assert_eq!(
        story(&engine, run.id()).await?[2..],
        [&["bound nested", "unbound nested CANCELLED"], &again[..]].concat()
    );
    engine.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_does_not_stop_is_gone_before_its_item_is_tried_again() -> Result {
    struct Live(Arc<AtomicU32>);
    impl Drop for Live {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let dir = tempfile::tempdir()?;
    let live = Arc::new(AtomicU32::new(0));
    let mut setup = setup(dir.path()).with_grace(Duration::from_millis(5));
    setup
        .register("work", move |session: SessionContext| {
            let others = live.fetch_add(1, Ordering::SeqCst);
            let live = Live(Arc::clone(&live));
            async move {
                if others > 0 {
                    return Ok(Output::none());
                }
                if session.attempt() < 5 {
                    std::future::pending::<()>().await;
                }
                drop(live);
                Err(Failed::because("no two at a time"))
            }
        })
        .unwrap();
    let engine = setup.start().await?;
    let work = vec![WorkSpec::function("stubborn", "work")?.with_timeout_ticks(1).with_attempts(5)];
    let run = engine.submit(CoordinationConfig::of_work(work, budget())?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Failed);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn work_without_a_function_stays_ready_and_why_says_so() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = setup(dir.path()).start().await?;
    let run = engine.submit(config(&["a"])).await?;
    assert_eq!(run.why("a").await?, [Blocked::NoRunner { runner: "function work".to_owned() }]);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_session_adds_work_to_its_own_coordination() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register("work", |session: SessionContext| async move {
        if *session.work() == "first" {
            let outranking = WorkSpec::function("boss", "work")?.with_priority(1);
            let refused = session.add_work(vec![outranking]).await.unwrap_err().to_string();
            session.add_work(vec![WorkSpec::function("second", "work")?]).await?;
            return Ok(Output::text(refused));
        }
        Ok(Output::none())
    })?;
    let engine = setup.start().await?;
    let run = engine.submit(config(&["first"])).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    let refused = run.output("first").await?.unwrap();
    assert_eq!(
        refused,
        Output::text(
            "work boss has priority 1, but the session that adds it has 0; it cannot outrank it"
        )
    );
    let expected = [
        "started",
        "work_added",
        "bound first",
        "work_added",
        "unbound first SUCCESS",
        "bound second",
        "unbound second SUCCESS",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_open_coordination_takes_work_once_a_command_id_and_ends_when_closed() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = idle(dir.path())?.start().await?;
    let run = engine.submit(CoordinationConfig::open(vec![], budget())?.with_id("inbox")?).await?;
    let first = run.once("delivery-1")?.add_work(work(&["a"])).await?;
    assert_eq!(run.once("delivery-1")?.add_work(work(&["a"])).await?, first);
    let twice = run.add_work(work(&["a"])).await.unwrap_err();
    assert_eq!(twice.to_string(), "work a already exists; ids are unique within a run");
    run.close("closed").await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    assert_eq!(run.status().await?.summary.totals.work_succeeded, 1);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_command_is_answered_alike_after_its_coordination_has_ended_and_after_a_restart() -> Result
{
    let dir = tempfile::tempdir()?;
    let mut first = setup(dir.path());
    first.register("work", |_| async { Ok(Output::none()) })?;
    let engine = first.start().await?;
    let run = engine.submit(CoordinationConfig::open(vec![], budget())?.with_id("inbox")?).await?;
    let early = run.once("delivery-1")?.add_work(work(&["a"])).await?;
    let names: Vec<String> = (0..1_200).map(|number| format!("b-{number}")).collect();
    let all = work(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let many = run.once("delivery-2")?.add_work(all.clone()).await?;
    run.close("closed").await?;
    run.wait().await?;
    let ended = "run inbox is not running; list shows what there is";
    let answers_alike = async |engine: &Engine| -> Result {
        let run = engine.run("inbox")?;
        assert_eq!(run.once("delivery-1")?.add_work(work(&["a"])).await?, early);
        assert_eq!(run.once("delivery-2")?.add_work(all.clone()).await?, many);
        let other = run.once("delivery-2")?.add_work(work(&["a"])).await.unwrap_err().to_string();
        assert!(other.ends_with("give each command its own"), "{other}");
        for new in [run.once("delivery-3")?, run.command(None)] {
            assert_eq!(new.add_work(work(&["c"])).await.unwrap_err().to_string(), ended);
        }
        Ok(())
    };
    answers_alike(&engine).await?;
    engine.close().await?;
    let engine = setup(dir.path()).start().await?;
    answers_alike(&engine).await?;
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn work_added_behind_a_stale_fence_is_refused_and_recorded_once() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    let (left, mut contexts) = tokio::sync::mpsc::unbounded_channel();
    setup.register("work", move |session: SessionContext| {
        let left = left.clone();
        async move {
            left.send(session).map_err(|_| Failed::because("nobody listens"))?;
            Ok(Output::none())
        }
    })?;
    let engine = setup.start().await?;
    let run =
        engine.submit(CoordinationConfig::open(work(&["a"]), budget())?.with_id("inbox")?).await?;
    let stale = contexts.recv().await.unwrap();
    let mut events = run.follow().await?;
    while events.next().await?.is_none_or(|event| &*event.kind != "coordination.session_unbound") {}
    for _ in 0..2 {
        let refused = stale.add_work(work(&["late"])).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "session \"inbox.1\" is not running; it has ended or never started"
        );
    }
    run.close("closed").await?;
    run.wait().await?;
    assert_eq!(run.status().await?.summary.totals.writes_refused, 1);
    let expected = [
        "started",
        "work_added",
        "bound a",
        "unbound a SUCCESS",
        "write_refused",
        "stop_requested",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_paused_coordination_starts_nothing_until_it_is_continued() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    let (runs, begun) = <(Arc<AtomicU32>, Arc<Notify>)>::default();
    register_counting(&mut setup, &runs, &begun, false);
    let engine = setup.start().await?;
    let run = engine.submit(CoordinationConfig::open(vec![], budget())?).await?;
    run.pause("lunch").await?;
    run.add_work(work(&["a"])).await?;
    assert_eq!(run.why("a").await?, [Blocked::Paused { reason: "lunch".to_owned() }]);
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    run.unpause().await?;
    begun.notified().await;
    run.close("closed").await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_failing_item_with_the_abort_policy_stops_everything() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register("work", |_| async { Err(Failed::because("no")) })?;
    let engine = setup.start().await?;
    let items = vec![
        WorkSpec::function("a", "work")?.with_attempts(1).on_failure(FailurePolicy::Abort),
        WorkSpec::function("b", "work")?,
    ];
    let run = engine.submit(CoordinationConfig::of_work(items, budget())?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Failed);
    let status = run.status().await?;
    assert_eq!(
        serde_json::to_value(status.summary.ending)?,
        serde_json::json!({"completed": {"Fault": {"WorkFailed": {"work_id": "a"}}}})
    );
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn many_items_start_in_several_events_and_all_are_done() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = idle(dir.path())?.start().await?;
    let items: Vec<WorkSpec> =
        (0..2_500).map(|n| WorkSpec::function(format!("cell-{n}"), "work").unwrap()).collect();
    let budget = CoordinationBudget::new(3_000, 600_000, 1_000, None)?;
    let run =
        engine.submit(CoordinationConfig::of_work(items, budget)?.with_concurrency(32)?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    let status = run.status().await?;
    assert_eq!(status.summary.totals.work_succeeded, 2_500);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn the_store_that_the_engine_left_can_be_read_without_owning_it() -> Result {
    let dir = tempfile::tempdir()?;
    let engine = idle(dir.path())?.start().await?;
    let run = engine.submit(config(&["a"])).await?;
    run.wait().await?;
    engine.close().await?;
    let store = SqliteStore::at(dir.path().join("state"), SqliteOptions::default());
    let events = store.read_stream(
        &antiphon::id::StreamName::Coordination(run.id().clone()),
        Version(0),
        100,
    )?;
    let outcomes: Vec<_> = events
        .iter()
        .filter_map(|recorded| match CoordinationEvent::of(recorded) {
            Ok(CoordinationEvent::SessionUnbound(unbound)) => Some(unbound.outcome),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [SessionOutcome::Success]);
    Ok(())
}

#[tokio::test]
async fn a_ledger_left_after_an_error_of_a_sync_is_verified_before_anything_else() -> Result {
    let dir = tempfile::tempdir()?;
    let mut first = setup(dir.path());
    first.register("work", |_| async { Ok(Output::none()) })?;
    let engine = first.start().await?;
    let run = engine.submit(config(&["a"])).await?;
    run.wait().await?;
    engine.close().await?;
    let note = dir.path().join("state").join("poisoned");
    std::fs::write(&note, "an error of a sync\n")?;

    let engine = setup(dir.path()).start().await?;
    assert!(!note.exists(), "it was verified");
    engine.close().await?;

    std::fs::write(&note, "an error of a sync\n")?;
    let database = rusqlite::Connection::open(dir.path().join("state").join("ledger.db"))?;
    database
        .execute_batch("DROP TRIGGER IF EXISTS events_append_only; PRAGMA writable_schema = ON;")?;
    let triggers: Vec<String> = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")?
        .query_map([], |row| row.get(0))?
        .collect::<std::result::Result<_, _>>()?;
    for trigger in triggers {
        database.execute_batch(&format!("DROP TRIGGER \"{trigger}\""))?;
    }
    database.execute("UPDATE events SET wall = wall + 1 WHERE seq = 3", [])?;
    drop(database);
    let refused = Engine::builder(dir.path().join("state")).unwrap_err();
    assert!(matches!(refused, StartError::NotVerified { .. }), "{refused}");
    assert!(note.exists(), "it stays closed until it verifies");
    Ok(())
}

/// Starts everything but the first session, which does not start.
struct Spawner;

impl SessionSpawner for Spawner {
    fn spawn(&self, session_id: &str, _work_id: &str) -> std::result::Result<(), SpawnError> {
        if session_id.ends_with(".1") {
            Err(SpawnError::SpawnFailed { reason: "no room".to_owned() })
        } else {
            Ok(())
        }
    }

    fn observe_termination(
        &self,
        session_id: &str,
    ) -> std::result::Result<SessionTerminationInfo, SpawnError> {
        Ok(SessionTerminationInfo::success(session_id, 1_000))
    }
}

#[tokio::test]
async fn a_blocking_spawner_carries_out_sessions_and_its_tokens_are_charged() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register_spawner("work", Spawner)?;
    let engine = setup.start().await?;
    let budget = CoordinationBudget::new(10, 600_000, 1_000, Some(5_000))?;
    let run = engine.submit(CoordinationConfig::of_work(work(&["a"]), budget)?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    let expected = [
        "started",
        "work_added",
        "bound a",
        "unbound a SPAWN_FAILED",
        "bound a",
        "unbound a SUCCESS",
        "completed",
    ];
    assert_eq!(story(&engine, run.id()).await?, expected);
    assert_eq!(run.status().await?.summary.usage.consumed_tokens(), 1_000);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_erased_is_gone_for_good_and_the_rest_still_verifies() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register("work", |_| async {
        Ok(Output::text("my-secret-output").with_note("my-secret-note"))
    })?;
    let engine = setup.start().await?;
    let running =
        engine.submit(CoordinationConfig::open(vec![], budget())?.with_id("running")?).await?;
    let run = engine
        .submit(
            config(&["a"])
                .with_id("private")?
                .with_name("my-secret-name")
                .with_label("of", "my-secret-label"),
        )
        .await?;
    run.wait().await?;
    let request = |coordination: &CoordinationId| EraseRequest {
        payloads: Some((coordination.clone(), vec![Version(1), Version(4)])),
        blobs: vec![Digest::of(b"my-secret-output")],
        reason: "a person asked for it".to_owned(),
    };
    let refused = engine.erase(request(running.id())).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "run running has not ended; payloads can be erased once it has"
    );
    let beyond = EraseRequest {
        payloads: Some((run.id().clone(), vec![Version(5)])),
        blobs: vec![],
        reason: String::new(),
    };
    let refused = engine.erase(beyond).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "event 5 of run private cannot be erased; only versions from 1 to below 5, its end, can be"
    );
    engine.erase(request(run.id())).await?;
    engine.close().await?;

    for entry in std::fs::read_dir(dir.path().join("state"))? {
        let path = entry?.path();
        if path.is_file() {
            let bytes = std::fs::read(&path)?;
            let found = bytes.windows(9).any(|window| window == b"my-secret");
            assert!(!found, "{} still holds it", path.display());
        }
    }
    let store = SqliteStore::at(dir.path().join("state"), SqliteOptions::default());
    let report = verify(&store, &Scope::Ledger)?;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.not_rebuildable.iter().map(|stream| stream.erased).collect::<Vec<_>>(), [2]);
    Ok(())
}

#[tokio::test]
async fn an_erasure_is_acknowledged_once_it_is_gone_though_another_process_reads_the_ledger()
-> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register("work", |_| async { Ok(Output::text("my-secret-output")) })?;
    let engine = setup.start().await?;
    let run = engine.submit(config(&["a"]).with_id("private")?.with_name("my-secret-name")).await?;
    run.wait().await?;
    let state = dir.path().join("state");
    let is_there = || -> std::io::Result<bool> {
        let mut found = false;
        for entry in std::fs::read_dir(&state)? {
            let path = entry?.path();
            let bytes = if path.is_file() { std::fs::read(&path)? } else { Vec::new() };
            found |= bytes.windows(9).any(|window| window == b"my-secret");
        }
        Ok(found)
    };

    let reader = rusqlite::Connection::open(state.join("ledger.db"))?;
    reader.execute_batch("BEGIN; SELECT * FROM events;")?;
    let reading = async {
        let store = SqliteStore::at(&state, SqliteOptions::default());
        let recorded = || -> Result<bool> {
            let events = store.read_stream(&StreamName::Ledger, Version(0), 100)?;
            Ok(events.iter().any(|event| event.kind == "ledger.erased"))
        };
        while !recorded()? {
            tokio::task::yield_now().await;
        }
        assert!(is_there()?, "the reader may still need it");
        reader.execute_batch("COMMIT")?;
        Result::Ok(())
    };
    let request = EraseRequest {
        payloads: Some((run.id().clone(), vec![Version(1), Version(4)])),
        blobs: vec![Digest::of(b"my-secret-output")],
        reason: "a person asked for it".to_owned(),
    };
    let (erased, read) = tokio::join!(engine.erase(request), reading);
    read?;
    erased?;
    assert!(!is_there()?);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_earlier_attempt_is_not_taken_for_the_last_one_whose_end_is_erased() -> Result {
    let dir = tempfile::tempdir()?;
    let mut setup = setup(dir.path());
    setup.register("work", |session: SessionContext| async move {
        match session.attempt() {
            1 => Err(Failed::because("not yet")),
            _ => Ok(Output::text(session.work().as_str())),
        }
    })?;
    let engine = setup.start().await?;
    let work = work(&["a", "b"]).into_iter().map(|item| item.with_attempts(2)).collect();
    let run = engine.submit(CoordinationConfig::of_work(work, budget())?).await?;
    run.wait().await?;
    let mut ends = Vec::new();
    for event in run.events(Version(0), 100).await? {
        if let CoordinationEvent::SessionUnbound(unbound) = CoordinationEvent::of(&event)? {
            ends.push((event.version, unbound.work));
        }
    }
    let (version, last) = ends.pop().unwrap();
    let other = if last == *"a" { "b" } else { "a" };
    assert_eq!(run.output(&last).await?, Some(Output::text(last.as_str())));

    let payloads = Some((run.id().clone(), vec![version]));
    let reason = "it was private".to_owned();
    engine.erase(EraseRequest { payloads, blobs: Vec::new(), reason }).await?;
    assert_eq!(run.output(&last).await?, None, "the first attempt is not the last one");
    assert_eq!(run.output(other).await?, Some(Output::text(other)), "nothing follows its end");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_head_row_that_cannot_be_read_is_not_taken_for_another_configuration() -> Result {
    let dir = tempfile::tempdir()?;
    let nightly = || config(&["a"]).with_id("nightly").unwrap();
    let start = async || {
        let mut setup = setup(dir.path());
        setup.register("work", |_| async { Ok(Output::none()) }).unwrap();
        setup.start().await
    };
    let engine = start().await?;
    engine.submit(nightly()).await?.wait().await?;
    let stream = StreamName::Coordination(CoordinationId::new("nightly")?);
    let head = engine.heads(HeadQuery::Stream(stream)).await?.remove(0);
    engine.close().await?;
    let head = HeadRow { summary: "{}".to_owned(), ..head };
    let database = rusqlite::Connection::open(dir.path().join("state").join("ledger.db"))?;
    let changed = database.execute(
        "UPDATE streams SET summary = ?1, digest = ?2 WHERE name = 'coordination/nightly'",
        (&head.summary, head.digest().0),
    )?;
    assert_eq!(changed, 1);
    drop(database);

    let engine = start().await?;
    let refused = engine.submit(nightly()).await.unwrap_err();
    assert!(matches!(refused, SubmitError::HeadRow { .. }), "{refused}");
    engine.close().await?;
    Ok(())
}
