//! What writes: on a thread of its own where that takes a disk, else where it is sent.

mod job;
mod pen;
mod thread;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::incidents::Incidents;
use crate::ledger::Store;
use crate::mailbox::StartError;

pub(super) use job::{Ack, WriteJob};
use pen::Pen;
use thread::WriterThread;

/// The writer's end on the decider's side.
pub(super) enum Writer {
    Thread(WriterThread),
    InPlace(InPlace),
}

impl Writer {
    /// A writer for a store, and how each append went.
    pub(super) fn start(
        store: Arc<dyn Store>,
        incidents: Arc<Incidents>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Ack>), StartError> {
        let (acks, acknowledged) = mpsc::unbounded_channel();
        let writer = match store.waits() {
            true => Self::Thread(WriterThread::start(store, acks, incidents)?),
            false => Self::InPlace(InPlace { store, pen: Pen::default(), acks, incidents }),
        };
        Ok((writer, acknowledged))
    }

    pub(super) fn send(&mut self, job: WriteJob) {
        match self {
            Self::Thread(thread) => thread.send(job),
            Self::InPlace(writer) => writer.write(job),
        }
    }

    /// Finishes what was sent, and closes the store.
    ///
    /// # Errors
    /// If the store could not be closed in order.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        match self {
            Self::Thread(thread) => thread.finish(),
            Self::InPlace(writer) => writer.store.close().map_err(|error| error.to_string()),
        }
    }
}

/// Writes to a store that never waits, at once.
pub(super) struct InPlace {
    store: Arc<dyn Store>,
    pen: Pen,
    acks: mpsc::UnboundedSender<Ack>,
    incidents: Arc<Incidents>,
}

impl InPlace {
    fn write(&mut self, job: WriteJob) {
        let (store, incidents) = (self.store.as_ref(), self.incidents.as_ref());
        match job {
            WriteJob::Append(append, set) => {
                let result = self.pen.append(store, &append, &set, incidents);
                // Without a decider there is no receiver for the answer.
                let _ = self.acks.send(result);
            }
            WriteJob::Move(cursor, reply) => {
                self.pen.move_cursor(store, (cursor, reply), None, incidents);
            }
        }
    }
}
