//! The thread that writes: appends in order and says how each went. A second one keeps the head
//! mark fresh.
//!
//! fsync blocks, so it is kept off the runtime: a worker thread that waits for a disk would carry
//! out no session. Jobs are carried out in the order in which they were sent, as each append
//! continues the one before. An append is acknowledged after it is durable and after a mark was
//! asked for, so that an acknowledged commit that the mark does not know is never older than the
//! stated window.

use std::sync::Arc;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::job::{Ack, WriteJob};
use super::pen::Pen;
use crate::crash;
use crate::incidents::{Incident, Incidents};
use crate::ledger::{Store, WriteError};
use crate::mailbox::StartError;

/// How long after an append the head mark may lag: 100 ms are promised, and writing it takes a part
/// of them.
const MARK_WITHIN: Duration = Duration::from_millis(60);

/// The writer's end on the decider's side. Dropping the sender lets the thread finish what it has
/// and close the store.
#[derive(Debug)]
pub(in crate::decider) struct WriterThread {
    jobs: Option<Sender<WriteJob>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl WriterThread {
    /// Starts the threads.
    pub(super) fn start(
        store: Arc<dyn Store>,
        acks: mpsc::UnboundedSender<Ack>,
        incidents: Arc<Incidents>,
    ) -> Result<Self, StartError> {
        let system = |what| move |error| StartError::System { what, error };
        let (jobs, receiver) = channel();
        let marker = Marker::start(Arc::clone(&store), Arc::clone(&incidents))
            .map_err(system("the thread that marks the head"))?;
        let thread = std::thread::Builder::new()
            .name("antiphon-writer".to_owned())
            .spawn(move || run(store.as_ref(), &receiver, &acks, marker, &incidents))
            .map_err(system("the writer thread"))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands a job over; the thread ends only after this is dropped.
    pub(super) fn send(&self, job: WriteJob) {
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

impl Drop for WriterThread {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(error, "the ledger was not closed in order");
        }
    }
}

fn run(
    store: &dyn Store,
    jobs: &Receiver<WriteJob>,
    acks: &mpsc::UnboundedSender<Ack>,
    marker: Marker,
    incidents: &Incidents,
) -> Result<(), String> {
    write_all(store, jobs, acks, &marker.appended, incidents);
    marker.finish();
    // Marks the head once more, whatever became of the thread.
    store.close().map_err(|error| error.to_string())
}

/// The thread that keeps the head mark fresh, as the writer has it.
struct Marker {
    appended: SyncSender<()>,
    closing: Sender<()>,
    thread: JoinHandle<()>,
}

impl Marker {
    fn start(store: Arc<dyn Store>, incidents: Arc<Incidents>) -> std::io::Result<Self> {
        // Room for one: an append that finds it taken is covered by the mark that is asked for
        // already.
        let (appended, to_mark) = sync_channel(1);
        let (closing, closed) = channel();
        let thread = std::thread::Builder::new()
            .name("antiphon-mark".to_owned())
            .spawn(move || keep_marked(store.as_ref(), &to_mark, &closed, &incidents))?;
        Ok(Self { appended, closing, thread })
    }

    fn finish(self) {
        drop((self.appended, self.closing));
        if self.thread.join().is_err() {
            tracing::error!("the thread that marks the head panicked");
        }
    }
}

/// Writes until there is no more to come. Ends sooner if the thread that marks the head has gone:
/// then nothing may be acknowledged.
fn write_all(
    store: &dyn Store,
    jobs: &Receiver<WriteJob>,
    acks: &mpsc::UnboundedSender<Ack>,
    appended: &SyncSender<()>,
    incidents: &Incidents,
) {
    let mut pen = Pen::default();
    let mut next: Option<WriteJob> = None;
    while let Some(job) = next.take().or_else(|| jobs.recv().ok()) {
        match job {
            WriteJob::Append(append, set) => {
                let result = pen.append(store, &append, &set, incidents);
                if result.is_ok()
                    && matches!(appended.try_send(()), Err(TrySendError::Disconnected(())))
                {
                    return;
                }
                // Without a decider there is no receiver for the answer.
                let _ = acks.send(result);
            }
            WriteJob::Move(cursor, reply) => {
                next = jobs.try_recv().ok();
                pen.move_cursor(store, (cursor, reply), next.as_ref(), incidents);
            }
        }
    }
}

/// Writes the head mark soon after every append, concurrently with the next ones: it is a sync of
/// its own.
fn keep_marked(
    store: &dyn Store,
    appended: &Receiver<()>,
    closed: &Receiver<()>,
    incidents: &Incidents,
) {
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
                    incidents.note(Incident::HeadMarkNotWritten, &"the ledger", &error);
                    // This owner has lost the ledger, and it would be refused again.
                    if matches!(&error, WriteError::Refused(refusal) if refusal.is_final()) {
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_core::id::{StreamName, Version};
    use tokio::sync::oneshot;

    use super::*;
    use crate::ledger::Cursor;
    use crate::ledger::MemoryStore;
    use crate::ledger::conformance::{Chain, owner};
    use crate::mailbox::Unavailable;

    #[test]
    fn a_cursor_moves_with_the_append_behind_it_and_by_itself_where_there_is_none() {
        let store = Arc::new(MemoryStore::default());
        let opened = store.open(&owner("test")).unwrap();
        let append = Chain::after(&opened, []).event("ledger", "ledger.opened", "{}");
        let (sender, jobs) = channel();
        let mut answers = Vec::new();
        let mut moves = |name: &str| {
            let (reply, answer) = oneshot::channel();
            answers.push(answer);
            WriteJob::Move(
                Cursor { name: name.to_owned(), stream: StreamName::Ledger, version: Version(1) },
                reply,
            )
        };
        sender.send(moves("with an append")).unwrap();
        sender.send(moves("with the same")).unwrap();
        sender.send(WriteJob::Append(Box::new(append.clone()), Vec::new())).unwrap();
        sender.send(moves("with a refused append")).unwrap();
        // It does not continue the ledger a second time.
        sender.send(WriteJob::Append(Box::new(append), Vec::new())).unwrap();
        sender.send(moves("alone")).unwrap();
        drop(sender);
        let incidents = Arc::<Incidents>::default();
        let (acks, _acknowledged) = mpsc::unbounded_channel();
        let marker = Marker::start(store.clone(), Arc::clone(&incidents)).unwrap();
        run(store.as_ref(), &jobs, &acks, marker, &incidents).unwrap();
        let answers: Vec<_> =
            answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect();
        let refused = answers[2].as_ref().unwrap_err();
        assert!(
            matches!(refused, Unavailable::NotTaken { .. }),
            "the ledger still takes in the next one, unlike {refused}"
        );
        let taken: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(taken, [true, true, false, true]);
        let names = ["with an append", "with the same", "with a refused append", "alone"];
        let moved: Vec<bool> =
            names.into_iter().map(|name| store.cursor(name).unwrap().is_some()).collect();
        assert_eq!(moved, taken);
        assert_eq!(
            incidents.counts().into_iter().collect::<Vec<_>>(),
            [(Incident::CursorNotMoved, 1)]
        );
    }
}
