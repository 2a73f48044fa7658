//! Closing the engine once, whoever asks for it and however often.

use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use crate::mailbox::{EngineError, Handle, Request};

/// How far closing has come.
#[derive(Debug)]
pub(super) struct Closing(Mutex<Progress>);

#[derive(Debug)]
enum Progress {
    /// The decider runs.
    Open(Option<JoinHandle<()>>),
    /// A task of its own closes it, so that a caller may give up waiting.
    Asked(JoinHandle<Result<(), EngineError>>),
    Closed(Result<(), EngineError>),
}

impl Closing {
    pub(super) fn new(decider: JoinHandle<()>) -> Self {
        Self(Mutex::new(Progress::Open(Some(decider))))
    }

    /// Closes it, or waits with whoever did.
    pub(super) async fn close(&self, handle: &Handle) -> Result<(), EngineError> {
        // Held over the wait: those who close it wait for the same thing.
        let mut progress = self.0.lock().await;
        if let Progress::Open(decider) = &mut *progress {
            let closing = closed(decider.take(), handle.clone());
            *progress = Progress::Asked(tokio::spawn(closing));
        }
        if let Progress::Asked(closing) = &mut *progress {
            let result = closing.await.unwrap_or(Err(EngineError::Stopped));
            *progress = Progress::Closed(result);
        }
        match &*progress {
            Progress::Closed(result) => result.clone(),
            Progress::Open(_) | Progress::Asked(_) => Err(EngineError::Stopped),
        }
    }
}

async fn closed(decider: Option<JoinHandle<()>>, handle: Handle) -> Result<(), EngineError> {
    let (reply, answer) = oneshot::channel();
    handle.send(Request::Close { reply }).await?;
    let answer = answer.await.map_err(|_| EngineError::Stopped)?;
    // The decider has nothing left to do; that it panicked would be a broken invariant.
    if let Some(decider) = decider {
        decider.await.map_err(|_| EngineError::Stopped)?;
    }
    answer
}
