//! A start that takes more than one append: nobody is told that it was accepted before it is whole.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use antiphon::append::{Append, HeadRow};
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::head::Stage;
use antiphon::id::{CoordinationId, Version};
use antiphon::ledger::failing::{FailingStore, Faults, full};
use antiphon::ledger::{HeadFilter, HeadQuery, Location, OpenError};
use antiphon::{AskError, Engine, EngineBuilder, StartError, SubmitError, Unavailable};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Items of which nine megabytes are needs: more than one turn records.
fn config() -> Result<CoordinationConfig> {
    let root = |number: usize| format!("root{number}-{}", "x".repeat(240));
    let mut work: Vec<WorkSpec> = (0..200)
        .map(|number| WorkSpec::function(root(number), "missing"))
        .collect::<std::result::Result<_, _>>()?;
    for number in 0..180 {
        let mut item = WorkSpec::function(format!("w{number}"), "missing")?;
        for other in 0..200 {
            item = item.needs_work(root(other))?;
        }
        work.push(item);
    }
    Ok(CoordinationConfig::of_work(work, CoordinationBudget::new(10, 600_000, 1_000, None)?)?)
}

/// An append that goes on with a start.
fn goes_on(append: &Append) -> bool {
    let has = |kind: &str| append.events.iter().any(|event| &*event.kind == kind);
    has("coordination.work_added") && !has("coordination.started")
}

async fn open(dir: &Path, faults: &Faults) -> Result<EngineBuilder> {
    loop {
        match Engine::builder_on(FailingStore::at(dir.join("state"), faults)) {
            Ok(setup) => return Ok(setup),
            Err(StartError::Open(OpenError::InUse { .. })) => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// All coordinations, read beside the engine.
fn heads(dir: &Path) -> Vec<HeadRow> {
    let store = Location::directory(dir.join("state")).store();
    let filter = HeadFilter { prefix: "coordination/".to_owned(), ..HeadFilter::default() };
    store.heads(&HeadQuery::List(filter)).unwrap()
}

/// The events of a stream, without the work that was added.
fn story(dir: &Path, head: &HeadRow) -> Vec<String> {
    let store = Location::directory(dir.join("state")).store();
    let mut events = store.read_stream(&head.stream, Version(0), 10_000).unwrap();
    events.retain(|event| &*event.kind != "coordination.work_added");
    let line = |event: &Recorded| match CoordinationEvent::of(event).unwrap() {
        CoordinationEvent::Aborted(aborted) => format!("aborted: {}", aborted.reason),
        other => other.kind().trim_start_matches("coordination.").to_owned(),
    };
    events.iter().map(line).collect()
}

const GIVEN_UP: &str = "aborted: its start was cut off before it was complete";

#[tokio::test]
async fn a_start_that_a_full_disk_cuts_off_is_refused_and_its_minted_id_given_up() -> Result {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let engine = open(dir.path(), &faults).await?.start().await?;
    // Full from the second append of the start on, so that it cannot be given up before it was
    // seen.
    let is_full = AtomicBool::new(false);
    faults.set(move |append| {
        (is_full.fetch_or(goes_on(append), SeqCst) || goes_on(append)).then(full)
    });
    let refused = engine.submit(config()?).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Unavailable(Unavailable::ReadOnly { .. })), "{refused}");
    let cut_off = heads(dir.path());
    assert_eq!(cut_off.iter().map(|head| head.status.as_str()).collect::<Vec<_>>(), ["starting"]);

    faults.none();
    let id: CoordinationId =
        cut_off[0].stream.to_string().trim_start_matches("coordination/").parse()?;
    assert_eq!(engine.run(&id)?.wait().await?.verdict, Verdict::Aborted);
    assert_eq!(story(dir.path(), &cut_off[0]), ["started", GIVEN_UP]);
    let again = engine.submit(config()?).await?;
    assert_eq!(again.status().await?.summary.work, 380);
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_start_that_a_full_disk_cuts_off_is_completed_under_its_chosen_id() -> Result {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let engine = open(dir.path(), &faults).await?.start().await?;
    faults.set(|append| goes_on(append).then(full));
    let refused = engine.submit(config()?.with_id("nightly")?).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Unavailable(Unavailable::ReadOnly { .. })), "{refused}");

    faults.none();
    while engine
        .run("none")?
        .pause("")
        .await
        .is_err_and(|error| matches!(error, AskError::Unavailable(Unavailable::ReadOnly { .. })))
    {
        tokio::task::yield_now().await;
    }
    let run = engine.submit(config()?.with_id("nightly")?).await?;
    let status = run.status().await?;
    assert_eq!((status.stage, status.summary.work), (Stage::Running, 380));
    assert_eq!(story(dir.path(), &heads(dir.path())[0]), ["started"]);
    engine.close().await?;
    Ok(())
}

/// A ledger whose engine stopped between the appends of a start.
async fn crashed_in(config: CoordinationConfig) -> Result<(tempfile::TempDir, Engine)> {
    let (dir, faults) = (tempfile::tempdir()?, Faults::default());
    let engine = open(dir.path(), &faults).await?.start().await?;
    let cut_off = AtomicBool::new(false);
    faults.set(move |append| {
        (cut_off.fetch_or(goes_on(append), SeqCst) || goes_on(append)).then(full)
    });
    let refused = engine.submit(config).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Unavailable(Unavailable::ReadOnly { .. })), "{refused}");
    drop(engine);
    let engine = open(dir.path(), &Faults::default()).await?.start().await?;
    Ok((dir, engine))
}

#[tokio::test]
async fn a_start_that_a_crash_cuts_off_is_given_up_if_nobody_knows_its_id() -> Result {
    let (dir, engine) = crashed_in(config()?).await?;
    engine.close().await?;
    assert_eq!(story(dir.path(), &heads(dir.path())[0]), ["started", "resumed", GIVEN_UP]);
    Ok(())
}

#[tokio::test]
async fn a_start_that_a_crash_cuts_off_is_completed_under_its_chosen_id() -> Result {
    let (dir, engine) = crashed_in(config()?.with_id("nightly")?).await?;
    let run = engine.submit(config()?.with_id("nightly")?).await?;
    let status = run.status().await?;
    assert_eq!((status.stage, status.summary.work), (Stage::Running, 380));
    assert_eq!(story(dir.path(), &heads(dir.path())[0]), ["started", "resumed"]);
    engine.close().await?;
    Ok(())
}
