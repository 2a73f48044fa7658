//! Sessions that are processes: the floor without any of our machinery, one under its warden, and
//! many through the whole engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use antiphon::coordination::Verdict;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, SessionId};
use antiphon::plan::{Compiled, Environment, parse};
use antiphon::process::{Cause, ExitStatus, Launch, TreeEnd, WardenSetup, Wardens};
use antiphon::{Engine, Submission};

use super::report::Measured;
use super::scratch::{fresh, runtime};
use crate::command_error::{CommandError, Kind};

/// Rounds; the first is not counted.
const ROUNDS: usize = 6;

/// Programs that are started one after the other in a round.
const SERIAL: usize = 100;

/// Runs at the same time, and the sessions that each executes in a round, one after the other.
const WIDTH: usize = 64;
const EACH: usize = 8;

/// A program, by its name, in the first directory of the `PATH` that has it.
pub(super) fn program(name: &str) -> Result<PathBuf, CommandError> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    found.ok_or_else(|| {
        CommandError::new(Kind::State, format!("there is no program {name} to be run"))
            .with_hint("set PATH so that it is found")
    })
}

/// A program that does nothing, started and waited for.
pub(super) fn direct() -> Result<Vec<Measured>, CommandError> {
    let nothing = program("true")?;
    let once = || {
        let status = Command::new(&nothing)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                Err(CommandError::internal(format!("{} ended with {status}", nothing.display())))
            }
            Err(error) => {
                Err(CommandError::internal(format!("{} cannot be run: {error}", nothing.display())))
            }
        }
    };
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..SERIAL {
            let before = Instant::now();
            once()?;
            if round > 0 {
                times.push(before.elapsed());
            }
        }
        if round > 0 {
            rates.push(SERIAL as f64 / began.elapsed().as_secs_f64());
        }
    }
    Ok(vec![Measured::timed("spawn.direct", "us", &mut times, &mut rates)])
}

/// The same program as a session, from its launch until it has ended and is forgotten.
pub(super) fn session(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let nothing = program("true")?;
    runtime()?.block_on(async {
        let wardens =
            Wardens::open(dir.path(), WardenSetup::default()).map_err(CommandError::internal)?;
        let coordination = CoordinationId::new("bench").map_err(CommandError::internal)?;
        let (mut times, mut rates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let began = Instant::now();
            for n in 0..SERIAL {
                let session = SessionId {
                    coordination: coordination.clone(),
                    number: (round * SERIAL + n + 1) as u64,
                };
                let before = Instant::now();
                let launch = Launch::new([&nothing], dir.path());
                let mut running =
                    wardens.launch(&session, launch).await.map_err(CommandError::internal)?;
                succeeded(&running.ended().await)?;
                wardens.forget(&session).map_err(CommandError::internal)?;
                if round > 0 {
                    times.push(before.elapsed());
                }
            }
            if round > 0 {
                rates.push(SERIAL as f64 / began.elapsed().as_secs_f64());
            }
        }
        Ok(vec![Measured::timed("spawn.session", "us", &mut times, &mut rates)])
    })
}

fn succeeded(end: &TreeEnd) -> Result<(), CommandError> {
    match (&end.cause, end.status) {
        (Cause::Exited, Some(ExitStatus::Code(0))) if end.clean => Ok(()),
        _ => Err(CommandError::internal(format!(
            "a session that does nothing ended otherwise: {end:?}"
        ))),
    }
}

/// The same through the whole engine, in many runs at the same time.
pub(super) fn many(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let plan = plan(&[program("true")?.display().to_string()], EACH, 1, dir.path())?;
    runtime()?.block_on(async {
        let engine = engine(dir.path()).await?;
        let (mut times, mut rates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let before = Instant::now();
            let runs: Vec<_> =
                (0..WIDTH).map(|_| tokio::spawn(run_one(engine.clone(), plan.clone()))).collect();
            let mut ran = Vec::with_capacity(WIDTH);
            for run in runs {
                ran.push(run.await.map_err(CommandError::internal)??);
            }
            if round > 0 {
                rates.push((WIDTH * EACH) as f64 / before.elapsed().as_secs_f64());
                for id in ran {
                    times.extend(session_times(&engine, &id).await?);
                }
            }
        }
        engine.close().await.map_err(CommandError::internal)?;
        Ok(vec![Measured::timed("session.process.64", "ms", &mut times, &mut rates)])
    })
}

/// An engine that runs processes.
pub(super) async fn engine(dir: &Path) -> Result<Engine, CommandError> {
    let mut setup = Engine::builder(dir).map_err(CommandError::internal)?;
    setup.run_processes(WardenSetup::default()).map_err(CommandError::internal)?;
    setup.start().await.map_err(CommandError::internal)
}

/// A run of so many items that all run one command, so many in parallel.
pub(super) fn plan(
    command: &[String],
    items: usize,
    concurrency: usize,
    dir: &Path,
) -> Result<Compiled, CommandError> {
    let command = serde_json::to_string(command).map_err(CommandError::internal)?;
    let mut text = format!(
        "name: bench\nbudget: {{ sessions: {}, duration: 1h }}\nconcurrency: {concurrency}\nwork:\n",
        2 * items
    );
    for item in 0..items {
        text.push_str(&format!("  item-{item}: {{ command: {command} }}\n"));
    }
    parse(&text, &dir.join("plan.yaml"))
        .and_then(|plan| plan.compile(&Environment::of_process()))
        .map_err(CommandError::internal)
}

async fn run_one(engine: Engine, plan: Compiled) -> Result<CoordinationId, CommandError> {
    let run = engine
        .submit(Submission::new(plan.config).with_inputs(plan.blobs))
        .await
        .map_err(CommandError::internal)?;
    let ended = run.wait().await.map_err(CommandError::internal)?;
    match ended.verdict {
        Verdict::Succeeded => Ok(ended.run),
        verdict => Err(CommandError::internal(format!("run {} ended as {verdict}", run.id()))),
    }
}

/// From the binding of each session to its end, as they are recorded.
async fn session_times(
    engine: &Engine,
    id: &CoordinationId,
) -> Result<Vec<Duration>, CommandError> {
    let mut events = engine
        .run(id)
        .map_err(CommandError::internal)?
        .follow()
        .await
        .map_err(CommandError::internal)?;
    let (mut bound, mut times) = (BTreeMap::new(), Vec::new());
    while let Some(recorded) = events.next().await.map_err(CommandError::internal)? {
        match CoordinationEvent::of(&recorded).map_err(CommandError::internal)? {
            CoordinationEvent::SessionBound(binding) => {
                bound.insert(binding.session, recorded.at);
            }
            CoordinationEvent::SessionUnbound(end) => {
                let since = bound
                    .remove(&end.session)
                    .map(|at| Duration::from_nanos(recorded.at.since(at)));
                times.extend(since);
            }
            _ => {}
        }
    }
    Ok(times)
}
