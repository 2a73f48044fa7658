//! Signals, from their send to those that listen: within a process, and over the socket of an engine
//! in another one.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use antiphon::id::CoordinationId;
use antiphon::ledger::Location;
use antiphon::signals::{From, Signal, SignalFilter, SignalType};
use antiphon::{Engine, Run};
use antiphon_server::{Client, FollowAfter, SignalQuery, SignalRequest};
use tokio::task::JoinSet;

use super::command::{repeated, this, timed};
use super::report::Measured;
use super::rounds::{ROUNDS, Rounds};
use super::scratch::{fresh, runtime};
use crate::command_error::CommandError;

/// Signals of a round that are sent one after the other.
const EACH: usize = 500;

/// Senders that wait for their answers at the same time.
const SENDERS: usize = 64;

/// Signals that are on their way together where only their number counts.
const FILLING: usize = 1_000;

const TYPE: &str = "stage_completed";

/// The run that all of them are sent to.
const RUN: &str = "inbox";

fn signal() -> Result<Signal, CommandError> {
    let kind = SignalType::new(TYPE).map_err(CommandError::internal)?;
    Ok(Signal::new(kind))
}

/// An engine with the run, which its first signal begins.
async fn open(location: &Location) -> Result<(Engine, Run), CommandError> {
    let setup = Engine::builder_at(location).map_err(CommandError::internal)?;
    let engine = setup.allowing_undeclared().start().await.map_err(CommandError::internal)?;
    let run = engine.run(RUN).map_err(CommandError::internal)?;
    run.signal(signal()?).await.map_err(CommandError::internal)?;
    Ok((engine, run))
}

/// From a send to a subscriber in the same process, one after the other, both in one task of the
/// engine's runtime.
pub(super) fn heard(
    dir: &Path,
    name: &str,
    in_memory: bool,
) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let location = match in_memory {
        true => Location::memory(dir.path()),
        false => Location::directory(dir.path()),
    };
    let runtime = runtime()?;
    let rounds = runtime.spawn(heard_in_rounds(location));
    let rounds = runtime.block_on(rounds).map_err(CommandError::internal)??;
    Ok(vec![rounds.measured(name)])
}

async fn heard_in_rounds(location: Location) -> Result<Rounds, CommandError> {
    let (engine, run) = open(&location).await?;
    let follow = run.signals(SignalFilter::new(), From::Now).await;
    let mut signals = follow.map_err(CommandError::internal)?;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let (began, mut times) = (Instant::now(), Vec::with_capacity(EACH));
        for _ in 0..EACH {
            let before = Instant::now();
            let heard = async {
                let heard = signals.next().await;
                heard.map(|_| before.elapsed()).map_err(CommandError::internal)
            };
            let sent = async { run.signal(signal()?).await.map_err(CommandError::internal) };
            let (took, _) = tokio::try_join!(heard, sent)?;
            times.push(took);
        }
        rounds.add(times, began.elapsed());
    }
    engine.close().await.map_err(CommandError::internal)?;
    Ok(rounds)
}

/// How long senders wait that send at the same time.
pub(super) fn senders(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let (engine, run) = open(&Location::directory(dir.path())).await?;
        let mut rounds = Rounds::default();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let times = together(&run, SENDERS, EACH / 10).await?;
            rounds.add(times, began.elapsed());
        }
        engine.close().await.map_err(CommandError::internal)?;
        Ok(vec![rounds.measured("signal.senders.64")])
    })
}

/// How long each send takes of senders that send so many each, all at the same time.
async fn together(run: &Run, senders: usize, each: usize) -> Result<Vec<Duration>, CommandError> {
    let mut sending = JoinSet::new();
    for _ in 0..senders {
        let run = run.clone();
        sending.spawn(async move {
            let mut times = Vec::with_capacity(each);
            for _ in 0..each {
                times.push(sent(&run).await?);
            }
            Ok::<_, CommandError>(times)
        });
    }
    let mut times = Vec::with_capacity(senders * each);
    while let Some(sent) = sending.join_next().await {
        times.extend(sent.map_err(CommandError::internal)??);
    }
    Ok(times)
}

/// How long a send takes until it is durable.
async fn sent(run: &Run) -> Result<Duration, CommandError> {
    let before = Instant::now();
    run.signal(signal()?).await.map_err(CommandError::internal)?;
    Ok(before.elapsed())
}

/// How long a send takes in a run that has so many signals; with the larger number, what each of them
/// takes up on the disk, and how long it takes from nothing until one more is acknowledged.
pub(super) fn history(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let (engine, run) = open(&Location::directory(dir.path())).await?;
        let (mut there, mut measured) = (1_usize, Vec::new());
        for (name, wanted) in [("signal.history.1k", 1_000), ("signal.history.1m", 1_000_000)] {
            together(&run, FILLING, (wanted - there).div_ceil(FILLING)).await?;
            there = wanted;
            let mut rounds = Rounds::default();
            for _ in 0..ROUNDS {
                let (began, mut times) = (Instant::now(), Vec::with_capacity(EACH));
                for _ in 0..EACH {
                    times.push(sent(&run).await?);
                }
                there += EACH;
                rounds.add(times, began.elapsed());
            }
            measured.push(rounds.measured(name));
        }
        engine.close().await.map_err(CommandError::internal)?;
        let size = std::fs::metadata(dir.path().join("ledger.db"));
        let size = size.map_err(CommandError::internal)?.len();
        measured.push(Measured::size("signal.bytes", size as f64 / there as f64));
        let mut rounds = Rounds::default();
        for _ in 0..ROUNDS {
            let before = Instant::now();
            let (engine, _) = open(&Location::directory(dir.path())).await?;
            rounds.add_all(1, before.elapsed());
            engine.close().await.map_err(CommandError::internal)?;
        }
        measured.push(rounds.measured("signal.open.1m"));
        Ok(measured)
    })
}

/// The command that an item sends a signal with, from its start to its end.
pub(super) fn command(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let serving = Serving::start(dir.path(), false)?;
    let socket = serving.dir.join("api.sock");
    let send = || {
        let mut send = this()?;
        send.env_remove("ANTIPHON_DIR").env("ANTIPHON_SOCKET", &socket).env("ANTIPHON_RUN", RUN);
        timed(send.args(["signal", "send", TYPE]))
    };
    Ok(vec![repeated("signal.cli", send)?])
}

/// An engine in a process of its own.
struct Serving {
    process: Child,
    dir: PathBuf,
}

impl Serving {
    fn start(dir: &Path, in_memory: bool) -> Result<Self, CommandError> {
        let mut serve = this()?;
        match in_memory {
            true => serve.env("TMPDIR", dir).env_remove("ANTIPHON_DIR").args(["serve", "--memory"]),
            false => serve.arg("--dir").arg(dir.join("state")).arg("serve"),
        };
        let mut process = serve
            .args(["--undeclared", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(CommandError::internal)?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(CommandError::internal)?;
        }
        let told: serde_json::Value =
            serde_json::from_str(&line).map_err(CommandError::internal)?;
        let dir = told["dir"].as_str().map(PathBuf::from);
        Ok(Self { process, dir: dir.ok_or_else(|| CommandError::internal("no directory"))? })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // What it has is thrown away in any case.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// From a send to a subscriber, by way of an engine in another process.
pub(super) fn socket(
    dir: &Path,
    name: &str,
    in_memory: bool,
) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let serving = Serving::start(dir.path(), in_memory)?;
    let runtime = runtime()?;
    let rounds = runtime.spawn(heard_over_the_socket(serving.dir.clone()));
    let rounds = runtime.block_on(rounds).map_err(CommandError::internal)??;
    Ok(vec![rounds.measured(name)])
}

async fn heard_over_the_socket(dir: PathBuf) -> Result<Rounds, CommandError> {
    let (sender, listener) = (Client::connect(&dir).await?, Client::connect(&dir).await?);
    let run = CoordinationId::new(RUN).map_err(CommandError::internal)?;
    let request = SignalRequest { r#type: TYPE.to_owned(), ..SignalRequest::default() };
    sender.signal(&run, &request, None).await?;
    let mut signals = listener.signals(&run, &SignalQuery::default(), FollowAfter::Now);
    signals.begun().await?;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let (began, mut times) = (Instant::now(), Vec::with_capacity(EACH));
        for _ in 0..EACH {
            let before = Instant::now();
            let heard = async { signals.next().await.map(|_| before.elapsed()) };
            let (took, _) = tokio::try_join!(heard, sender.signal(&run, &request, None))?;
            times.push(took);
        }
        rounds.add(times, began.elapsed());
    }
    Ok(rounds)
}
