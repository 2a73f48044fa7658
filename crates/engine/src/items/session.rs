//! What one session of an item printed: kept with its end, or where its warden captures it now.

use std::ops::ControlFlow;
use std::path::Path;

use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon_core::id::{CoordinationId, SessionId, StreamName, Version};

use super::error::ItemError;
use super::record::RunItems;
use crate::folder::Folder;
use crate::ledger::{Store, backwards};
use crate::process::{Kept, SessionFolder};

/// One of the two outputs of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PrintedTo {
    Stdout,
    Stderr,
}

impl PrintedTo {
    /// Both, in the order in which they are shown where it is not known which came first.
    pub const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// The output as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    pub(super) fn kept(self) -> Kept {
        match self {
            Self::Stdout => Kept::Stdout,
            Self::Stderr => Kept::Stderr,
        }
    }

    /// What is recorded of it at a session's end.
    pub(super) fn recorded(self, end: &SessionUnbound) -> Option<Digest> {
        let tree = end.tree.as_deref()?;
        match self {
            Self::Stdout => tree.stdout,
            Self::Stderr => tree.stderr,
        }
    }
}

/// Which session of an item is meant: its last one, unless one of the two says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrintedQuery {
    /// The last session of this attempt, from 1.
    pub attempt: Option<u32>,
    /// The session of this number in the run.
    pub session: Option<u64>,
}

/// What one session of an item printed so far: redacted, as everything that is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Printed {
    pub session: u64,
    pub attempt: u32,
    /// Whether it still runs, so that more may come.
    pub running: bool,
    /// Whether some of it was dropped, as it was more than is kept.
    pub cut: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Printed {
    /// Reads it from the ledger, or from the state directory while the session runs.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run, item or session, or something cannot be read.
    pub fn read(
        store: &dyn Store,
        state_directory: &Path,
        run: &CoordinationId,
        item: &str,
        query: PrintedQuery,
    ) -> Result<Self, ItemError> {
        let state = opened(run, state_directory)?;
        Self::read_in(store, Some(&state), run, item, query)
    }

    pub(crate) fn read_in(
        store: &dyn Store,
        state_directory: Option<&Folder>,
        run: &CoordinationId,
        item: &str,
        query: PrintedQuery,
    ) -> Result<Self, ItemError> {
        let FoundSession { number, attempt, end, .. } = found(store, run, item, query)?;
        let read = |to: PrintedTo| match &end {
            Some(end) => recorded(store, to.recorded(end)),
            None => captured(state_directory, run, number, to),
        };
        let cut = end.as_ref().and_then(|end| end.tree.as_deref()).is_some_and(|tree| tree.cut);
        let (stdout, stderr) = (read(PrintedTo::Stdout)?, read(PrintedTo::Stderr)?);
        Ok(Self { session: number, attempt, running: end.is_none(), cut, stdout, stderr })
    }
}

/// A session of an item.
pub(super) struct FoundSession {
    pub(super) number: u64,
    pub(super) attempt: u32,
    /// The version of the event that bound it.
    pub(super) bound: Version,
    /// Absent while it runs.
    pub(super) end: Option<SessionUnbound>,
}

/// The session of an item that is meant.
pub(super) fn found(
    store: &dyn Store,
    run: &CoordinationId,
    item: &str,
    query: PrintedQuery,
) -> Result<FoundSession, ItemError> {
    let stream = StreamName::Coordination(run.clone());
    let mut ends: Vec<SessionUnbound> = Vec::new();
    let found = backwards(store, &stream, |event| {
        match CoordinationEvent::of(event) {
            Ok(CoordinationEvent::SessionUnbound(end)) if end.work == *item => ends.push(end),
            Ok(CoordinationEvent::SessionBound(bound))
                if bound.work == *item
                    && query.session.is_none_or(|session| session == bound.session)
                    && query.attempt.is_none_or(|attempt| attempt == bound.attempt) =>
            {
                let place = ends.iter().position(|end| end.session == bound.session);
                return ControlFlow::Break(FoundSession {
                    number: bound.session,
                    attempt: bound.attempt,
                    bound: event.version,
                    end: place.map(|place| ends.swap_remove(place)),
                });
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    match found {
        Some(found) => Ok(found),
        None => Err(absent(store, run, item, query)?),
    }
}

/// Why there is no such session.
fn absent(
    store: &dyn Store,
    run: &CoordinationId,
    item: &str,
    query: PrintedQuery,
) -> Result<ItemError, ItemError> {
    let items = RunItems::read(store, run)?;
    let record = items.find(item)?;
    let what = match (query, &record.spec.reused) {
        (PrintedQuery { session: Some(session), .. }, _) => {
            format!("session {session} of {run} is not one of {item}")
        }
        (PrintedQuery { attempt: Some(attempt), .. }, _) => {
            format!("{item} of {run} has no attempt {attempt}")
        }
        (_, Some(reused)) => {
            let work = reused.work.as_ref().unwrap_or(&record.spec.id);
            let place = match (reused.earlier_run(), &reused.session) {
                (Some(run), Some(session)) => format!("{run}, session {}", session.number),
                _ => format!("{} {work}", reused.from),
            };
            format!("{item} of {run} was taken over; what it printed is in {place}")
        }
        _ => format!("no session of {item} has started"),
    };
    Ok(ItemError::NoSession { what })
}

pub(super) fn opened(run: &CoordinationId, state_directory: &Path) -> Result<Folder, ItemError> {
    Folder::open(state_directory).map_err(|error| ItemError::Unread {
        session: format!("of {run}"),
        reason: error.to_string(),
    })
}

/// What is kept of a session that has ended.
pub(super) fn recorded(store: &dyn Store, digest: Option<Digest>) -> Result<Vec<u8>, ItemError> {
    match digest {
        None => Ok(Vec::new()),
        Some(digest) => store.blob(&digest)?.ok_or(ItemError::Missing { digest }),
    }
}

/// What a running session printed so far.
fn captured(
    state_directory: Option<&Folder>,
    run: &CoordinationId,
    number: u64,
    to: PrintedTo,
) -> Result<Vec<u8>, ItemError> {
    let Some(state) = state_directory else { return Ok(Vec::new()) };
    let session = SessionId { coordination: run.clone(), number };
    SessionFolder::of(state, &session).read(to.kept()).map_err(|error| ItemError::Unread {
        session: session.to_string(),
        reason: error.to_string(),
    })
}
