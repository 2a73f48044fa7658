//! What an earlier engine left running, ended before anything is bound; and what of it could not be
//! ended, watched until it is gone.

use std::collections::BTreeMap;

use antiphon_core::coordination::{SessionEnd, SessionOutcome, TreeReport};
use antiphon_core::id::SessionId;
use antiphon_core::world::{SweptEnd, World};

use crate::folder::Folder;
use crate::ledger::{ReadError, Store};
use crate::mailbox::StartError;
use crate::plan::CommandSpec;
use crate::process::{self, SessionFolder, Swept};
use crate::session::{Attempt, end_of, result_of, used_by_lost};
use crate::usage::Charged;

/// What a sweep found.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    /// The state directory in which it was kept; `None` where nothing was swept.
    directory: Option<Folder>,
    /// How sessions ended that are still bound.
    pub(crate) found: BTreeMap<SessionId, SweptEnd>,
    /// Sessions of which nothing is left; what was kept of them goes once that is recorded.
    pub(crate) gone: Vec<SessionId>,
    /// Sessions of which something is left.
    pub(crate) left: Vec<SessionId>,
}

impl Orphans {
    /// Removes what was kept of sessions of which nothing is left. Blocks.
    pub(crate) fn forget_gone(&self, may_go: impl Fn(&SessionId) -> bool) {
        let Some(directory) = &self.directory else { return };
        for session in self.gone.iter().filter(|session| may_go(session)) {
            let folder = SessionFolder::of(directory, session);
            if let Err(error) = folder.remove() {
                tracing::warn!(run = %session.coordination, %session, %error, "what was kept of a session could not be removed; the next start does it");
            }
        }
    }
}

/// Ends what an earlier engine left running. Blocks.
///
/// # Errors
/// [`StartError`] if the sessions or the ledger cannot be read.
pub(crate) fn sweep(
    world: &World,
    store: &dyn Store,
    directory: &Folder,
) -> Result<Orphans, StartError> {
    let swept = process::sweep_in(directory)
        .map_err(|error| StartError::System { what: "the folder of the sessions", error })?;
    let mut orphans = Orphans { directory: Some(directory.clone()), ..Orphans::default() };
    for swept in swept {
        if swept.is_clean() { &mut orphans.gone } else { &mut orphans.left }
            .push(swept.session.clone());
        if let Some(found) = found(world, store, directory, swept)? {
            orphans.found.insert(found.0, found.1);
        }
    }
    Ok(orphans)
}

/// How a session that is still bound ended.
fn found(
    world: &World,
    store: &dyn Store,
    directory: &Folder,
    swept: Swept,
) -> Result<Option<(SessionId, SweptEnd)>, ReadError> {
    // What was not found need not be gone: then the item goes on, and the record claims no more.
    let clean = swept.is_proven();
    let unproven =
        if swept.is_clean() && !clean { "; what was left is known by its marks alone" } else { "" };
    let leftovers = swept.left();
    let Swept { session, killed, end, ran, files, .. } = swept;
    let Some((binding, spec)) =
        world.coordination(&session.coordination).and_then(|above| above.binding(session.number))
    else {
        return Ok(None);
    };
    // What the runner was given that it was assigned to.
    let description = match spec.clone().given_to(binding.assigned.as_ref()).input {
        Some(input) => store.blob(&input)?.and_then(|bytes| CommandSpec::from_bytes(&bytes).ok()),
        None => None,
    };
    let folder = SessionFolder::of(directory, &session);
    let by_itself = end.as_ref().filter(|end| clean && end.ended_by_itself_and_clean());
    if let (Some(end), Some(description)) = (by_itself, &description) {
        let (charged, now) = (Charged::default(), crate::clock::wall());
        let result = result_of(description, end.clone(), &folder, &files, &|| true, &charged, now);
        let attempt = Attempt::new(&spec.id, binding.attempt);
        let (end, blobs) = end_of(attempt.routed(&description.route, result, None));
        return Ok(Some((session, SweptEnd { end, blobs })));
    }
    let reported = description
        .and_then(|spec| used_by_lost(&spec, end.as_ref(), &folder, crate::clock::wall()));
    let ended = match killed {
        0 => String::new(),
        1 => "; 1 process that had survived it was ended".to_owned(),
        killed => format!("; {killed} processes that had survived it were ended"),
    };
    let text = format!("the engine stopped while the session ran{ended}{unproven}");
    let tree = TreeReport {
        containment: "best-effort".to_owned(),
        clean,
        killed: u32::try_from(killed).unwrap_or(u32::MAX),
        leftovers,
        ..TreeReport::default()
    };
    let end = SessionEnd {
        reported,
        ran,
        ..SessionEnd::new(SessionOutcome::Lost).with_text(text).with_tree(tree)
    };
    Ok(Some((session, SweptEnd { end, blobs: Vec::new() })))
}
