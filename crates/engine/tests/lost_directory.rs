//! A state directory that goes while an engine uses it: nothing more is acknowledged, what waits
//! hears what became of it, and no other ledger is touched.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::ledger::verify::{Scope, verify_directory};
use antiphon::ledger::{Gone, Loss};
use antiphon::{Engine, Output, QueryError, Run, SubmitError, Unavailable};
use tokio::sync::Notify;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn config(id: &str, function: &str) -> Result<CoordinationConfig> {
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None)?;
    Ok(CoordinationConfig::of_work(vec![WorkSpec::function("a", function)?], budget)?
        .with_id(id)?)
}

/// An engine with a run of which a session has begun and does not end by itself.
async fn at_work(dir: &Path) -> Result<(Engine, Run)> {
    let begun = Arc::new(Notify::new());
    let mut setup = Engine::builder(dir)?;
    let tell = Arc::clone(&begun);
    setup.register("stay", move |_| {
        tell.notify_one();
        std::future::pending()
    })?;
    setup.register("work", |_| async { Ok(Output::none()) })?;
    let engine = setup.start().await?;
    let run = engine.submit(config("r", "stay")?).await?;
    begun.notified().await;
    Ok((engine, run))
}

/// Removes a directory that files may still come into, as its engine marks what it has recorded.
fn remove(dir: &Path) -> Result {
    while dir.exists() {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// What became of a directory, as who waited for a run in it was told.
async fn told(run: &Run) -> Result<Gone> {
    match run.wait().await {
        Err(QueryError::Unavailable(Unavailable::Gone { gone })) => Ok(gone),
        other => Err(format!("{other:?}").into()),
    }
}

#[tokio::test]
async fn whoever_waits_follows_or_submits_hears_that_the_directory_was_removed() -> Result {
    let above = tempfile::tempdir()?;
    let dir = above.path().join("state");
    let (engine, run) = at_work(&dir).await?;
    let mut events = run.follow_after(run.status().await?.version).await?;
    remove(&dir)?;
    // Of one that is half removed the database is missed first.
    let loss = told(&run).await?.loss;
    assert!(matches!(loss, Loss::Removed | Loss::File { .. }), "{loss:?}");
    assert!(matches!(events.next().await, Err(Unavailable::Gone { .. })));
    let submitted = engine.submit(config("s", "work")?).await;
    assert!(
        matches!(submitted, Err(SubmitError::Unavailable(Unavailable::Gone { .. }))),
        "{submitted:?}"
    );
    assert!(matches!(engine.close().await, Err(Unavailable::Gone { .. })));
    assert!(!dir.exists(), "nothing is made anew");
    Ok(())
}

#[tokio::test]
async fn nothing_is_acknowledged_that_was_written_into_files_without_a_name() -> Result {
    let above = tempfile::tempdir()?;
    let dir = above.path().join("state");
    let (engine, _run) = at_work(&dir).await?;
    remove(&dir)?;
    // At once: before anybody has looked.
    let submitted = engine.submit(config("s", "work")?).await;
    assert!(
        matches!(submitted, Err(SubmitError::Unavailable(Unavailable::Gone { .. }))),
        "{submitted:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_engine_whose_directory_was_made_anew_by_another_leaves_the_new_ledger_alone() -> Result
{
    let above = tempfile::tempdir()?;
    let dir = above.path().join("state");
    let (old, run) = at_work(&dir).await?;
    remove(&dir)?;
    let (new, _) = at_work(&dir).await?;
    let done = new.submit(config("done", "work")?).await?;
    assert_eq!(done.wait().await?.verdict, Verdict::Succeeded);
    let loss = told(&run).await?.loss;
    assert!(matches!(loss, Loss::Replaced | Loss::File { .. }), "{loss:?}");
    assert!(old.close().await.is_err());
    let again = new.submit(config("again", "work")?).await?;
    assert_eq!(again.wait().await?.verdict, Verdict::Succeeded);
    new.close().await?;
    let report = verify_directory(&dir, &Scope::Ledger)?;
    assert!(report.is_sound(), "{report}");
    let next = Engine::open(&dir).await?;
    assert!(next.run("done")?.receipt().await.is_ok());
    next.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_directory_that_was_moved_is_whole_where_it_is_now() -> Result {
    let above = tempfile::tempdir()?;
    let (dir, away) = (above.path().join("state"), above.path().join("away"));
    let (engine, run) = at_work(&dir).await?;
    fs::rename(&dir, &away)?;
    assert_eq!(told(&run).await?.loss, Loss::Moved { to: away.canonicalize()? });
    assert!(engine.close().await.is_err());
    assert!(!dir.exists());
    let report = verify_directory(&away, &Scope::Ledger)?;
    assert!(report.is_sound(), "{report}");
    fs::rename(&away, &dir)?;
    let next = Engine::open(&dir).await?;
    assert_eq!(next.run("r")?.status().await?.run.as_str(), "r");
    next.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_was_replaced_is_not_written_to_or_read() -> Result {
    let above = tempfile::tempdir()?;
    let dir = above.path().join("state");
    let (engine, run) = at_work(&dir).await?;
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(dir.join(file))?;
    }
    fs::write(dir.join("ledger.db"), "somebody else's")?;
    assert!(matches!(told(&run).await?.loss, Loss::File { name: "ledger.db" }));
    assert!(engine.close().await.is_err());
    assert_eq!(fs::read(dir.join("ledger.db"))?, b"somebody else's");
    assert!(!dir.join("ledger.db-wal").exists());
    Ok(())
}
