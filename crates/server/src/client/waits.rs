//! Waiting for something in a run.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use crate::api::{WaitAnswer, WaitRequest};
use crate::path::run_path;

impl Client {
    /// Waits until all of something is there, the time is over, or the run has ended: as long as the
    /// engine holds the request. Letting go of it is how to give it up.
    ///
    /// # Errors
    /// [`ClientError`], also if the engine stops meanwhile: nobody waits any more then.
    pub async fn wait_for(
        &self,
        id: &CoordinationId,
        request: &WaitRequest,
    ) -> Result<WaitAnswer, ClientError> {
        self.link.post_held(&run_path(id.as_str(), "/waits"), request).await
    }
}
