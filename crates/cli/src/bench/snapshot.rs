//! How long the decider is away while the snapshot of a large run is made.

use std::path::Path;
use std::time::{Duration, Instant};

use antiphon::coordination::{Coordination, CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::id::{StreamName, Version};
use antiphon::ledger::Store;
use antiphon::{Engine, Run};
use tokio::time::sleep;

use super::report::Measured;
use super::scratch::{fresh, runtime};
use crate::command_error::CommandError;

/// Snapshots that are made.
const ROUNDS: usize = 7;

const ITEMS: usize = 100_000;

/// Items that are added at once.
const TOGETHER: usize = 1_000;

/// Pause between two questions.
const ASK_AGAIN: Duration = Duration::from_micros(500);

/// Time between two looks whether a snapshot is there, each of which reads it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The longest that the engine took to answer a question that it need not look up, while each of some
/// snapshots of a run of many items was made and saved.
pub(super) fn run(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let engine = Engine::builder(dir.path()).map_err(CommandError::internal)?;
        let engine = engine.with_snapshot_every(1).start().await.map_err(CommandError::internal)?;
        let (run, mut saved) = large(&engine).await?;
        let (mut longest, mut rates) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (taken, version) = until_saved(&engine, &run, saved.next()).await?;
            longest.push(taken);
            saved = version;
        }
        engine.close().await.map_err(CommandError::internal)?;
        Ok(vec![Measured::timed("snapshot.100k", "ms", &mut longest, &mut rates)])
    })
}

/// A run of so many items, none of which is carried out, once its last snapshot is saved.
async fn large(engine: &Engine) -> Result<(Run, Version), CommandError> {
    let budget = CoordinationBudget::new(1, 3_600_000, 1_000, None);
    let config = CoordinationConfig::open(Vec::new(), budget.map_err(CommandError::internal)?);
    let run = engine.submit(config.map_err(CommandError::internal)?).await;
    let run = run.map_err(CommandError::internal)?;
    let mut last = Version(0);
    for begin in (0..ITEMS).step_by(TOGETHER) {
        let item = |n| WorkSpec::function(format!("item-{n}"), "nothing");
        let items: Result<Vec<_>, _> = (begin..begin + TOGETHER).map(item).collect();
        let added = run.add_work(items.map_err(CommandError::internal)?).await;
        last = added.map_err(CommandError::internal)?;
    }
    let (_, saved) = until_saved(engine, &run, last).await?;
    Ok((run, saved))
}

/// Asks again and again, and has something happen now and then, until the snapshot of a run is as new as
/// an event of it. Gives the longest time that an answer took, and the version of the snapshot.
async fn until_saved(
    engine: &Engine,
    run: &Run,
    event: Version,
) -> Result<(Duration, Version), CommandError> {
    let stream = StreamName::Coordination(run.id().clone());
    let mut longest = Duration::ZERO;
    loop {
        let is_paused = run.pause_now().await.map_err(CommandError::internal)?.is_some();
        let happened = if is_paused { run.unpause().await } else { run.pause("").await };
        happened.map_err(CommandError::internal)?;
        let began = Instant::now();
        while began.elapsed() < LOOK_AGAIN {
            let before = Instant::now();
            engine.at_work().await.map_err(CommandError::internal)?;
            longest = longest.max(before.elapsed());
            sleep(ASK_AGAIN).await;
        }
        let of = stream.clone();
        let read = move |store: &dyn Store| store.load_snapshot(&of, Coordination::SNAPSHOT_FORMAT);
        match engine.read(read).await.map_err(CommandError::internal)? {
            Some(saved) if saved.version >= event => return Ok((longest, saved.version)),
            _ => {}
        }
    }
}
