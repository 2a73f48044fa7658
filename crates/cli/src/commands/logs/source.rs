//! Where what was printed comes from: the engine that runs, or the ledger at rest where none does.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon::id::{CoordinationId, StreamName};
use antiphon::items::{PrintedQuery, PrintedReader, PrintedTo};
use antiphon::ledger::{Events, Store};
use antiphon_server::{LogBytes, LogPiece, LogQuery, LogStream};
use tokio::time::sleep;

use crate::command_error::CommandError;
use crate::connection::{Connection, Site, has_gone};
use crate::follow::not_carried_out;
use crate::ledger::Ledger;

/// Silence after which it is looked whether the run is still carried out.
const LOOK: Duration = Duration::from_secs(1);

/// What sessions printed, also when the engine goes away over it.
pub(super) struct Source<'a> {
    ledger: &'a Ledger,
    run: &'a CoordinationId,
    item: Option<&'a str>,
    query: &'a LogQuery,
    place: Place<'a>,
    /// How much of each output of a session was given.
    given: BTreeMap<(u64, String), u64>,
}

enum Place<'a> {
    Engine(Box<LogStream>),
    Rest(Box<AtRest<'a>>),
}

/// The ledger at rest.
struct AtRest<'a> {
    store: &'a dyn Store,
    events: Events<'a, dyn Store>,
    reader: PrintedReader,
    /// Whether the last look was taken.
    is_read: bool,
}

impl<'a> Source<'a> {
    pub(super) async fn open(
        ledger: &'a Ledger,
        run: &'a CoordinationId,
        item: Option<&'a str>,
        query: &'a LogQuery,
    ) -> Result<Self, CommandError> {
        // Nothing more comes of a run that is left alone, whoever has its ledger.
        let is_left = query.follow && ledger.is_interrupted(run)?;
        let place = match Connection::probe(&ledger.dir).await?.filter(|_| !is_left) {
            Some(client) => Place::Engine(Box::new(client.logs(run, item, query).await?)),
            None => Place::Rest(Box::new(AtRest::open(ledger, run, item, query)?)),
        };
        Ok(Self { ledger, run, item, query, place, given: BTreeMap::new() })
    }

    /// The next piece that was not given yet.
    pub(super) async fn next(&mut self) -> Result<Option<LogPiece>, CommandError> {
        loop {
            let piece = match &mut self.place {
                Place::Rest(rest) => rest.next()?,
                Place::Engine(stream) => {
                    tokio::select! {
                        piece = stream.next() => match piece {
                            Err(error) if has_gone(&error) => {
                                self.reopen().await?;
                                continue;
                            }
                            piece => piece?,
                        },
                        // It may be left by this engine, which goes on with others.
                        () = sleep(LOOK), if self.query.follow => {
                            if self.ledger.is_interrupted(self.run)? {
                                self.reopen().await?;
                            }
                            continue;
                        }
                    }
                }
            };
            let Some(piece) = piece else { return Ok(None) };
            if let Some(piece) = self.rest_of(piece) {
                return Ok(Some(piece));
            }
        }
    }

    /// The engine has gone: a guest of it may be the next one, else the ledger has what is there.
    async fn reopen(&mut self) -> Result<(), CommandError> {
        let site = Site::of(&self.ledger.dir);
        let next = match site {
            Ok(site) if self.query.follow && self.ledger.outcome(self.run)?.is_none() => {
                Connection::again(site, self.run).await?
            }
            // It says what became of the directory when it is read.
            _ => None,
        };
        self.place = match next {
            Some(Connection { client, .. }) => {
                Place::Engine(Box::new(client.logs(self.run, self.item, self.query).await?))
            }
            None => {
                let rest = AtRest::open(self.ledger, self.run, self.item, self.query)?;
                Place::Rest(Box::new(rest))
            }
        };
        Ok(())
    }

    /// What of a piece was not given before.
    fn rest_of(&mut self, piece: LogPiece) -> Option<LogPiece> {
        let bytes = piece.bytes.bytes().unwrap_or_default();
        let end = piece.from + bytes.len() as u64;
        let given = self.given.entry((piece.session, piece.stream.clone())).or_insert(0);
        let known = given.saturating_sub(piece.from);
        if end <= *given && !bytes.is_empty() {
            return None;
        }
        *given = end;
        match usize::try_from(known) {
            Ok(0) | Err(_) => Some(piece),
            Ok(known) => Some(LogPiece {
                from: piece.from + known as u64,
                bytes: LogBytes::of(&bytes[known..]),
                ..piece
            }),
        }
    }

    /// Nothing more is printed of a run that has not ended where no engine runs.
    pub(super) fn check_followed(&self) -> Result<(), CommandError> {
        match self.place {
            Place::Rest(_) if self.query.follow && self.ledger.outcome(self.run)?.is_none() => {
                Err(not_carried_out(self.run, self.ledger))
            }
            _ => Ok(()),
        }
    }
}

impl<'a> AtRest<'a> {
    fn open(
        ledger: &'a Ledger,
        run: &CoordinationId,
        item: Option<&str>,
        query: &LogQuery,
    ) -> Result<Self, CommandError> {
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
        Ok(Self { store, events, reader, is_read: false })
    }

    fn next(&mut self) -> Result<Option<LogPiece>, CommandError> {
        loop {
            if let Some(piece) = self.reader.next_piece() {
                return Ok(Some(LogPiece::from(&piece)));
            }
            if self.reader.is_over() || self.is_read {
                return Ok(None);
            }
            match self.events.next() {
                Some(event) => self.reader.take(&event?, self.store)?,
                None => {
                    self.is_read = true;
                    self.reader.look()?;
                }
            }
        }
    }
}
