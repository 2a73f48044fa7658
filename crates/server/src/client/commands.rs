//! Commands to a run in progress.

use antiphon::id::CoordinationId;
use serde_json::json;

use super::Client;
use super::error::ClientError;
use crate::api::{Accepted, PruneAnswer, PruneRequest, RaiseRequest, ResumeRequest, Steer};
use crate::path::run_path;

impl Client {
    /// Cancels, drains, closes or pauses a run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn steer(
        &self,
        id: &CoordinationId,
        how: Steer,
        reason: &str,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        let path = run_path(id.as_str(), &format!("/{}", how.as_str()));
        self.link.post(&path, &json!({ "reason": reason }), key).await
    }

    /// Erases what ended runs have left, or says what would go.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn prune(&self, request: &PruneRequest) -> Result<PruneAnswer, ClientError> {
        self.link.post("/v1/prune", request, None).await
    }

    /// Has a run carried out again, with the values of secrets that it needs.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn resume(
        &self,
        id: &CoordinationId,
        request: &ResumeRequest,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/resume"), request, key).await
    }

    /// Ends a pause, with higher ceilings if given.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn continue_(
        &self,
        id: &CoordinationId,
        raise: &RaiseRequest,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/continue"), raise, key).await
    }
}
