//! Waiting until what was erased is gone from the files of the ledger.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::EraseError;
use crate::ledger::Store;

/// How long an erasure waits for those who read the ledger; a backup of a large one takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time before it is tried a second time. Each try holds up appends for a moment.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Most time between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns once nothing that was erased is in any file.
pub(super) async fn is_gone(store: &Arc<dyn Store>) -> Result<(), EraseError> {
    let not_gone = |reason: String| Err(EraseError::NotGone { reason });
    let until = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        let store = Arc::clone(store);
        match tokio::task::spawn_blocking(move || store.finish_erasures()).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) if Instant::now() < until => {}
            Ok(Ok(false)) => {
                return not_gone("another process has been reading it all the time".to_owned());
            }
            Ok(Err(error)) => return not_gone(error.to_string()),
            Err(error) => return not_gone(error.to_string()),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
