//! Callers that wait: what it takes to answer all of them, and what they cost while nothing comes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use antiphon::keys::{JsonText, KeyName, KeyWrite};
use antiphon::signals::{Signal, SignalType};
use antiphon::waits::{KeyCondition, KeyNeed, SignalNeed, Waited};
use antiphon::{Need, Run};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use super::report::Measured;
use super::rounds::{ROUNDS, Rounds};
use super::scratch::{in_memory, runtime};
use crate::command_error::CommandError;

/// Callers.
const MANY: usize = 10_000;

/// Keys that are set together.
const TOGETHER: usize = 1_000;

/// For how long nothing comes.
const IDLE: Duration = Duration::from_secs(1);

type Waiting = JoinSet<Result<(), CommandError>>;

/// On a ledger in memory: all wait for one signal, each for a key of its own, or for what does not
/// come.
pub(super) fn run(_: &Path) -> Result<Vec<Measured>, CommandError> {
    let runtime = runtime()?;
    let (engine, run) = runtime.block_on(in_memory())?;
    let answered = runtime.block_on(async {
        let (mut one, mut each) = (Rounds::default(), Rounds::default());
        for round in 0..ROUNDS {
            one.add_all(MANY, one_signal(&run, round).await?);
            each.add_all(MANY, each_a_key(&run, round).await?);
        }
        Ok::<_, CommandError>(vec![one.measured("wait.10k"), each.measured("wait.10k.keys")])
    })?;
    let never = signal_need("never")?;
    let waiting = runtime.block_on(crowd(&run, |_| Ok(never.clone())))?;
    let mut used = Vec::new();
    for _ in 1..ROUNDS {
        let before = processor_time();
        std::thread::sleep(IDLE);
        used.push(processor_time().saturating_sub(before));
    }
    drop(waiting);
    runtime.block_on(engine.close()).map_err(CommandError::internal)?;
    let idle = Measured::timed("wait.10k.idle", "us", &mut used, &mut []);
    Ok(answered.into_iter().chain([idle]).collect())
}

/// How long it takes from the send of the one signal that all wait for until all are answered.
async fn one_signal(run: &Run, round: usize) -> Result<Duration, CommandError> {
    let kind = format!("go.{round}");
    let need = signal_need(&kind)?;
    let mut waiting = crowd(run, |_| Ok(need.clone())).await?;
    let began = Instant::now();
    let kind = SignalType::new(kind).map_err(CommandError::internal)?;
    run.signal(Signal::new(kind)).await.map_err(CommandError::internal)?;
    answered(&mut waiting).await?;
    Ok(began.elapsed())
}

/// How long it takes from the first change of keys until all are answered, each of which waits for
/// one key.
async fn each_a_key(run: &Run, round: usize) -> Result<Duration, CommandError> {
    let need = |caller| {
        let holds = KeyCondition::AtLeast(i64::try_from(round + 1).unwrap_or(0) * 1_000_000);
        Ok(Need::from(KeyNeed::new(key(caller)?, holds)))
    };
    let mut waiting = crowd(run, need).await?;
    let began = Instant::now();
    for first in (0..MANY).step_by(TOGETHER) {
        let mut writes = Vec::with_capacity(TOGETHER);
        for caller in first..first + TOGETHER {
            let value = JsonText::new((round + 1).to_string()).map_err(CommandError::internal)?;
            writes.push(KeyWrite::set(key(caller)?, value).map_err(CommandError::internal)?);
        }
        run.set_keys(writes).await.map_err(CommandError::internal)?;
    }
    answered(&mut waiting).await?;
    Ok(began.elapsed())
}

fn key(caller: usize) -> Result<KeyName, CommandError> {
    KeyName::new(format!("state/{caller}")).map_err(CommandError::internal)
}

fn signal_need(kind: &str) -> Result<Need, CommandError> {
    let kind = SignalType::new(kind).map_err(CommandError::internal)?;
    Ok(Need::from(SignalNeed::new(kind)))
}

/// Callers that wait, all of them taken in.
async fn crowd(
    run: &Run,
    need: impl Fn(usize) -> Result<Need, CommandError>,
) -> Result<Waiting, CommandError> {
    let (mut waiting, asked) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for caller in 0..MANY {
        let (run, need, asked) = (run.clone(), need(caller)?, Arc::clone(&asked));
        waiting.spawn(async move {
            asked.fetch_add(1, Ordering::SeqCst);
            match run.wait_for([need], None).await.map_err(CommandError::internal)? {
                Waited::Met(_) => Ok(()),
                other => Err(CommandError::internal(format!("a wait ended as {other:?}"))),
            }
        });
    }
    while asked.load(Ordering::SeqCst) < MANY {
        tokio::task::yield_now().await;
    }
    // What is asked now is answered behind them; a second time for those that were about to ask.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        run.pause_now().await.map_err(CommandError::internal)?;
    }
    Ok(waiting)
}

async fn answered(waiting: &mut Waiting) -> Result<(), CommandError> {
    while let Some(waited) = waiting.join_next().await {
        waited.map_err(CommandError::internal)??;
    }
    Ok(())
}

/// What this process has used of the processors.
fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs());
    Duration::new(seconds, u32::try_from(nanos).unwrap_or(0))
}
