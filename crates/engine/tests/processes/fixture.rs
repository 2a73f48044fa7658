//! A state directory with wardens, and sessions in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use antiphon::id::SessionId;
use antiphon::process::{Launch, SessionFolder, TreeEnd, WardenSetup, Wardens};
use tempfile::TempDir;

use crate::oracle::Oracle;

/// No two sessions of any test have the same.
pub(crate) fn marker() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("mark-{}-{:06}-end", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// How often a hostile program is run.
pub(crate) fn repetitions(otherwise: usize) -> usize {
    std::env::var("ANTIPHON_BATTERY")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(otherwise)
}

pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    pub(crate) wardens: Wardens,
    next: AtomicU64,
}

/// A session that ended, with what is kept of it.
pub(crate) struct Ended {
    pub(crate) end: TreeEnd,
    pub(crate) folder: SessionFolder,
    pub(crate) survivors: Vec<String>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(WardenSetup::default())
    }

    pub(crate) fn with(setup: WardenSetup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let wardens = Wardens::open(directory.path(), setup).unwrap();
        Self { directory, wardens, next: AtomicU64::new(1) }
    }

    pub(crate) fn session(&self) -> SessionId {
        format!("test.{}", self.next.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
    }

    /// Runs a session to its end.
    pub(crate) async fn run(&self, launch: Launch) -> Ended {
        let session = self.session();
        let mark = launch
            .command
            .get(3)
            .map(|word| word.to_string_lossy().into_owned())
            .unwrap_or_else(marker);
        let mut running = self.wardens.launch(&session, launch).await.unwrap();
        let end = within(running.ended()).await;
        let folder = self.wardens.folder(&session);
        let survivors = Oracle::of(&mark)
            .with_folder(self.directory.path().join("sessions").join(session.to_string()).as_path())
            .survivors();
        Ended { end, folder, survivors }
    }
}

/// No session of these tests may take longer, whatever it does.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it ends in time")
}

/// Looks again until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not come about");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// The same in a task.
pub(crate) async fn comes_about(mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            let _ =
                tokio::time::timeout(Duration::from_millis(2), std::future::pending::<()>()).await;
        }
    };
    within(looking).await;
}
