//! The one thread that writes: appends in order, tells how each went, and keeps the head mark fresh.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use antiphon_core::append::Append;
use tokio::sync::mpsc;

use super::StartError;
use crate::crash;
use crate::ledger::{AppendError, Snapshot, Store};

/// How long after an append the head mark may lag; promised are 100 ms, and writing it takes some.
const MARK_WITHIN: Duration = Duration::from_millis(60);

/// Something to be written.
pub(super) enum Job {
    /// A turn; is acknowledged.
    Append(Box<Append>),
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
    pub(super) fn start(store: Arc<dyn Store>) -> Result<(Self, mpsc::UnboundedReceiver<Ack>), StartError> {
        let (jobs, receiver) = channel();
        let (acks, acknowledged) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("antiphon-writer".to_owned())
            .spawn(move || run(store.as_ref(), &receiver, &acks))
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

fn run(store: &dyn Store, jobs: &Receiver<Job>, acks: &mpsc::UnboundedSender<Ack>) -> Result<(), String> {
    let mut mark_by: Option<Instant> = None;
    // A snapshot that follows a failed append is of a state that never was.
    let mut written = true;
    loop {
        let job = match mark_by {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(by) => jobs.recv_timeout(by.saturating_duration_since(Instant::now())),
        };
        match job {
            Ok(Job::Append(append)) => {
                crash::point("append.before");
                let ends =
                    append.events.iter().any(|event| matches!(&*event.kind, "coordination.completed" | "coordination.aborted"));
                if ends {
                    crash::point("receipt.before");
                }
                let result = store.append(&append, &[]).map(|_| ());
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
            Ok(Job::Save(_)) if !written => {}
            Ok(Job::Save(snapshot)) => {
                crash::point("snapshot.before");
                if let Err(error) = store.save_snapshot(&snapshot) {
                    tracing::warn!(%error, stream = %snapshot.stream, "a snapshot was not saved; the next start replays more");
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
                    tracing::error!(%error, "the head mark was not written; a loss of the ledger's end could go unseen");
                    mark_by = Some(Instant::now() + MARK_WITHIN);
                }
            }
        }
    }
}
