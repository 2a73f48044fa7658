//! Items that are added to a run.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use crate::api::{Accepted, WorkRequest};
use crate::path::run_path;

impl Client {
    /// Adds items to a run, written as in the `work` of a plan.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn add_work(
        &self,
        id: &CoordinationId,
        request: &WorkRequest,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/work"), request, key).await
    }
}
