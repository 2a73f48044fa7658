//! Closing the engine once, whichever clone asks for it and however often.

use std::sync::Mutex;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::locked::locked;
use crate::mailbox::{Handle, Request, Unavailable};

type CloseOutcome = Result<(), Unavailable>;

/// The running decider, and where its end is announced.
type Open = (JoinHandle<()>, watch::Sender<Option<CloseOutcome>>);

/// Closes the engine at the first call; every call waits for the same outcome.
#[derive(Debug)]
pub(super) struct CloseOnce {
    /// Taken by the first call.
    open: Mutex<Option<Open>>,
    outcome: watch::Receiver<Option<CloseOutcome>>,
}

impl CloseOnce {
    pub(super) fn new(decider: JoinHandle<()>) -> Self {
        let (announce, outcome) = watch::channel(None);
        Self { open: Mutex::new(Some((decider, announce))), outcome }
    }

    /// Closes it, or waits until the call that came first has.
    pub(super) async fn close(&self, handle: &Handle) -> CloseOutcome {
        let open = locked(&self.open).take();
        if let Some((decider, announce)) = open {
            let handle = handle.clone();
            // A task of its own, so that a caller may give up waiting.
            tokio::spawn(async move { announce.send_replace(Some(closed(decider, handle).await)) });
        }
        let mut outcome = self.outcome.clone();
        // Nothing is announced if the task is gone, as when the runtime ends.
        let announced = outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        announced.ok().flatten().unwrap_or(Err(Unavailable::Stopped))
    }
}

async fn closed(decider: JoinHandle<()>, handle: Handle) -> Result<(), Unavailable> {
    let (reply, answer) = oneshot::channel();
    handle.send(Request::Close { reply }).await?;
    let answer = answer.await.map_err(|_| Unavailable::Stopped)?;
    // The decider has nothing left to do; that it panicked would be a broken invariant.
    decider.await.map_err(|_| Unavailable::Stopped)?;
    answer
}
