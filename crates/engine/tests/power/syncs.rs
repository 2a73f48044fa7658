//! What an engine costs that is there for a moment: how often SQLite has the disk sync, and what is
//! recorded.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use antiphon::ledger::{SqliteOptions, SqliteStore, Store};
use antiphon::{Engine, TakenUp};
use antiphon_core::coordination::{CoordinationBudget, CoordinationConfig};
use antiphon_core::id::Seq;

use super::disk::new_directory;
use super::journal::Op;
use super::vfs::PowerDisk;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Idle open runs.
const IDLE: usize = 1_000;

fn store(directory: &Path, disk: &PowerDisk) -> Arc<SqliteStore> {
    let vfs = Some(disk.name().to_owned());
    Arc::new(SqliteStore::at(directory, SqliteOptions { vfs, ..SqliteOptions::default() }))
}

/// What was synced since a position, in order.
fn synced(disk: &PowerDisk, since: usize) -> Vec<&'static str> {
    let (mut files, mut synced) = (HashMap::new(), Vec::new());
    for (position, op) in disk.journal().into_iter().enumerate() {
        match op {
            Op::Found { inode, path, .. } | Op::Create { inode, path } => {
                let is_log = path.to_string_lossy().ends_with("-wal");
                files.insert(inode, if is_log { "log" } else { "database" });
            }
            Op::Sync { inode, .. } if position >= since => synced.push(files[&inode]),
            _ => {}
        }
    }
    synced
}

/// Has an engine that is there only for that pause a run, and gives what was recorded.
async fn paused(store: &Arc<SqliteStore>, run: &str) -> Outcome<Vec<String>> {
    let before = Seq(store.read_all(Seq(0), usize::MAX)?.len() as u64);
    let builder = Engine::builder_on(Arc::clone(store) as Arc<dyn Store>)?;
    let engine = builder.taking_up(TakenUp::Asked).binding_nothing().start().await?;
    engine.run(run)?.pause("a while").await?;
    engine.close().await?;
    let events = store.read_all(before, usize::MAX)?;
    Ok(events.into_iter().map(|placed| placed.event.kind.into_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_there_to_pause_one_of_many_runs_costs_a_few_syncs_and_events() -> Outcome
{
    let (directory, disk) = (new_directory(), PowerDisk::register());
    let store = store(directory.path(), &disk);
    let engine = Engine::builder_on(Arc::clone(&store) as Arc<dyn Store>)?;
    let engine = engine.start().await?;
    let ageless = CoordinationBudget::new(u32::MAX, (1 << 53) - 1, 1, None)?;
    for n in 0..IDLE {
        let open = CoordinationConfig::open(Vec::new(), ageless.clone())?;
        engine.submit(open.with_id(format!("idle-{n}"))?).await?;
    }
    engine.close().await?;

    let recorded =
        ["ledger.opened", "coordination.interrupted", "coordination.paused", "ledger.closed"];
    // Taking the ledger over, which begins a log; three appends; the log is copied back at the close.
    let since = disk.position();
    assert_eq!(paused(&store, "idle-7").await?, recorded);
    assert_eq!(synced(&disk, since), ["log", "log", "log", "log", "log", "log", "database"]);

    // Whoever reads meanwhile keeps the log, which holds nothing erased: it need not be emptied.
    let reader = SqliteStore::at(
        directory.path(),
        SqliteOptions { vfs: Some(disk.name().to_owned()), ..SqliteOptions::default() },
    );
    reader.read_all(Seq(0), 1)?;
    paused(&store, "idle-8").await?;
    let since = disk.position();
    assert_eq!(paused(&store, "idle-9").await?, recorded);
    assert_eq!(synced(&disk, since), ["log", "log", "log", "log"]);
    drop(reader);
    Ok(())
}
