//! Whether the state directory is still there, and the one that the engine took over.
//!
//! It is looked at time and again, as no one source of events tells all of it: a watch is of the
//! directory itself, and neither a rename of one above it nor a mount over it or an unmount below
//! one that is still in use is anything that happens to it.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use crate::ledger::{Gone, HeldDirectory};

/// Time between two looks. A loss is told within a second.
const LOOK: Duration = Duration::from_millis(400);

/// Looks after a directory until it is gone, or the receiver is.
pub(super) fn watch(held: HeldDirectory) -> oneshot::Receiver<Gone> {
    let (mut tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = tell.closed() => return,
            }
            let held = held.clone();
            // A path can lead over a file system that does not answer.
            let looked = tokio::task::spawn_blocking(move || held.stands()).await;
            if let Ok(Err(gone)) = looked {
                // Without a decider nobody is there to be told.
                let _ = tell.send(gone);
                return;
            }
        }
    });
    told
}
