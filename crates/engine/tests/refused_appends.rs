//! A store that refuses an append for what is in it: nothing was recorded, so the engine goes on
//! from what was.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use antiphon::append::Append;
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::id::Version;
use antiphon::ledger::failing::{FailingStore, Faults, refused};
use antiphon::ledger::{Location, MemoryLedger, MemoryStore};
use antiphon::{Engine, EngineBuilder, Output, QueryError, SubmitError, Unavailable};
use tokio::sync::Notify;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn config(id: &str) -> Result<CoordinationConfig> {
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None)?;
    Ok(CoordinationConfig::of_work(vec![WorkSpec::function("a", "work")?], budget)?.with_id(id)?)
}

fn touches(append: &Append, id: &str) -> bool {
    append.events.iter().any(|event| event.stream.to_string() == format!("coordination/{id}"))
}

/// An engine in a directory whose disk fails as it is told, with a function `work`.
fn setup(dir: &Path, faults: &Faults) -> Result<EngineBuilder> {
    let mut setup = Engine::builder_on(FailingStore::at(dir.join("state"), faults))?;
    setup.register("work", |_| async { Ok(Output::none()) })?;
    Ok(setup)
}

#[tokio::test]
async fn a_refused_append_refuses_its_commands_and_nothing_else() -> Result {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let engine = setup(dir.path(), &faults)?.start().await?;
    faults.set(|append| touches(append, "bad").then(refused));
    for _ in 0..3 {
        let error = engine.submit(config("bad")?).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the ledger refused to record this (the append has 2, at most 1 are allowed); nothing has changed; repeat the command, and \
             report it if it is refused again"
        );
    }
    let run = engine.submit(config("good")?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    faults.none();
    let run = engine.submit(config("bad")?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded, "nothing of it was there");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_whose_own_events_are_refused_once_goes_on() -> Result {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let mut setup = setup(dir.path(), &faults)?;
    setup.register_plan("inner", config("inner")?)?;
    let engine = setup.start().await?;
    let first = AtomicBool::new(true);
    faults.set(move |append| {
        (touches(append, "parent.1") && first.swap(false, SeqCst)).then(refused)
    });
    let items = vec![WorkSpec::plan("nested", "inner")?];
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None)?;
    let run = engine.submit(CoordinationConfig::of_work(items, budget)?.with_id("parent")?).await?;
    assert_eq!(run.wait().await?.verdict, Verdict::Succeeded);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_whose_own_events_are_refused_again_stops_writing() -> Result {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let engine = setup(dir.path(), &faults)?.start().await?;
    let ends = |append: &Append| {
        append.events.iter().any(|event| &*event.kind == "coordination.session_unbound")
    };
    faults.set(move |append| ends(append).then(refused));
    let run = engine.submit(config("good")?).await?;
    let error = run.wait().await.unwrap_err();
    assert!(
        matches!(error, QueryError::Unavailable(Unavailable::Poisoned { .. })),
        "its end cannot be recorded: {error}"
    );
    let error = engine.submit(config("other")?).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unavailable(Unavailable::Poisoned { .. })), "{error}");
    assert!(matches!(engine.close().await, Err(Unavailable::Poisoned { .. })));
    Ok(())
}

#[tokio::test]
async fn an_engine_that_is_closing_binds_nothing_new_though_an_append_is_refused() -> Result {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let mut setup = Engine::builder_on(FailingStore::at(dir.path().join("state"), &faults))?;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (has_begun, goes) = (Arc::clone(&begun), Arc::clone(&go));
    setup.register("work", move |_| {
        let (begun, go) = (Arc::clone(&has_begun), Arc::clone(&goes));
        async move {
            begun.notify_one();
            go.notified().await;
            Ok(Output::none())
        }
    })?;
    let engine = setup.start().await?;
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None)?;
    let items = vec![WorkSpec::function("a", "work")?, WorkSpec::function("b", "work")?];
    engine.submit(CoordinationConfig::of_work(items, budget)?.with_id("last")?).await?;
    begun.notified().await;
    let first = AtomicBool::new(true);
    faults.set(move |_| first.swap(false, SeqCst).then(refused));
    let closing = engine.clone();
    let close = tokio::spawn(async move { closing.close().await });
    // The close is taken in before the session ends: nothing else is left to be done.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    close.await??;
    let store = Location::directory(dir.path().join("state")).store();
    let kinds = |stream: &str| -> Result<Vec<String>> {
        Ok(store
            .read_stream(&stream.parse()?, Version(0), 100)?
            .iter()
            .map(|event| event.kind.to_string())
            .collect())
    };
    let work = ["started", "work_added", "session_bound", "session_unbound"]
        .map(|kind| format!("coordination.{kind}"));
    assert_eq!(kinds("coordination/last")?, work);
    assert_eq!(kinds("ledger")?, ["ledger.opened", "ledger.closed"]);
    Ok(())
}

#[tokio::test]
async fn what_a_refused_append_costs_does_not_grow_with_what_was_appended() -> Result {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let engine = setup(dir.path(), &faults)?.start().await?;
    for number in 0..20 {
        let run = engine.submit(config(&format!("good-{number}"))?).await?;
        run.wait().await?;
    }
    faults.set(|append| touches(append, "bad").then(refused));
    let before = faults.read_back();
    assert!(engine.submit(config("bad")?).await.is_err());
    assert_eq!(faults.read_back() - before, 0, "the engine knows how far the ledger has come");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_engine_that_was_superseded_never_writes_again() -> Result {
    let ledger = MemoryLedger::default();
    let mut setup = Engine::builder_on(Arc::new(MemoryStore::over(&ledger)))?;
    setup.register("work", |_| async { Ok(Output::none()) })?;
    let first = setup.start().await?;
    ledger.disown();
    let second = Engine::builder_on(Arc::new(MemoryStore::over(&ledger)))?.start().await?;
    for _ in 0..2 {
        let error = first.submit(config("late")?).await.unwrap_err();
        assert!(
            matches!(&error, SubmitError::Unavailable(Unavailable::Poisoned { reason }) if reason.contains("stop this engine")),
            "{error}"
        );
    }
    assert!(matches!(first.close().await, Err(Unavailable::Poisoned { .. })));
    second.close().await?;
    Ok(())
}
