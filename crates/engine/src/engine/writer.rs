//! The one thread that writes: appends in order, tells how each went, and keeps the head mark fresh.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use antiphon_core::append::Append;
use tokio::sync::{mpsc, oneshot};

use super::caught::{Caught, CaughtError};
use super::{EngineError, StartError};
use crate::crash;
use crate::ledger::{AppendError, Cursor, Snapshot, Store};

/// How long after an append the head mark may lag; promised are 100 ms, and writing it takes some.
const MARK_WITHIN: Duration = Duration::from_millis(60);

/// Cursors that are moved in one transaction.
const MOVES_AT_ONCE: usize = 1_024;

/// Something to be written.
pub(super) enum Job {
    /// A turn; is acknowledged.
    Append(Box<Append>),
    /// A cursor to be moved with the next append, or by itself if none waits; the reader is told once it is durable.
    Move(Cursor, oneshot::Sender<Result<(), EngineError>>),
    /// A snapshot of what was appended before; a cache, so its failure is only told.
    Save(Snapshot),
}

/// The writer's end on the decider's side. Dropping the sender lets the thread finish what it has and close the store.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

/// How an append went.
pub(super) type Ack = Result<(), AppendError>;

impl Writer {
    /// Starts the thread.
    pub(super) fn start(store: Arc<dyn Store>, caught: Arc<Caught>) -> Result<(Self, mpsc::UnboundedReceiver<Ack>), StartError> {
        let (jobs, receiver) = channel();
        let (acks, acknowledged) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("antiphon-writer".to_owned())
            .spawn(move || run(store.as_ref(), &receiver, &acks, &caught))
            .map_err(|source| StartError::System { what: "the writer thread", source })?;
        Ok((Self { jobs: Some(jobs), thread: Some(thread) }, acknowledged))
    }

    /// Hands a job over; the thread ends only after this is dropped.
    pub(super) fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs
            && jobs.send(job).is_err()
        {
            tracing::error!("the writer thread has ended; nothing is written any more");
        }
    }

    /// Lets the thread finish and waits for it.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.jobs = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err("the writer thread panicked".to_owned()),
            None => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(error, "the ledger was not closed in order");
        }
    }
}

fn run(store: &dyn Store, jobs: &Receiver<Job>, acks: &mpsc::UnboundedSender<Ack>, caught: &Caught) -> Result<(), String> {
    let mut moves = Moves::default();
    let mut next: Option<Job> = None;
    let mut mark_by: Option<Instant> = None;
    // A snapshot that follows a failed append is of a state that never was.
    let mut written = true;
    loop {
        let job = match (next.take(), mark_by) {
            (Some(job), _) => Ok(job),
            (None, None) => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            (None, Some(by)) => jobs.recv_timeout(by.saturating_duration_since(Instant::now())),
        };
        match job {
            Ok(Job::Append(append)) => {
                crash::point("append.before");
                let ends =
                    append.events.iter().any(|event| matches!(&*event.kind, "coordination.completed" | "coordination.aborted"));
                if ends {
                    crash::point("receipt.before");
                }
                let result = store.append(&append, moves.cursors()).map(|_| ());
                moves.answer(&result, caught);
                if ends {
                    crash::point("receipt.after");
                }
                crash::point("append.after");
                if result.is_ok() {
                    mark_by.get_or_insert_with(|| Instant::now() + MARK_WITHIN);
                }
                written = result.is_ok();
                // Without a decider nobody waits for the answer.
                let _ = acks.send(result);
            }
            Ok(Job::Move(cursor, reply)) => {
                moves.add(cursor, reply);
                next = jobs.try_recv().ok();
                if moves.must_go(next.as_ref()) {
                    let result = store.move_cursors(moves.cursors());
                    moves.answer(&result, caught);
                }
            }
            Ok(Job::Save(_)) if !written => {}
            Ok(Job::Save(snapshot)) => {
                crash::point("snapshot.before");
                if let Err(error) = store.save_snapshot(&snapshot) {
                    caught.note(CaughtError::SnapshotNotSaved, &snapshot.stream, &error);
                }
                crash::point("snapshot.after");
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return store.close().map_err(|error| error.to_string()),
        }
        if mark_by.is_some_and(|by| by <= Instant::now()) {
            crash::point("mark.before");
            let marked = store.mark_head();
            crash::point("mark.after");
            match marked {
                Ok(()) => mark_by = None,
                Err(error) => {
                    caught.note(CaughtError::HeadMarkNotWritten, &"the ledger", &error);
                    mark_by = Some(Instant::now() + MARK_WITHIN);
                }
            }
        }
    }
}

/// Cursors that wait for the next transaction, and the readers that wait for them.
#[derive(Default)]
struct Moves {
    cursors: Vec<Cursor>,
    replies: Vec<oneshot::Sender<Result<(), EngineError>>>,
}

impl Moves {
    fn add(&mut self, cursor: Cursor, reply: oneshot::Sender<Result<(), EngineError>>) {
        self.cursors.push(cursor);
        self.replies.push(reply);
    }

    fn cursors(&self) -> &[Cursor] {
        &self.cursors
    }

    /// Whether nothing comes that they could share a transaction with.
    fn must_go(&self, next: Option<&Job>) -> bool {
        match next {
            Some(Job::Append(_)) => false,
            Some(Job::Move(..)) => self.cursors.len() >= MOVES_AT_ONCE,
            Some(Job::Save(_)) | None => true,
        }
    }

    fn answer(&mut self, result: &Result<(), AppendError>, caught: &Caught) {
        if let (Err(error), Some(cursor)) = (result, self.cursors.first()) {
            caught.note(CaughtError::CursorNotMoved, &cursor.name, error);
        }
        self.cursors.clear();
        for reply in self.replies.drain(..) {
            // A reader that no longer waits is no error.
            let _ = reply.send(result.as_ref().copied().map_err(EngineError::from));
        }
    }
}
