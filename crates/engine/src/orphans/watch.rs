//! What of a session could not be ended, watched until it is gone.

use std::sync::Arc;
use std::time::Duration;

use antiphon_core::id::SessionId;
use antiphon_core::world::{Asker, commands};

use super::report::Leftovers;
use crate::mailbox::{AskError, Handle, Unavailable};
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
                        tracing::warn!(run = %session.coordination, %session, left = left.join(", "), "an item waits until what a session left is gone");
                    }
                }
                Ok(Ok(_)) => {
                    leftovers.forget(&session);
                    match handle.cleared(session.clone()).await {
                        Ok(()) => return processes.forget(&session),
                        // The ledger takes nothing in for now; the item must not wait for ever.
                        Err(AskError::Unavailable(
                            Unavailable::ReadOnly { .. } | Unavailable::NotTaken { .. },
                        )) => {}
                        Err(error) => {
                            tracing::debug!(run = %session.coordination, %session, %error, "nothing waits for what a session left running");
                            return;
                        }
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(run = %session.coordination, %session, %error, "whether anything of a session is left cannot be seen");
                }
                // The runtime ends.
                Err(_) => return,
            }
        }
    });
}

impl Handle {
    /// Tells the decider that nothing of a session is left.
    async fn cleared(&self, session: SessionId) -> Result<(), AskError> {
        self.ask(commands::Cleared { session }, Asker::engine()).await.map(|_| ())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use antiphon_core::time::Now;
    use tokio::sync::mpsc;

    use super::*;
    use crate::incidents::Incidents;
    use crate::ledger::MemoryStore;
    use crate::mailbox::Request;
    use crate::process::{WardenProgram, WardenSetup, Wardens};
    use crate::shortages::Shortages;

    #[tokio::test]
    async fn that_nothing_is_left_is_said_again_once_the_disk_was_full() {
        let dir = tempfile::tempdir().unwrap();
        let program = WardenProgram::At(dir.path().join("nothing is started here"));
        let setup = WardenSetup { program, ..WardenSetup::default() };
        let wardens = Wardens::open(dir.path(), setup).unwrap();
        let socket = dir.path().join("api.sock");
        let processes = Arc::new(Processes::new(wardens, dir.path().to_owned(), socket));
        let (mailbox, mut requests) = mpsc::channel(1);
        let store = Arc::new(MemoryStore::default());
        let incidents = Arc::<Incidents>::default();
        let handle = Handle::new(mailbox, store, incidents, Shortages::default(), Arc::default());
        let session: SessionId = "nightly.1".parse().unwrap();
        watch(processes, handle, Arc::default(), session.clone());

        let full = Unavailable::ReadOnly { reason: "it is full".to_owned() };
        for answer in [full, Unavailable::Stopped] {
            let Some(Request::Command(carry)) = requests.recv().await else {
                panic!("it does not say that nothing is left");
            };
            carry(Err(answer), &Now::from(1_000))(Ok(()));
        }
        assert!(requests.recv().await.is_none(), "there is nothing more to say");
    }
}
