//! What the sessions of a run print, while it runs.

use std::pin::Pin;
use std::time::Duration;

use antiphon_core::id::{CoordinationId, StreamName};
use tokio::time::sleep;

use super::super::Subscription;
use crate::items::{ItemError, Piece, PrintedReader};
use crate::ledger::Store;
use crate::mailbox::{Handle, Unavailable};

/// Pause between two looks at what a running session has printed: it is written to files, which
/// announce nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The reader, once something was read into it.
type Reading = Pin<
    Box<dyn Future<Output = Result<(PrintedReader, Result<(), ItemError>), Unavailable>> + Send>,
>;

/// What the sessions of a run print, piece by piece.
pub struct PrintedStream {
    handle: Handle,
    run: CoordinationId,
    /// Absent only while something is read into it.
    reader: Option<PrintedReader>,
    reading: Option<Reading>,
    events: Subscription,
    follow: bool,
    /// Whether all that is there was read.
    at_end: bool,
}

impl std::fmt::Debug for PrintedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrintedStream").field("run", &self.run).finish_non_exhaustive()
    }
}

impl PrintedStream {
    pub(super) fn new(
        handle: Handle,
        run: CoordinationId,
        reader: PrintedReader,
        events: Subscription,
        follow: bool,
    ) -> Self {
        Self { handle, run, reader: Some(reader), reading: None, events, follow, at_end: false }
    }

    /// The next piece; waits for it where it follows, and may be given up and asked again without
    /// missing one. `None` if nothing more comes.
    ///
    /// # Errors
    /// [`ItemError`] if something cannot be read.
    pub async fn next(&mut self) -> Result<Option<Piece>, ItemError> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = reading.as_mut().await;
                self.reading = None;
                let (reader, result) = read?;
                self.reader = Some(reader);
                result?;
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            if let Some(piece) = reader.next_piece() {
                return Ok(Some(piece));
            }
            if reader.is_over() || self.at_end {
                return Ok(None);
            }
            match self.follow {
                true => self.follow_on().await?,
                false => self.read_on().await?,
            }
        }
    }

    /// Waits for the next event, and looks at what runs meanwhile.
    async fn follow_on(&mut self) -> Result<(), ItemError> {
        let is_reading = self.reader.as_ref().is_some_and(PrintedReader::is_reading);
        let event = tokio::select! {
            biased;
            event = self.events.next() => event?,
            () = sleep(LOOK_AGAIN), if is_reading => {
                self.read(|reader, _| reader.look());
                return Ok(());
            }
        };
        match event {
            Some(event) => self.read(move |reader, store| reader.take(&event, store)),
            None => {
                self.at_end = true;
                self.read(|reader, _| reader.look());
            }
        }
        Ok(())
    }

    /// Reads the next events that are there, and at the end what runs.
    async fn read_on(&mut self) -> Result<(), ItemError> {
        let Some(reader) = &self.reader else { return Ok(()) };
        let stream = StreamName::Coordination(self.run.clone());
        let page = self.handle.page(stream, reader.after()).await?;
        if page.is_empty() {
            self.at_end = true;
            self.read(|reader, _| reader.look());
            return Ok(());
        }
        self.read(move |reader, store| {
            for event in &page {
                reader.take(event, store)?;
                // Not more is in memory at once than one session printed.
                if reader.has_pieces() {
                    break;
                }
            }
            Ok(())
        });
        Ok(())
    }

    /// Has something read off the runtime's threads.
    fn read(
        &mut self,
        read: impl FnOnce(&mut PrintedReader, &dyn Store) -> Result<(), ItemError> + Send + 'static,
    ) {
        let (handle, reader) = (self.handle.clone(), self.reader.take());
        let Some(mut reader) = reader else { return };
        self.reading = Some(Box::pin(async move {
            let done = handle.read(move |store| {
                let result = read(&mut reader, store);
                Ok((reader, result))
            });
            done.await
        }));
    }
}
