//! How many appends work costs.

use antiphon::Engine;
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::id::{CommitNumber, Seq};
use antiphon::ledger::{SqliteOptions, SqliteStore, Store as _};
use antiphon::{Output, SessionContext};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn commits(dir: &std::path::Path) -> Result<usize, antiphon::ledger::ReadError> {
    Ok(SqliteStore::at(dir, SqliteOptions::default()).commits(CommitNumber(0), 1_000)?.len())
}

/// The start binds the first step; after that the end of each step binds the next in the same
/// append, and the last ends all of it.
#[tokio::test(flavor = "multi_thread")]
async fn ten_sequential_steps_are_eleven_appends() -> Outcome {
    let dir = tempfile::tempdir()?;
    let mut setup = Engine::builder(dir.path())?;
    setup.register("step", |_: SessionContext| async { Ok(Output::none()) }).unwrap();
    let engine = setup.start().await?;
    let steps = (1..=10).map(|n| {
        let step = WorkSpec::function(format!("step-{n}"), "step")?;
        if n > 1 { step.needs_work(format!("step-{}", n - 1)) } else { Ok(step) }
    });
    let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
    let config = CoordinationConfig::of_work(steps.collect::<Result<_, _>>()?, budget)?;
    // The engine's own first event is on the record before it answers anything.
    let first = engine.submit(config.clone()).await?;
    first.wait().await?;

    let before = commits(dir.path())?;
    let run = engine.submit(config).await?;
    let ended = run.wait().await?;
    assert_eq!((ended.verdict, commits(dir.path())? - before), (Verdict::Succeeded, 11));
    engine.close().await?;
    Ok(())
}

/// Whoever opens a ledger takes up all that is in it, and records nothing of what only waits to be
/// used until it is.
#[tokio::test(flavor = "multi_thread")]
async fn opening_a_ledger_of_dormant_runs_records_nothing_of_them() -> Outcome {
    let dir = tempfile::tempdir()?;
    let engine = Engine::builder(dir.path())?.start().await?;
    let ageless = CoordinationBudget::new(u32::MAX, (1 << 53) - 1, 1, None)?;
    let used = engine.submit(CoordinationConfig::open(Vec::new(), ageless.clone())?).await?;
    for _ in 0..100 {
        engine.submit(CoordinationConfig::open(Vec::new(), ageless.clone())?).await?;
    }
    engine.close().await?;
    let recorded = |after| -> Result<Vec<String>, antiphon::ledger::ReadError> {
        let events =
            SqliteStore::at(dir.path(), SqliteOptions::default()).read_all(after, 1_000)?;
        Ok(events.into_iter().map(|placed| placed.event.kind.into_owned()).collect())
    };
    let before = Seq(recorded(Seq(0))?.len() as u64);

    let mut setup = Engine::builder(dir.path())?;
    setup.register("step", |_: SessionContext| async { Ok(Output::none()) }).unwrap();
    let engine = setup.start().await?;
    let used = engine.run(used.id())?;
    let added = used.add_work(vec![WorkSpec::function("a", "step")?]).await?;
    let mut events = used.follow_after(added).await?;
    while let Some(event) = events.next().await?
        && event.kind != "coordination.session_unbound"
    {}
    engine.close().await?;
    assert_eq!(
        recorded(before)?,
        [
            "ledger.opened",
            "coordination.resumed",
            "coordination.work_added",
            "coordination.session_bound",
            "coordination.session_unbound",
            "ledger.closed",
        ]
    );
    Ok(())
}
