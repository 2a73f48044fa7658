//! Sessions and coordinations through the whole engine, with functions that do nothing, on a real
//! disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::id::{CommitNumber, CoordinationId};
use antiphon::ledger::Location;
use antiphon::{Engine, Output, SessionContext};

use super::report::Measured;
use super::scratch::{fresh, runtime};
use crate::command_error::CommandError;

/// Rounds; the first is not counted.
const ROUNDS: usize = 6;

/// Sessions of one round, over all coordinations.
const SESSIONS: usize = 16_384;

/// Runs that are submitted in parallel where one-item runs are measured.
const SUBMITTERS: usize = 256;

/// Moments at which functions began, with their coordination.
type Beginnings = Arc<Mutex<Vec<(CoordinationId, Instant)>>>;

/// An engine whose one function does nothing and notes when it began.
struct Bench {
    engine: Engine,
    beginnings: Beginnings,
}

impl Bench {
    async fn open(dir: &Path) -> Result<Self, CommandError> {
        let beginnings = Beginnings::default();
        let mut setup = Engine::builder(dir).map_err(CommandError::internal)?;
        let noted = Arc::clone(&beginnings);
        setup
            .register("nothing", move |session: SessionContext| {
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                noted.push((session.coordination().clone(), Instant::now()));
                std::future::ready(Ok(Output::none()))
            })
            .map_err(CommandError::internal)?;
        let engine = setup.start().await.map_err(CommandError::internal)?;
        Ok(Self { engine, beginnings })
    }

    async fn close(self) -> Result<(), CommandError> {
        self.engine.close().await.map_err(CommandError::internal)
    }

    /// Executes as many runs in parallel as there are configurations; gives the time that each
    /// took.
    async fn run_all(
        &self,
        configs: Vec<CoordinationConfig>,
    ) -> Result<Vec<Duration>, CommandError> {
        let runs: Vec<_> = configs
            .into_iter()
            .map(|config| tokio::spawn(run_one(self.engine.clone(), config)))
            .collect();
        let mut times = Vec::with_capacity(runs.len());
        for run in runs {
            times.push(run.await.map_err(CommandError::internal)??);
        }
        Ok(times)
    }

    /// Times from the beginning of one session to that of the next in the same coordination, since
    /// the last call.
    fn cycles(&self) -> Vec<Duration> {
        let beginnings =
            std::mem::take(&mut *self.beginnings.lock().unwrap_or_else(PoisonError::into_inner));
        let mut last: BTreeMap<CoordinationId, Instant> = BTreeMap::new();
        let cycles = beginnings
            .into_iter()
            .filter_map(|(id, at)| last.insert(id, at).map(|before| at.duration_since(before)));
        cycles.collect()
    }
}

/// From submission to the receipt.
async fn run_one(engine: Engine, config: CoordinationConfig) -> Result<Duration, CommandError> {
    let before = Instant::now();
    let run = engine.submit(config).await.map_err(CommandError::internal)?;
    let ended = run.wait().await.map_err(CommandError::internal)?;
    if ended.verdict == Verdict::Succeeded {
        Ok(before.elapsed())
    } else {
        Err(CommandError::internal(format!("run {} ended as {}", run.id(), ended.verdict)))
    }
}

/// So many items, each carried out by the function that does nothing.
pub(super) fn items(count: usize) -> Result<Vec<WorkSpec>, CommandError> {
    (0..count)
        .map(|n| WorkSpec::function(format!("item-{n}"), "nothing").map_err(CommandError::internal))
        .collect()
}

/// A coordination of items with room enough for all of them.
pub(super) fn config(items: Vec<WorkSpec>) -> Result<CoordinationConfig, CommandError> {
    let budget = CoordinationBudget::new(1_000_000, 3_600_000, 1_000, None)
        .map_err(CommandError::internal)?;
    CoordinationConfig::of_work(items, budget).map_err(CommandError::internal)
}

/// Bind, run nothing, end, over and over: in so many parallel runs, each with one session at a
/// time.
pub(super) fn cycles(dir: &Path, name: &str, width: usize) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let bench = Bench::open(dir.path()).await?;
        let sessions = if width == 1 { SESSIONS / 8 } else { SESSIONS };
        let (mut times, mut rates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let configs = (0..width)
                .map(|_| config(items(sessions / width)?))
                .collect::<Result<Vec<_>, _>>()?;
            let before = Instant::now();
            bench.run_all(configs).await?;
            let elapsed = before.elapsed();
            let cycles = bench.cycles();
            if round > 0 {
                times.extend(cycles);
                rates.push(sessions as f64 / elapsed.as_secs_f64());
            }
        }
        bench.close().await?;
        Ok(vec![Measured::timed(name, "us", &mut times, &mut rates)])
    })
}

/// Runs of one item, from submission to the receipt, submitted many at a time.
pub(super) fn one_item(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    const EACH: usize = 32;
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let bench = Bench::open(dir.path()).await?;
        let (mut times, mut rates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let one = config(items(1)?)?;
            let before = Instant::now();
            let submitters: Vec<_> = (0..SUBMITTERS)
                .map(|_| {
                    let (engine, one) = (bench.engine.clone(), one.clone());
                    tokio::spawn(async move {
                        let mut times = Vec::with_capacity(EACH);
                        for _ in 0..EACH {
                            times.push(run_one(engine.clone(), one.clone()).await?);
                        }
                        Ok::<_, CommandError>(times)
                    })
                })
                .collect();
            let mut taken = Vec::new();
            for submitter in submitters {
                taken.extend(submitter.await.map_err(CommandError::internal)??);
            }
            bench.cycles();
            if round > 0 {
                rates.push(taken.len() as f64 / before.elapsed().as_secs_f64());
                times.extend(taken);
            }
        }
        bench.close().await?;
        Ok(vec![Measured::timed("coordination.one_item", "us", &mut times, &mut rates)])
    })
}

/// Ten items that each need the one before.
pub(super) fn steps(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let chain = items(10)?.into_iter().enumerate().map(|(n, item)| match n.checked_sub(1) {
        Some(before) => item.needs_work(format!("item-{before}")),
        None => Ok(item),
    });
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(CommandError::internal)?;
    one_after_the_other(dir, "steps.10", &config(chain)?, 60)
}

/// A hundred items in parallel, and one that needs them all.
pub(super) fn fan_out(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let fan =
        items(100)?.into_iter().map(|item| item.in_group("fan")).collect::<Result<Vec<_>, _>>();
    let join = WorkSpec::function("join", "nothing").and_then(|join| join.needs_group("fan"));
    let mut work = fan.map_err(CommandError::internal)?;
    work.push(join.map_err(CommandError::internal)?);
    let config = config(work)?.with_concurrency(100).map_err(CommandError::internal)?;
    one_after_the_other(dir, "fanout.100", &config, 40)
}

/// The same coordination again and again, from submission to the receipt.
fn one_after_the_other(
    dir: &Path,
    name: &str,
    config: &CoordinationConfig,
    each: usize,
) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let bench = Bench::open(dir.path()).await?;
        let (mut times, mut rates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let before = Instant::now();
            let mut taken = Vec::with_capacity(each);
            for _ in 0..each {
                taken.extend(bench.run_all(vec![config.clone()]).await?);
            }
            bench.cycles();
            if round > 0 {
                rates.push(each as f64 / before.elapsed().as_secs_f64());
                times.extend(taken);
            }
        }
        bench.close().await?;
        Ok(vec![Measured::timed(name, "ms", &mut times, &mut rates)])
    })
}

/// What 64 coordinations of 250 sessions each leave on the disk, checkpointed, for each event.
pub(super) fn bytes(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let bench = Bench::open(dir.path()).await?;
        bench.run_all((0..64).map(|_| config(items(250)?)).collect::<Result<Vec<_>, _>>()?).await?;
        bench.close().await
    })?;
    let size =
        std::fs::metadata(dir.path().join("ledger.db")).map_err(CommandError::internal)?.len();
    let events = events_in(dir.path())?;
    Ok(vec![Measured::size("bytes_per_session_event", size as f64 / events as f64)])
}

/// How many events a ledger holds.
pub(super) fn events_in(dir: &Path) -> Result<u64, CommandError> {
    let store = Location::directory(dir).store();
    let (mut after, mut events) = (CommitNumber(0), 0);
    loop {
        let commits = store.commits(after, 10_000).map_err(CommandError::internal)?;
        let Some(last) = commits.last() else { return Ok(events) };
        after = last.commit.number;
        events += commits.iter().map(|placed| u64::from(placed.commit.events)).sum::<u64>();
    }
}
