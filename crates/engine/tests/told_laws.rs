//! What holds of signals and keys however those who use them come in between each other.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon::keys::{Expected, JsonText, KeyName, KeyRecord, KeyWrite};
use antiphon::ledger::Location;
use antiphon::signals::{From, Signal, SignalFilter, Signals};
use antiphon::{AskError, Budget, CoordinationConfig, Engine, Run, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// So many signals with so much data are more than may wait for one listener in memory.
const BURST: usize = 300;
const DATA_BYTES: usize = 4_000;

/// A run that nothing but callers changes, on a ledger in memory.
async fn open() -> (TempDir, Engine, Run) {
    let dir = tempfile::tempdir().unwrap();
    let setup = Engine::builder_at(&Location::memory(dir.path())).unwrap();
    let engine = setup.start().await.unwrap();
    let budget = Budget::sessions(9).within(Duration::from_secs(600)).build().unwrap();
    let config = CoordinationConfig::open(Vec::new(), budget).unwrap();
    let run = engine.submit(config.with_id("run").unwrap()).await.unwrap();
    (dir, engine, run)
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(future)
}

/// One of the writes of somebody who shares keys with others.
#[derive(Debug, Clone)]
struct Change {
    keys: Vec<u8>,
    deletes: bool,
    /// Whether it rests on what was read once, instead of what is there.
    stale: bool,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let keys = prop::collection::btree_set(0..3_u8, 1..3);
    let change = (keys, prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(
        |(keys, deletes, stale)| Change { keys: keys.into_iter().collect(), deletes, stale },
    );
    vec(change, 1..8)
}

/// A change that was made.
#[derive(Debug, Clone)]
struct Made {
    key: KeyName,
    rested_on: Expected,
    version: Version,
    /// Whether a key that is not there was removed: nothing is recorded of that.
    nothing: bool,
}

/// Makes changes one after another, each resting on the keys as they were read.
async fn change(run: Run, changes: Vec<Change>) -> Vec<Made> {
    let (mut made, mut first) = (Vec::new(), BTreeMap::new());
    for change in changes {
        let mut writes = Vec::new();
        let mut rests_on = Vec::new();
        for key in change.keys {
            let key: KeyName = format!("k{key}").parse().unwrap();
            let found = run.key(&key).await.unwrap();
            let now = found.map_or(Expected::Nothing, |found| Expected::At(found.version));
            let read_once = first.entry(key.clone()).or_insert(now);
            let expected = if change.stale { *read_once } else { now };
            let write = match change.deletes {
                true => KeyWrite::delete(key.clone()),
                false => KeyWrite::set(key.clone(), JsonText::new("1").unwrap()).unwrap(),
            };
            writes.push(write.expecting(expected));
            let nothing = change.deletes && expected == Expected::Nothing;
            rests_on.push((key, expected, nothing));
        }
        match run.set_keys(writes).await {
            Ok(version) => {
                made.extend(rests_on.into_iter().map(|(key, rested_on, nothing)| Made {
                    key,
                    rested_on,
                    version,
                    nothing,
                }));
            }
            Err(AskError::Rejected(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    made
}

/// What a key was up to a version, as a write expects it.
fn up_to(history: &[KeyRecord], key: &KeyName, last: u64) -> Expected {
    let mut earlier = history.iter().rev().filter(|record| record.version.0 <= last);
    match earlier.find(|record| record.key == *key) {
        Some(record) if !record.gone => Expected::At(record.version),
        _ => Expected::Nothing,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of all who change the same keys at the same time, each made change rests on the one before it
    /// in the ledger, and nothing else is there.
    #[test]
    fn key_histories_are_serial_under_racing_writers(writers in vec(changes(), 2..6)) {
        block_on(async {
            let (_dir, engine, run) = open().await;
            let mut tasks = JoinSet::new();
            for writer in writers {
                tasks.spawn(change(run.clone(), writer));
            }
            let made = tasks.join_all().await.concat();
            let mut history = run.key_history("", 1_000).await.unwrap();
            history.reverse();
            for made in &made {
                let last = made.version.0 - u64::from(!made.nothing);
                let was = up_to(&history, &made.key, last);
                assert_eq!(made.rested_on, was, "{made:?} in {history:?}");
            }
            for record in &history {
                let is_it = |made: &&Made| made.key == record.key && made.version == record.version;
                let times = made.iter().filter(|made| !made.nothing).filter(is_it).count();
                assert_eq!(times, 1, "who made {record:?}");
            }
            engine.close().await.unwrap();
        });
    }
}

/// What happens in a run that some listen to.
#[derive(Debug, Clone)]
enum Step {
    /// A signal of one of three types.
    Send(u8),
    /// More than may wait for a listener.
    Burst,
    Subscribe {
        from: u8,
        wants: u8,
    },
    /// One of the listeners takes some of what there is for it.
    Take(u8, u8),
    Leave(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_u8).prop_map(Step::Send),
        1 => Just(Step::Burst),
        4 => any::<(u8, u8)>().prop_map(|(from, wants)| Step::Subscribe { from, wants }),
        6 => any::<(u8, u8)>().prop_map(|(who, most)| Step::Take(who, most)),
        2 => any::<u8>().prop_map(Step::Leave),
    ];
    vec(step, 1..40)
}

fn kind(of: u8) -> String {
    format!("t{}", of % 3)
}

/// Somebody who listens, and what is still to come.
struct Listener {
    signals: Signals,
    wants: u8,
    after: Version,
}

impl Listener {
    async fn of(run: &Run, from: From, wants: u8, after: Version) -> Self {
        let filter = match wants % 4 {
            3 => SignalFilter::new(),
            wants => SignalFilter::new().of_type(kind(wants)).unwrap(),
        };
        Self { signals: run.signals(filter, from).await.unwrap(), wants, after }
    }

    /// What of all that was sent is still to come to it.
    fn expected(&self, sent: &[(Version, u8)]) -> Vec<Version> {
        let wanted = |kind: u8| self.wants % 4 == 3 || kind % 3 == self.wants % 4;
        let later = sent.iter().filter(|(version, of)| *version > self.after && wanted(*of));
        later.map(|(version, _)| *version).collect()
    }

    async fn take(&mut self, sent: &[(Version, u8)], most: usize) {
        for version in self.expected(sent).into_iter().take(most) {
            let heard = self.signals.next().await.unwrap().unwrap();
            assert_eq!(heard.version, version, "the next that is wanted");
            self.after = version;
        }
    }
}

impl Listener {
    /// Asks for more than there is and gives it up, so that what comes next waits for it in memory,
    /// where that has room.
    async fn ask_in_vain(&mut self, sent: &[(Version, u8)]) {
        if self.expected(sent).is_empty() {
            let more = tokio::time::timeout(Duration::from_millis(2), self.signals.next()).await;
            assert!(more.is_err(), "nothing was sent, and {more:?} was given");
        }
    }
}

async fn send(run: &Run, of: u8) -> (Version, u8) {
    let data = JsonText::new(format!("\"{}\"", "x".repeat(DATA_BYTES))).unwrap();
    let signal = Signal::new(kind(of).parse().unwrap()).from("driver".parse().unwrap());
    (run.signal(signal.with_data(data).unwrap()).await.unwrap(), of)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// However subscribing, sending, taking, falling behind and leaving alternate, each listener is
    /// given every signal that it wants once and in order, and its end when the run ends.
    #[test]
    fn every_match_is_given_once_and_in_order(steps in steps()) {
        block_on(async {
            let (_dir, engine, run) = open().await;
            let mut sent: Vec<(Version, u8)> = Vec::new();
            let mut listeners: Vec<Listener> = Vec::new();
            let mut bursts = 0;
            for step in steps {
                match step {
                    Step::Send(of) => sent.push(send(&run, of).await),
                    Step::Burst if bursts < 2 => {
                        bursts += 1;
                        let mut all = JoinSet::new();
                        for number in 0..BURST {
                            let run = run.clone();
                            all.spawn(async move { send(&run, number as u8).await });
                        }
                        let mut all = all.join_all().await;
                        all.sort_unstable();
                        sent.extend(all);
                    }
                    Step::Burst => {}
                    Step::Subscribe { from, wants } => {
                        let last = run.status().await.unwrap().version;
                        let (from, after) = match from % 4 {
                            0 => (From::Beginning, Version(0)),
                            1 => (From::Now, last),
                            _ => {
                                let after = Version(u64::from(from) % (last.0 + 1));
                                (From::After(after), after)
                            }
                        };
                        listeners.push(Listener::of(&run, from, wants, after).await);
                    }
                    Step::Take(who, most) if !listeners.is_empty() => {
                        let who = usize::from(who) % listeners.len();
                        listeners[who].take(&sent, most.into()).await;
                        listeners[who].ask_in_vain(&sent).await;
                    }
                    Step::Leave(who) if !listeners.is_empty() => {
                        drop(listeners.swap_remove(usize::from(who) % listeners.len()));
                    }
                    Step::Take(..) | Step::Leave(_) => {}
                }
            }
            run.close("done").await.unwrap();
            run.wait().await.unwrap();
            for mut listener in listeners {
                listener.take(&sent, usize::MAX).await;
                assert_eq!(listener.signals.next().await.unwrap(), None);
            }
            engine.close().await.unwrap();
        });
    }

    /// The same while several send at the same time as listeners come, leave and come back to where
    /// they were.
    #[test]
    fn who_comes_and_goes_while_others_send_misses_nothing(
        senders in vec(vec(0..3_u8, 1..30), 1..4),
        listeners in vec((any::<u8>(), 1..9_usize), 1..5),
    ) {
        block_on(async {
            let (_dir, engine, run) = open().await;
            let mut sending = JoinSet::new();
            for sender in senders {
                let run = run.clone();
                sending.spawn(async move {
                    let mut sent = Vec::new();
                    for of in sender {
                        sent.push(send(&run, of).await);
                    }
                    sent
                });
            }
            let mut listening = JoinSet::new();
            for (wants, at_a_time) in listeners {
                let run = run.clone();
                listening.spawn(async move {
                    let (mut after, mut heard) = (Version(0), Vec::new());
                    'again: loop {
                        let mut listener =
                            Listener::of(&run, From::After(after), wants, after).await;
                        for _ in 0..at_a_time {
                            let Some(signal) = listener.signals.next().await.unwrap() else {
                                break 'again;
                            };
                            after = signal.version;
                            heard.push(after);
                        }
                    }
                    (wants, heard)
                });
            }
            let mut sent = sending.join_all().await.concat();
            sent.sort_unstable();
            run.close("done").await.unwrap();
            for (wants, heard) in listening.join_all().await {
                let all = Listener::of(&run, From::Beginning, wants, Version(0)).await;
                assert_eq!(heard, all.expected(&sent));
            }
            engine.close().await.unwrap();
        });
    }
}
