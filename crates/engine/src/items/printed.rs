//! What the sessions of a run print, piece by piece: of one item or of all, as far as the events
//! that it is given have come.
//!
//! A piece is read from where the session captures it while it runs, and from what is kept with its
//! end after that: the second begins with the first, so that none is given twice.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use antiphon_core::coordination::NextStep;
use antiphon_core::envelope::Recorded;
use antiphon_core::event::{
    AggregateEvent as _, CoordinationEvent, Event, SessionBound, SessionUnbound,
};
use antiphon_core::id::{CoordinationId, SessionId, Version, WorkId};

use super::error::ItemError;
use super::record::RunItems;
use super::session::{PrintedQuery, PrintedTo, found, opened, recorded};
use crate::folder::Folder;
use crate::ledger::Store;
use crate::process::SessionFolder;

/// The most of one output that is read at a time from a session that runs.
const READ_AT_ONCE: u64 = 1 << 20;

/// The most bytes of one piece.
const PIECE: usize = 64 << 10;

/// Some bytes that a session printed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Piece {
    pub item: WorkId,
    pub session: u64,
    pub attempt: u32,
    pub to: PrintedTo,
    /// How many bytes of the same output came before.
    pub from: u64,
    pub bytes: Vec<u8>,
}

/// Reads what sessions print, as the events of their run are handed in.
#[derive(Debug)]
pub struct PrintedReader {
    run: CoordinationId,
    /// Where running sessions capture it; none in a ledger in memory.
    state: Option<Folder>,
    /// The item, if not all of them.
    item: Option<WorkId>,
    /// Only the outputs that are wanted.
    wanted: Vec<PrintedTo>,
    /// The first session that is wanted, and whether it is the only one.
    first: u64,
    only: bool,
    /// The event before the first that matters.
    after: Version,
    running: BTreeMap<u64, RunningSession>,
    queue: VecDeque<Piece>,
    over: bool,
}

/// How far a running session was read.
#[derive(Debug)]
struct RunningSession {
    item: WorkId,
    attempt: u32,
    read: BTreeMap<PrintedTo, u64>,
}

impl PrintedReader {
    /// Of all sessions of a run.
    ///
    /// # Errors
    /// [`ItemError`] if the state directory cannot be opened.
    pub fn of_run(run: CoordinationId, state_directory: &Path) -> Result<Self, ItemError> {
        let state = opened(&run, state_directory)?;
        Ok(Self::new(run, Some(state)))
    }

    /// Of an item from its last session on, or of one session of it.
    ///
    /// # Errors
    /// [`ItemError`] if the state directory cannot be opened, there is no such item or session, or
    /// the ledger cannot be read.
    pub fn of_item(
        store: &dyn Store,
        state_directory: &Path,
        run: CoordinationId,
        item: &str,
        query: PrintedQuery,
    ) -> Result<Self, ItemError> {
        let state = opened(&run, state_directory)?;
        Self::new(run, Some(state)).narrowed(store, item, query, false)
    }

    pub(crate) fn new(run: CoordinationId, state: Option<Folder>) -> Self {
        Self {
            run,
            state,
            item: None,
            wanted: PrintedTo::BOTH.to_vec(),
            first: 0,
            only: false,
            after: Version(0),
            running: BTreeMap::new(),
            queue: VecDeque::new(),
            over: false,
        }
    }

    /// The same of one item only; where it waits, also of one that has no session yet.
    pub(crate) fn narrowed(
        self,
        store: &dyn Store,
        item: &str,
        query: PrintedQuery,
        waits: bool,
    ) -> Result<Self, ItemError> {
        let session = match found(store, &self.run, item, query) {
            Err(ItemError::NoSession { .. }) if waits && query == PrintedQuery::default() => {
                let items = RunItems::read(store, &self.run)?;
                if items.find(item)?.stage.has_outcome() {
                    return Ok(Self { over: true, ..self });
                }
                return Ok(Self { item: WorkId::new(item).ok(), ..self });
            }
            found => found?,
        };
        let only = query != PrintedQuery::default();
        let (first, after) = (session.number, Version(session.bound.0.saturating_sub(1)));
        Ok(Self { item: WorkId::new(item).ok(), first, only, after, ..self })
    }

    /// The same of these outputs only.
    #[must_use]
    pub fn only(self, wanted: impl IntoIterator<Item = PrintedTo>) -> Self {
        Self { wanted: wanted.into_iter().collect(), ..self }
    }

    /// The version after which it wants to be given the events of its run.
    #[must_use]
    pub fn after(&self) -> Version {
        self.after
    }

    /// Whether nothing more comes but what [`PrintedReader::next_piece`] still gives.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether a session runs that it reads.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        !self.running.is_empty()
    }

    /// Takes in the next event of the run.
    ///
    /// # Errors
    /// [`ItemError`] if what a session printed cannot be read.
    pub fn take(&mut self, event: &Recorded, store: &dyn Store) -> Result<(), ItemError> {
        self.after = event.version;
        // What was erased says nothing of what was printed.
        match CoordinationEvent::of(event) {
            Ok(CoordinationEvent::SessionBound(bound)) if self.wants(&bound) => {
                let SessionBound { session, work: item, attempt, .. } = bound;
                self.running
                    .insert(session, RunningSession { item, attempt, read: BTreeMap::new() });
            }
            Ok(CoordinationEvent::SessionUnbound(end)) => self.end(&end, store)?,
            Ok(CoordinationEvent::WorkSkipped(skipped)) => {
                self.over |= self.item.as_ref().is_some_and(|item| skipped.works.contains(item));
            }
            _ => {}
        }
        self.over |= Event::is_terminal_kind(&event.kind);
        Ok(())
    }

    fn wants(&self, bound: &SessionBound) -> bool {
        let session = match self.only {
            true => bound.session == self.first,
            false => bound.session >= self.first,
        };
        session && self.item.as_ref().is_none_or(|item| *item == bound.work)
    }

    fn end(&mut self, end: &SessionUnbound, store: &dyn Store) -> Result<(), ItemError> {
        let Some(running) = self.running.remove(&end.session) else { return Ok(()) };
        for to in self.wanted.clone() {
            let bytes = recorded(store, to.recorded(end))?;
            let from = running.read.get(&to).copied().unwrap_or(0);
            let read = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
            self.queue(&running, end.session, to, from, &bytes[read..]);
        }
        self.over |= self.only || self.item.is_some() && matches!(end.then, NextStep::Done(_));
        Ok(())
    }

    /// Looks what the running sessions have printed since.
    ///
    /// # Errors
    /// [`ItemError::Unread`] if it cannot be read.
    pub fn look(&mut self) -> Result<(), ItemError> {
        let Some(state) = self.state.clone() else { return Ok(()) };
        let mut running = std::mem::take(&mut self.running);
        for (number, session) in &mut running {
            let id = SessionId { coordination: self.run.clone(), number: *number };
            let folder = SessionFolder::of(&state, &id);
            for to in self.wanted.clone() {
                let from = session.read.get(&to).copied().unwrap_or(0);
                let bytes = since(&folder, to, from).map_err(|error| ItemError::Unread {
                    session: id.to_string(),
                    reason: error.to_string(),
                })?;
                session.read.insert(to, from + bytes.len() as u64);
                self.queue(session, *number, to, from, &bytes);
            }
        }
        self.running = running;
        Ok(())
    }

    fn queue(
        &mut self,
        session: &RunningSession,
        number: u64,
        to: PrintedTo,
        from: u64,
        bytes: &[u8],
    ) {
        let mut from = from;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_length(rest));
            self.queue.push_back(Piece {
                item: session.item.clone(),
                session: number,
                attempt: session.attempt,
                to,
                from,
                bytes: piece.to_vec(),
            });
            from += piece.len() as u64;
            rest = after;
        }
    }

    /// Whether there is a piece that was read and not given yet.
    #[must_use]
    pub fn has_pieces(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next piece that was read.
    pub fn next_piece(&mut self) -> Option<Piece> {
        self.queue.pop_front()
    }
}

/// What was captured behind a position; nothing where the file is not there yet or not any more.
fn since(folder: &SessionFolder, to: PrintedTo, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = match folder.open_kept(to.kept()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(READ_AT_ONCE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How much of some bytes is a piece: no character is torn that is there whole.
fn piece_length(bytes: &[u8]) -> usize {
    if bytes.len() <= PIECE {
        return bytes.len();
    }
    let torn = (1..=3).find(|back| bytes[PIECE - back] >= 0xc0);
    let is_begun = |back: &usize| {
        std::str::from_utf8(&bytes[PIECE - back..PIECE])
            .is_err_and(|error| error.error_len().is_none())
    };
    PIECE - torn.filter(is_begun).unwrap_or(0)
}
