//! Appends of 1 KiB to one stream by so many waiting writers, compared with SQLite alone under the
//! same load.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use antiphon::append::{Append, HeadRow};
use antiphon::digest::Digest;
use antiphon::envelope::{Commit, CommitTip, Payload, Recorded, StreamTip};
use antiphon::id::{Actor, CoordinationId, Epoch, StreamName};
use antiphon::ledger::{AppendBaseline, Location, Owner, Store};
use antiphon::time::{LedgerTime, WallTime};
use tokio::sync::oneshot;

use super::report::Measured;
use super::scratch::fresh;
use crate::command_error::CommandError;

/// Bytes of payload.
const PAYLOAD: usize = 1_024;

/// Rounds of each kind; they alternate, so that both meet the same neighbours.
const ROUNDS: usize = 7;

/// How long a round is.
const ROUND: Duration = Duration::from_millis(600);

/// How soon after an append the head mark follows, as in the engine.
const MARK_WITHIN: Duration = Duration::from_millis(60);

/// Measures appends and their floor by turns.
pub(super) fn run(dir: &Path, width: usize) -> Result<Vec<Measured>, CommandError> {
    let (ledger_dir, floor_dir) = (fresh(dir)?, fresh(dir)?);
    let (mut ledger, mut chain) = MarkedLedger::open(ledger_dir.path())?;
    let baseline =
        AppendBaseline::open(floor_dir.path(), &owner()).map_err(CommandError::internal)?;
    let mut rows = Stream::new()?;
    let (mut appends, mut plain) = (Rounds::default(), Rounds::default());
    // The first round of each only makes the files as large as they will be.
    for round in 0..=ROUNDS {
        let chained =
            load(width, |payloads| chain.link(payloads), |append| ledger.append(&append))?;
        let make = |payloads: Vec<_>| {
            payloads.into_iter().map(|payload| rows.event(payload)).collect::<Vec<_>>()
        };
        let inserted =
            load(width, make, |events| baseline.append(&events).map_err(CommandError::internal))?;
        if round > 0 {
            appends.add(chained);
            plain.add(inserted);
        }
    }
    Ok(vec![
        appends.measured(format!("append.{width}")),
        plain.measured(format!("append.floor.{width}")),
    ])
}

#[derive(Debug, Default)]
struct Rounds {
    times: Vec<Duration>,
    rates: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, (times, rate): (Vec<Duration>, f64)) {
        self.times.extend(times);
        self.rates.push(rate);
    }

    fn measured(mut self, name: String) -> Measured {
        Measured::timed(name, "us", &mut self.times, &mut self.rates)
    }
}

/// An append that a writer waits for.
type PendingAppend = (Vec<u8>, oneshot::Sender<()>);

/// Lets writers append and wait, over and over; whatever waits at the same time goes into one
/// transaction. As in the engine, one thread makes a transaction while another writes the one
/// before. Gives the times that the writers waited, and appends per second.
fn load<T: Send>(
    width: usize,
    mut make: impl FnMut(Vec<Vec<u8>>) -> T + Send,
    mut write: impl FnMut(T) -> Result<(), CommandError>,
) -> Result<(Vec<Duration>, f64), CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .map_err(CommandError::internal)?;
    let (sender, receiver) = channel();
    let began = Instant::now();
    let writers: Vec<_> =
        (0..width).map(|_| runtime.spawn(writer(sender.clone(), began + ROUND))).collect();
    drop(sender);
    std::thread::scope(|scope| {
        let (ahead, made) = sync_channel(0);
        scope.spawn(move || {
            while let Some(batch) = next_batch(&receiver, width) {
                let (payloads, replies): (Vec<_>, Vec<oneshot::Sender<()>>) =
                    batch.into_iter().unzip();
                if ahead.send((make(payloads), replies)).is_err() {
                    return;
                }
            }
        });
        for (transaction, replies) in made {
            write(transaction)?;
            for reply in replies {
                // A writer waits for each of its appends.
                let _ = reply.send(());
            }
        }
        Ok::<_, CommandError>(())
    })?;
    let elapsed = began.elapsed();
    let mut times = Vec::new();
    for writer in writers {
        times.extend(runtime.block_on(writer).map_err(CommandError::internal)?);
    }
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    Ok((times, rate))
}

async fn writer(appends: Sender<PendingAppend>, until: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    loop {
        let before = Instant::now();
        if before >= until {
            return times;
        }
        let (reply, answer) = oneshot::channel();
        if appends.send((vec![b'x'; PAYLOAD], reply)).is_err() || answer.await.is_err() {
            return times;
        }
        times.push(before.elapsed());
    }
}

fn next_batch(waiting: &Receiver<PendingAppend>, most: usize) -> Option<Vec<PendingAppend>> {
    let mut batch = Vec::with_capacity(most);
    batch.push(waiting.recv().ok()?);
    batch.extend(waiting.try_iter().take(most - 1));
    Some(batch)
}

/// Events of one stream, numbered and timed, not yet linked.
#[derive(Debug)]
struct Stream {
    name: StreamName,
    actor: Actor,
    tip: StreamTip,
    began: Instant,
}

impl Stream {
    fn new() -> Result<Self, CommandError> {
        let id = CoordinationId::new("01890a5d-ac96-774b-bcce-b302099a8057")
            .map_err(CommandError::internal)?;
        let actor = Actor::new("engine").map_err(CommandError::internal)?;
        Ok(Self {
            name: StreamName::Coordination(id),
            actor,
            tip: StreamTip::default(),
            began: Instant::now(),
        })
    }

    fn now(&self) -> (LedgerTime, WallTime) {
        let at = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        (LedgerTime(at), WallTime(1_700_000_000_000_000_000 + at))
    }

    fn event(&mut self, payload: Vec<u8>) -> Recorded {
        let (at, wall) = self.now();
        self.tip.version = self.tip.version.next();
        Recorded {
            stream: self.name.clone(),
            version: self.tip.version,
            kind: "coordination.session_unbound".into(),
            schema: 1,
            at,
            wall,
            actor: self.actor.clone(),
            cause: None,
            payload: Payload::Bytes(payload),
            prev: self.tip.hash,
            hash: Digest::GENESIS,
        }
    }
}

fn owner() -> Owner {
    Owner::this_process(WallTime(0))
}

/// Both chains, and the head row.
struct Chains {
    stream: Stream,
    epoch: Epoch,
    commits: CommitTip,
}

impl Chains {
    fn link(&mut self, payloads: Vec<Vec<u8>>) -> Append {
        let mut events = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let mut event = self.stream.event(payload);
            event.hash = event.computed_hash();
            self.stream.tip.hash = event.hash;
            events.push(event);
        }
        let commit = Commit::link(self.commits, self.epoch, events.iter().map(|event| event.hash));
        self.commits = commit.tip();
        let head = HeadRow {
            stream: self.stream.name.clone(),
            tip: self.stream.tip,
            status: "running".to_owned(),
            ended: false,
            started: WallTime(1_700_000_000_000_000_000),
            changed: self.stream.now(),
            summary: "{}".to_owned(),
        };
        Append { commit, events, blobs: Vec::new(), heads: vec![head], erasures: Vec::new() }
    }
}

/// The ledger, with its head mark written as often as by the engine, and like there by a thread of
/// its own.
struct MarkedLedger {
    store: Arc<dyn Store>,
    closing: Option<Sender<()>>,
    marker: Option<JoinHandle<()>>,
}

impl MarkedLedger {
    fn open(dir: &Path) -> Result<(Self, Chains), CommandError> {
        let store = Location::directory(dir).store();
        let opened = store.open(&owner()).map_err(CommandError::internal)?;
        let chain = Chains { stream: Stream::new()?, epoch: opened.epoch, commits: opened.commits };
        let (closing, closed) = channel::<()>();
        let marked = Arc::clone(&store);
        let marker = std::thread::spawn(move || {
            // Nothing has changed since the last one between rounds; then this does nothing either.
            while closed.recv_timeout(MARK_WITHIN) == Err(RecvTimeoutError::Timeout)
                && marked.mark_head().is_ok()
            {}
        });
        Ok((Self { store, closing: Some(closing), marker: Some(marker) }, chain))
    }

    fn append(&mut self, append: &Append) -> Result<(), CommandError> {
        self.store.append(append, &[]).map(drop).map_err(CommandError::internal)
    }
}

impl Drop for MarkedLedger {
    fn drop(&mut self) {
        self.closing = None;
        if let Some(marker) = self.marker.take() {
            // A panic there has been printed.
            let _ = marker.join();
        }
    }
}
