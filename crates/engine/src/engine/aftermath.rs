//! What an earlier engine left running, ended before anything is bound; and what of it could not be
//! ended, watched until it is gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{SessionEnd, SessionOutcome, TreeReport};
use antiphon_core::id::SessionId;
use antiphon_core::world::{Command, Found, World};

use super::decider::engine_origin;
use super::{Handle, StartError};
use crate::ledger::{ReadError, Store};
use crate::plan::CommandSpec;
use crate::process::{SessionFolder, Swept, sweep};
use crate::session::{Processes, end_of, result_of};
use crate::usage::Charged;

/// How often it is looked whether leftovers are gone: nothing tells.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What a sweep found.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// How sessions ended that are still bound.
    pub(super) found: BTreeMap<SessionId, Found>,
    /// Sessions of which nothing is left; what was kept of them goes once that is recorded.
    pub(super) gone: Vec<SessionId>,
    /// Sessions of which something is left.
    pub(super) left: Vec<SessionId>,
}

/// Ends what an earlier engine left running. Blocks.
///
/// # Errors
/// [`StartError`] if the sessions or the ledger cannot be read.
pub(super) fn clean_up(
    world: &World,
    store: &dyn Store,
    directory: &Path,
) -> Result<Aftermath, StartError> {
    let swept = sweep(directory)
        .map_err(|source| StartError::System { what: "the folder of the sessions", source })?;
    let mut aftermath = Aftermath::default();
    for swept in swept {
        if swept.is_clean() { &mut aftermath.gone } else { &mut aftermath.left }
            .push(swept.session.clone());
        if let Some(found) = found(world, store, directory, swept)? {
            aftermath.found.insert(found.0, found.1);
        }
    }
    Ok(aftermath)
}

/// How a session that is still bound ended.
fn found(
    world: &World,
    store: &dyn Store,
    directory: &Path,
    swept: Swept,
) -> Result<Option<(SessionId, Found)>, ReadError> {
    let clean = swept.is_clean();
    let leftovers = swept.left();
    let Swept { session, killed, end, .. } = swept;
    let Some((_, spec)) =
        world.coordination(&session.coordination).and_then(|above| above.binding(session.number))
    else {
        return Ok(None);
    };
    let by_itself = end.filter(|end| clean && end.ended_by_itself_and_clean());
    let description = match (&by_itself, spec.input) {
        (Some(_), Some(input)) => {
            store.blob(&input)?.and_then(|bytes| CommandSpec::from_bytes(&bytes).ok())
        }
        _ => None,
    };
    if let (Some(end), Some(description)) = (by_itself, description) {
        let folder = SessionFolder::in_state_directory(directory, &session);
        let (end, blobs) = end_of(result_of(
            &description,
            end,
            &folder,
            &Charged::default(),
            crate::clock::wall(),
        ));
        return Ok(Some((session, Found { end, blobs })));
    }
    let text = match killed {
        0 => "the engine stopped while the session ran".to_owned(),
        killed => format!(
            "the engine stopped while the session ran; {killed} processes that had survived it were ended"
        ),
    };
    let tree = TreeReport {
        containment: "best-effort".to_owned(),
        clean,
        killed: u32::try_from(killed).unwrap_or(u32::MAX),
        leftovers,
        ..TreeReport::default()
    };
    let end = SessionEnd::new(SessionOutcome::Lost).with_text(text).with_tree(tree);
    Ok(Some((session, Found { end, blobs: Vec::new() })))
}

/// Waits until nothing of a session is left, then lets its item go on. Leftovers belong to the
/// system or to another user, and it is no event when they go, so this looks again and again.
pub(super) fn watch(processes: Arc<Processes>, handle: Handle, session: SessionId) {
    tokio::spawn(async move {
        let mut look = tokio::time::interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = handle.stopped() => return,
            }
            let (again, id) = (Arc::clone(&processes), session.clone());
            let swept = tokio::task::spawn_blocking(move || again.wardens.sweep_again(&id)).await;
            match swept {
                Ok(Ok(Some(swept))) if !swept.is_clean() => {
                    let left = swept.left();
                    if handle.leftovers().note(&session, &left) {
                        tracing::warn!(%session, left = left.join(", "), "an item waits until what a session left is gone");
                    }
                }
                Ok(Ok(_)) => break,
                Ok(Err(error)) => {
                    tracing::warn!(%session, %error, "whether anything of a session is left cannot be seen")
                }
                // The runtime ends.
                Err(_) => return,
            }
        }
        handle.leftovers().forget(&session);
        match handle.cleared(session.clone()).await {
            Ok(()) => processes.forget(&session),
            Err(error) => {
                tracing::debug!(%session, %error, "nothing waits for what a session left running")
            }
        }
    });
}

impl Handle {
    /// Tells the decider that nothing of a session is left.
    async fn cleared(&self, session: SessionId) -> Result<(), super::EngineError> {
        self.ask(Command::Cleared { session }, engine_origin(), false).await.map(|_| ())
    }
}
