//! Where what was printed comes from: the engine that runs, or the ledger at rest where none does.

use antiphon::envelope::Recorded;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::items::{PrintedQuery, PrintedReader, PrintedTo};
use antiphon::ledger::{Events, ReadError, Store};
use antiphon_server::{LogPiece, LogQuery, LogStream};

use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::follow::not_carried_out;
use crate::ledger::Ledger;

pub(super) enum Source<'a> {
    Engine(LogStream),
    Rest(Box<AtRest<'a>>),
}

/// The ledger at rest.
pub(super) struct AtRest<'a> {
    store: &'a dyn Store,
    events: Events<'a, dyn Store>,
    reader: PrintedReader,
    /// Whether the last look was taken.
    is_read: bool,
}

impl<'a> Source<'a> {
    pub(super) async fn open(
        ledger: &'a Ledger,
        run: &CoordinationId,
        item: Option<&str>,
        query: &LogQuery,
    ) -> Result<Self, CommandError> {
        if let Some(client) = Connection::probe(&ledger.dir).await? {
            return Ok(Self::Engine(client.logs(run, item, query).await?));
        }
        let store = ledger.store.as_ref();
        let session = PrintedQuery { attempt: query.attempt, session: query.session };
        let reader = match item {
            Some(item) => PrintedReader::of_item(store, &ledger.dir, run.clone(), item, session)?,
            None => PrintedReader::of_run(run.clone(), &ledger.dir)?,
        };
        let reader = match query.stream.as_deref() {
            Some("stdout") => reader.only([PrintedTo::Stdout]),
            Some("stderr") => reader.only([PrintedTo::Stderr]),
            _ => reader,
        };
        let stream = StreamName::Coordination(run.clone());
        let events = Events::after(store, stream, reader.after());
        Ok(Self::Rest(Box::new(AtRest { store, events, reader, is_read: false })))
    }

    pub(super) async fn next(&mut self) -> Result<Option<LogPiece>, CommandError> {
        match self {
            Self::Engine(stream) => Ok(stream.next().await?),
            Self::Rest(rest) => rest.next(),
        }
    }

    /// Nothing more is printed of a run that has not ended where no engine runs.
    pub(super) fn check_followed(
        &self,
        ledger: &Ledger,
        run: &CoordinationId,
        follow: bool,
    ) -> Result<(), CommandError> {
        match self {
            Self::Rest(_) if follow && ledger.outcome(run)?.is_none() => Err(not_carried_out(run)),
            _ => Ok(()),
        }
    }
}

impl AtRest<'_> {
    fn next(&mut self) -> Result<Option<LogPiece>, CommandError> {
        loop {
            if let Some(piece) = self.reader.next_piece() {
                return Ok(Some(LogPiece::from(&piece)));
            }
            if self.reader.is_over() || self.is_read {
                return Ok(None);
            }
            let event: Option<Result<Recorded, ReadError>> = self.events.next();
            match event {
                Some(event) => self.reader.take(&event?, self.store)?,
                None => {
                    self.is_read = true;
                    self.reader.look()?;
                }
            }
        }
    }
}
