//! An open coordination that has lived long: what left memory is found in the ledger, also after a
//! restart and when its blob is lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon::coordination::{
    CoordinationBudget, CoordinationConfig, MAX_FINISHED_IN_MEMORY, Verdict, WorkSpec,
};
use antiphon::id::CoordinationId;
use antiphon::ledger::verify::{Scope, verify};
use antiphon::ledger::{SqliteOptions, SqliteStore};
use antiphon::{Engine, Output};
use tokio::sync::Notify;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const ITEMS: usize = MAX_FINISHED_IN_MEMORY + 1_000;

/// Which blobs are archives.
const ARCHIVES: &str = "CAST(bytes AS TEXT) LIKE '[{\"work\":%'";

/// An engine whose function answers with what it was handed, and tells when it has run so often.
async fn start(dir: &Path, told: &Arc<(AtomicUsize, Notify)>) -> Result<Engine> {
    let mut setup = Engine::builder(dir)?;
    let told = Arc::clone(told);
    setup.register("work", move |session| {
        let told = Arc::clone(&told);
        async move {
            let mut heard = session.work().to_string();
            for need in ["i0", "i2"] {
                if let Some(output) = session.output_of(need).await? {
                    heard.push_str(&format!(" after {}", output.as_text()?));
                }
            }
            told.0.fetch_add(1, Ordering::SeqCst);
            told.1.notify_one();
            Ok(Output::bytes(heard))
        }
    })?;
    Ok(setup.start().await?)
}

async fn until_run(told: &(AtomicUsize, Notify), times: usize) {
    while told.0.load(Ordering::SeqCst) < times {
        told.1.notified().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_may_need_what_left_memory_long_ago_even_if_its_blob_is_lost() -> Result {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let told = Arc::default();
    let id: CoordinationId = "pipeline".parse()?;
    let engine = start(&state, &told).await?;
    let budget = CoordinationBudget::new(1_000_000, 3_600_000, 1_000, None)?;
    engine
        .submit(
            CoordinationConfig::open(vec![], budget)?.with_id(id.as_str())?.with_concurrency(64)?,
        )
        .await?;
    for part in 0..ITEMS / 1_000 {
        let items =
            (part * 1_000..(part + 1) * 1_000).map(|n| WorkSpec::function(format!("i{n}"), "work"));
        engine.run(&id)?.add_work(items.collect::<std::result::Result<Vec<_>, _>>()?).await?;
    }
    until_run(&told, ITEMS).await;
    engine.run(&id)?.add_work(vec![WorkSpec::function("late", "work")?.needs_work("i0")?]).await?;
    until_run(&told, ITEMS + 1).await;
    assert!(engine.run(&id)?.why("i0").await.is_ok(), "it was recalled");
    let gone = engine.run(&id)?.why("i1").await.unwrap_err();
    assert_eq!(gone.to_string(), "work i1 has finished and left memory; its events are in the log");
    let twice =
        engine.run(&id)?.add_work(vec![WorkSpec::function("i1", "work")?]).await.unwrap_err();
    assert_eq!(twice.to_string(), "work i1 already exists; ids are unique within a run");
    engine.close().await?;

    // Every archive is lost or damaged; they follow from the events.
    let database = rusqlite::Connection::open(state.join("ledger.db"))?;
    let damaged =
        format!("UPDATE blobs SET bytes = zeroblob(size) WHERE blob % 2 = 0 AND {ARCHIVES}");
    assert!(database.execute(&damaged, [])? > 0);
    let lost = database.execute(&format!("DELETE FROM blobs WHERE {ARCHIVES}"), [])?;
    assert!(lost > 0);
    drop(database);

    let engine = start(&state, &told).await?;
    engine.run(&id)?.add_work(vec![WorkSpec::function("later", "work")?.needs_work("i2")?]).await?;
    until_run(&told, ITEMS + 2).await;
    engine.run(&id)?.close("closed").await?;
    assert_eq!(engine.run(&id)?.wait().await?.verdict, Verdict::Succeeded);
    let heard = engine.run(&id)?.output("later").await?.unwrap();
    assert_eq!(heard, Output::bytes("later after i2"));
    assert_eq!(engine.run(&id)?.output("i7").await?, Some(Output::bytes("i7")), "long ago");
    assert_eq!(engine.run(&id)?.output("nothing").await?, None);
    engine.close().await?;
    let left: u32 = rusqlite::Connection::open(state.join("ledger.db"))?.query_row(
        &format!("SELECT count(*) FROM blobs WHERE {ARCHIVES}"),
        [],
        |row| row.get(0),
    )?;
    assert_eq!(left, 0, "nobody could have them erased once the run has ended");
    let report = verify(&SqliteStore::at(&state, SqliteOptions::default()), &Scope::Ledger)?;
    assert!(report.is_sound(), "{report}");
    Ok(())
}
