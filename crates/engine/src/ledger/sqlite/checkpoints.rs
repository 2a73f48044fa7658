//! Keeping the write-ahead log short: a second connection copies it back while appends go on, and
//! the writer only finishes.
//!
//! SQLite writes the log over from its start once all of it has been copied, which cannot come
//! about while appends continue. So a second thread copies most of it, once or a few times, and the
//! little that was appended meanwhile is copied by the writer between two appends.
//!
//! A checkpoint begins with a sync of the log, and that may be the one which fails for an append
//! that is just being written. Linux tells everybody who has the file open, so that the append's
//! own sync fails, too; and no append is acknowledged once a pass is known to have failed. Other
//! systems do not promise the first, and there the writer copies everything itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::connection::{self, CheckpointPass};
use crate::ledger::fault::Fault;
use crate::ledger::held_directory::{DATABASE, HeldDirectory};

/// The WAL is copied back when it has this many pages (16 MiB).
///
/// A round costs two syncs and tens of milliseconds. The WAL file keeps its size and is written
/// over from the start, and an overwrite syncs faster than a file that grows. Much more would slow
/// down reads, which look every page up in the WAL first, and the next start.
const PAGES: u32 = 4096;

/// The writer copies the rest itself when it is no more than this part of a round.
const REST: u32 = 8;

/// Passes concurrent with the appends in one round; with a disk that does not keep up, the writer
/// copies what is left after them.
const PASSES: u32 = 4;

/// When the log has grown by so many rounds since a round began, appends wait until it is copied:
/// the log stays bounded, at 64 MiB.
const OVERDUE: u32 = 3;

/// The checkpoints of one writer.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Pages of a round.
    every: u32,
    /// How many pages the log has, as of the last commit.
    pages: Arc<AtomicU32>,
    /// How many pages start the next round.
    at: u32,
    /// Passes of this round that have begun.
    passes: u32,
    /// How many pages there were when this round began.
    began: u32,
    /// Whether the second thread is making a pass.
    running: bool,
    /// What the last pass did, until the writer has gone on from it.
    done: Option<CheckpointPass>,
    beside: Option<Beside>,
}

/// The second thread, with a connection of its own.
#[derive(Debug)]
struct Beside {
    go: Sender<()>,
    passes: Receiver<Result<CheckpointPass, Fault>>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Counts the pages that a connection writes. `every` is how many of them make a round, if not
    /// the usual number.
    pub(super) fn of(writing: &mut Connection, every: Option<u32>) -> rusqlite::Result<Self> {
        let every = every.unwrap_or(PAGES);
        let pages = Arc::new(AtomicU32::new(0));
        let counter = pages.clone();
        writing.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            counter.store(pages.cast_unsigned(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self {
            every,
            pages,
            at: every,
            passes: 0,
            began: 0,
            running: false,
            done: None,
            beside: None,
        })
    }

    /// Takes in what the thread has done, without waiting for it.
    pub(super) fn hear(&mut self) -> Result<(), Fault> {
        let Some(beside) = self.beside.as_ref().filter(|_| self.running) else { return Ok(()) };
        match beside.passes.try_recv() {
            Ok(pass) => self.take(pass),
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => self.take(Err(lost())),
        }
    }

    /// Waits until no pass runs.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        match self.beside.as_ref().filter(|_| self.running) {
            Some(beside) => {
                let pass = beside.passes.recv().unwrap_or_else(|_| Err(lost()));
                self.take(pass)
            }
            None => Ok(()),
        }
    }

    /// Ends the thread; its connection is closed when this returns.
    pub(super) fn tail(&mut self) -> Result<(), Fault> {
        let settled = self.settle();
        if let Some(Beside { go, passes, thread }) = self.beside.take() {
            drop((go, passes));
            // A panic of the thread was reported when its answer was missed.
            let _ = thread.join();
        }
        settled
    }

    fn take(&mut self, pass: Result<CheckpointPass, Fault>) -> Result<(), Fault> {
        self.running = false;
        match pass {
            Ok(pass) => self.done = Some(pass),
            Err(fault) => {
                self.rest();
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Copies back what has become too much. Called between appends; `held` and `vfs` say where a
    /// second connection is to be opened.
    pub(super) fn keep_short(
        &mut self,
        writing: &Connection,
        held: &HeldDirectory,
        vfs: Option<&str>,
    ) -> Result<(), Fault> {
        let pages = self.pages();
        // The count starts again when the WAL is written over from its start; while a reader keeps
        // that from happening, the next round waits for as many new pages instead of being tried at
        // every append.
        self.at = self.at.min(pages.saturating_add(self.every));
        let overdue = self.passes > 0
            && pages >= self.began.saturating_add(self.every.saturating_mul(OVERDUE));
        if overdue {
            self.settle()?;
        }
        match self.done.take() {
            None if self.running || pages < self.at => Ok(()),
            None => self.begin(writing, held, vfs),
            Some(CheckpointPass { log, copied }) => {
                let left = pages.saturating_sub(copied);
                if copied < log || left == 0 {
                    // A reader is in the way, or nothing is.
                    self.rest();
                    Ok(())
                } else if left > self.every / REST && self.passes < PASSES && !overdue {
                    self.begin(writing, held, vfs)
                } else {
                    self.finish(writing)
                }
            }
        }
    }

    fn begin(
        &mut self,
        writing: &Connection,
        held: &HeldDirectory,
        vfs: Option<&str>,
    ) -> Result<(), Fault> {
        if self.beside.is_none() && cfg!(target_os = "linux") {
            match Beside::start(held, vfs) {
                Ok(beside) => self.beside = Some(beside),
                Err(error) => {
                    tracing::warn!(
                        error,
                        "no second connection; appends wait while the write-ahead log is copied back"
                    );
                }
            }
        }
        match &self.beside {
            Some(beside) if beside.go.send(()).is_ok() => {
                if self.passes == 0 {
                    self.began = self.pages();
                }
                self.passes += 1;
                self.running = true;
                Ok(())
            }
            _ => self.finish(writing),
        }
    }

    fn finish(&mut self, writing: &Connection) -> Result<(), Fault> {
        self.rest();
        connection::checkpoint(writing).map(drop).map_err(not_copied)
    }

    /// Ends a round: the next one begins with as many new pages.
    fn rest(&mut self) {
        self.passes = 0;
        self.at = self.pages().saturating_add(self.every);
    }

    fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }
}

impl Beside {
    fn start(held: &HeldDirectory, vfs: Option<&str>) -> Result<Self, String> {
        held.stands().map_err(|gone| gone.to_string())?;
        let connection = connection::writing(&held.whereabouts().join(DATABASE), vfs)
            .map_err(|error| error.to_string())?;
        held.stands().map_err(|gone| gone.to_string())?;
        let (go, asked) = channel();
        let (done, passes) = channel();
        let held = held.clone();
        let copy = move || {
            while asked.recv().is_ok() {
                let pass = connection::checkpoint(&connection).map_err(not_copied);
                if let Err(fault) = pass.as_ref()
                    && !fault.passing
                {
                    // At once: the writer hears of it only with its next append, and may never make
                    // one.
                    held.poison(fault);
                }
                if done.send(pass).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("antiphon-checkpoint".to_owned()).spawn(copy);
        Ok(Self { go, passes, thread: thread.map_err(|error| error.to_string())? })
    }
}

pub(super) fn not_copied(error: rusqlite::Error) -> Fault {
    Fault::sql("copy the write-ahead log back", error)
}

fn lost() -> Fault {
    Fault::io(
        "copy the write-ahead log back",
        std::io::Error::other("the thread that copies it has ended"),
    )
}
