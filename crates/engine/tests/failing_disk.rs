//! The engine on a disk that is full, or whose syncs fail: refused typed, nothing acknowledged is lost, ends of sessions are kept.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use antiphon::append::{Append, HeadRow};
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::id::{CommitNumber, Seq, StreamName, Version};
use antiphon::ledger::{
    AppendError, Cursor, Damage, Fault, HeadQuery, OpenError, Opened, Owner, Placed, PlacedCommit, ReadError, Snapshot,
    SqliteOptions, SqliteStore, Store, WriteError,
};
use antiphon::{Engine, EngineError, Output};
use tokio::sync::Notify;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const SOUND: u8 = 0;
const FULL: u8 = 1;
const SYNC_FAILS: u8 = 2;

/// A real store whose disk fails on request.
struct FailingDisk {
    store: SqliteStore,
    state: Arc<AtomicU8>,
    failed: Arc<Notify>,
}

impl Store for FailingDisk {
    fn append(&self, append: &Append, cursors: &[Cursor]) -> std::result::Result<Seq, AppendError> {
        let state = self.state.load(Ordering::SeqCst);
        let fault = |source: &str| Fault {
            doing: "append".to_owned(),
            source: source.into(),
            disk_full: state == FULL,
            sync_failed: state == SYNC_FAILS,
        };
        match state {
            FULL => {
                self.failed.notify_one();
                Err(AppendError::NotWritten { source: fault("no space left on device") })
            }
            SYNC_FAILS => {
                self.failed.notify_one();
                Err(AppendError::Unknown { source: fault("input/output error") })
            }
            _ => self.store.append(append, cursors),
        }
    }

    fn open(&self, owner: &Owner) -> std::result::Result<Opened, OpenError> {
        self.store.open(owner)
    }
    fn move_cursors(&self, cursors: &[Cursor]) -> std::result::Result<(), AppendError> {
        self.store.move_cursors(cursors)
    }
    fn read_stream(&self, stream: &StreamName, after: Version, limit: usize) -> std::result::Result<Vec<Recorded>, ReadError> {
        self.store.read_stream(stream, after, limit)
    }
    fn read_all(&self, after: Seq, limit: usize) -> std::result::Result<Vec<Placed>, ReadError> {
        self.store.read_all(after, limit)
    }
    fn commits(&self, after: CommitNumber, limit: usize) -> std::result::Result<Vec<PlacedCommit>, ReadError> {
        self.store.commits(after, limit)
    }
    fn heads(&self, query: &HeadQuery) -> std::result::Result<Vec<HeadRow>, ReadError> {
        self.store.heads(query)
    }
    fn blob(&self, digest: &Digest) -> std::result::Result<Option<Vec<u8>>, ReadError> {
        self.store.blob(digest)
    }
    fn save_snapshot(&self, snapshot: &Snapshot) -> std::result::Result<(), WriteError> {
        self.store.save_snapshot(snapshot)
    }
    fn load_snapshot(&self, stream: &StreamName, format: &str) -> std::result::Result<Option<Snapshot>, ReadError> {
        self.store.load_snapshot(stream, format)
    }
    fn cursor(&self, name: &str) -> std::result::Result<Option<Cursor>, ReadError> {
        self.store.cursor(name)
    }
    fn damages(&self) -> std::result::Result<Vec<Damage>, ReadError> {
        self.store.damages()
    }
    fn mark_head(&self) -> std::result::Result<(), WriteError> {
        self.store.mark_head()
    }
    fn declare_verified(&self) -> std::result::Result<(), WriteError> {
        self.store.declare_verified()
    }
    fn close(&self) -> std::result::Result<(), WriteError> {
        self.store.close()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    state: Arc<AtomicU8>,
    failed: Arc<Notify>,
    begun: Arc<Notify>,
    go: Arc<Notify>,
    runs: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new() -> Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
            state: Arc::new(AtomicU8::new(SOUND)),
            failed: Arc::default(),
            begun: Arc::default(),
            go: Arc::default(),
            runs: Arc::default(),
        })
    }

    /// An engine whose function says when it has begun and ends when it is let go.
    async fn start(&self) -> Result<Engine> {
        let store = SqliteStore::at(self.dir.path().join("state"), SqliteOptions::default());
        let disk = FailingDisk { store, state: Arc::clone(&self.state), failed: Arc::clone(&self.failed) };
        let mut setup = Engine::open_store(Arc::new(disk))?;
        let (begun, go, runs) = (Arc::clone(&self.begun), Arc::clone(&self.go), Arc::clone(&self.runs));
        setup.register("work", move |session| {
            let (begun, go, runs) = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&runs));
            async move {
                runs.lock().expect("no test panics here").push(session.session().to_string());
                begun.notify_one();
                go.notified().await;
                Ok(Output::text("done"))
            }
        });
        Ok(setup.start().await?)
    }

    fn runs(&self) -> Vec<String> {
        self.runs.lock().expect("no test panics here").clone()
    }
}

fn config(id: &str, work: &[&str]) -> Result<CoordinationConfig> {
    let items = work.iter().map(|work| WorkSpec::function(work, "work")).collect::<std::result::Result<_, _>>()?;
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None)?;
    Ok(CoordinationConfig::of_work(items, budget)?.with_id(id)?)
}

#[tokio::test]
async fn a_full_disk_refuses_commands_keeps_the_ends_of_sessions_and_goes_on_once_there_is_room() -> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    let id = engine.submit(config("first", &["a", "b"])?).await?;
    bench.begun.notified().await;

    bench.state.store(FULL, Ordering::SeqCst);
    bench.go.notify_one();
    bench.failed.notified().await;
    let refused = engine.submit(config("second", &["c"])?).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the ledger is read-only until a write succeeds again (could not append); make room and repeat the command"
    );
    assert_eq!(bench.runs(), ["first.1"], "no session starts on a full disk");

    bench.state.store(SOUND, Ordering::SeqCst);
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(engine.wait(&id).await?.verdict, Verdict::Succeeded);
    assert_eq!(bench.runs(), ["first.1", "first.2"], "the end that met the full disk was kept, not repeated");
    engine.close().await?;
    Ok(())
}

#[tokio::test]
async fn an_error_of_a_sync_closes_the_ledger_until_a_restart_has_verified_it() -> Result {
    let bench = Bench::new()?;
    let engine = bench.start().await?;
    let id = engine.submit(config("first", &["a"])?).await?;
    bench.begun.notified().await;

    bench.state.store(SYNC_FAILS, Ordering::SeqCst);
    let unknown = engine.submit(config("second", &["b"])?).await.unwrap_err();
    assert!(matches!(unknown, EngineError::Poisoned { .. }), "{unknown}");
    bench.state.store(SOUND, Ordering::SeqCst);
    let still = engine.submit(config("third", &["b"])?).await.unwrap_err();
    assert!(matches!(still, EngineError::Poisoned { .. }), "{still}");
    assert!(matches!(engine.wait(&id).await, Err(EngineError::Stopped)), "no end will be recorded any more");
    let closed = engine.close().await.unwrap_err();
    assert!(matches!(closed, EngineError::Poisoned { .. }), "{closed}");

    let engine = bench.start().await?;
    bench.begun.notified().await;
    bench.go.notify_one();
    assert_eq!(engine.wait(&id).await?.verdict, Verdict::Succeeded);
    assert_eq!(bench.runs(), ["first.1", "first.2"]);
    engine.close().await?;
    Ok(())
}
