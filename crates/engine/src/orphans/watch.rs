//! What of a session could not be ended, watched until it is gone.

use std::sync::Arc;
use std::time::Duration;

use antiphon_core::id::SessionId;
use antiphon_core::world::{Origin, commands};

use super::report::Leftovers;
use crate::mailbox::{AskError, Handle};
use crate::session::Processes;

/// How often it is looked whether leftovers are gone: nothing tells.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Waits until nothing of a session is left, then lets its item go on. Leftovers belong to the
/// system or to another user, and it is no event when they go, so this looks again and again.
pub(crate) fn watch(
    processes: Arc<Processes>,
    handle: Handle,
    leftovers: Arc<Leftovers>,
    session: SessionId,
) {
    tokio::spawn(async move {
        let mut look = tokio::time::interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = handle.stopped() => return,
            }
            let (again, id) = (Arc::clone(&processes), session.clone());
            let swept = tokio::task::spawn_blocking(move || again.wardens().sweep_again(&id)).await;
            match swept {
                Ok(Ok(Some(swept))) if !swept.is_clean() => {
                    let left = swept.left();
                    if leftovers.note(&session, &left) {
                        tracing::warn!(%session, left = left.join(", "), "an item waits until what a session left is gone");
                    }
                }
                Ok(Ok(_)) => break,
                Ok(Err(error)) => {
                    tracing::warn!(%session, %error, "whether anything of a session is left cannot be seen");
                }
                // The runtime ends.
                Err(_) => return,
            }
        }
        leftovers.forget(&session);
        match handle.cleared(session.clone()).await {
            Ok(()) => processes.forget(&session),
            Err(error) => {
                tracing::debug!(%session, %error, "nothing waits for what a session left running");
            }
        }
    });
}

impl Handle {
    /// Tells the decider that nothing of a session is left.
    async fn cleared(&self, session: SessionId) -> Result<(), AskError> {
        self.ask(commands::Cleared { session }, Origin::engine()).await.map(|_| ())
    }
}
