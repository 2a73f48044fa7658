//! The one thread that writes: appends in order and tells how each went. A second one keeps the head mark fresh.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

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
    std::thread::scope(|scope| {
        // Room for one: an append that finds it taken is covered by the mark that is asked for already.
        let (appended, to_mark) = sync_channel(1);
        let (closing, closed) = channel();
        let marker = std::thread::Builder::new().name("antiphon-mark".to_owned());
        let marker =
            marker.spawn_scoped(scope, move || keep_marked(store, &to_mark, &closed)).map_err(|error| error.to_string())?;
        write_all(store, jobs, acks, &appended);
        drop::<(SyncSender<()>, Sender<()>)>((appended, closing));
        if marker.join().is_err() {
            tracing::error!("the thread that marks the head panicked");
        }
        // Marks the head once more, whatever became of the thread.
        store.close().map_err(|error| error.to_string())
    })
}

fn write_all(store: &dyn Store, jobs: &Receiver<Job>, acks: &mpsc::UnboundedSender<Ack>, appended: &SyncSender<()>) {
    // A snapshot that follows a failed append is of a state that never was.
    let mut written = true;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Append(append) => {
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
                written = result.is_ok();
                if written {
                    let _ = appended.try_send(());
                }
                // Without a decider nobody waits for the answer.
                let _ = acks.send(result);
            }
            Job::Save(_) if !written => {}
            Job::Save(snapshot) => {
                crash::point("snapshot.before");
                if let Err(error) = store.save_snapshot(&snapshot) {
                    tracing::warn!(%error, stream = %snapshot.stream, "a snapshot was not saved; the next start replays more");
                }
                crash::point("snapshot.after");
            }
        }
    }
}

/// Writes the head mark soon after every append, beside the appends: it is a sync of its own.
fn keep_marked(store: &dyn Store, appended: &Receiver<()>, closed: &Receiver<()>) {
    while appended.recv().is_ok() {
        loop {
            // What is appended until then shares the mark. Closing marks the head itself.
            let waited = closed.recv_timeout(MARK_WITHIN);
            if waited == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            // Before marking: what is appended from here on asks for another one.
            let _ = appended.try_recv();
            crash::point("mark.before");
            let marked = store.mark_head();
            crash::point("mark.after");
            match marked {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, "the head mark was not written; a loss of the ledger's end could go unseen");
                }
            }
        }
    }
}
