//! Contexts of the agents of a run.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use crate::api::{Accepted, Context, ContextDeletion, ContextList, ContextUpdate, ContextsRequest};
use crate::path::{run_path, segment};

impl Client {
    /// Gives agents of a run their contexts, all with one event.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn distribute_contexts(
        &self,
        id: &CoordinationId,
        request: &ContextsRequest,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/contexts"), request, key).await
    }

    /// Adds to what agents of a run share, with one event.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn update_contexts(
        &self,
        id: &CoordinationId,
        request: &ContextUpdate,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/contexts/update"), request, key).await
    }

    /// Takes their contexts from agents of a run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_contexts(
        &self,
        id: &CoordinationId,
        request: &ContextDeletion,
        key: Option<&str>,
    ) -> Result<Accepted, ClientError> {
        self.link.post(&run_path(id.as_str(), "/contexts/delete"), request, key).await
    }

    /// The agents of a run that have a context.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn contexts(&self, id: &CoordinationId) -> Result<ContextList, ClientError> {
        self.link.get(&run_path(id.as_str(), "/contexts")).await
    }

    /// The context of an agent of a run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn context(&self, id: &CoordinationId, agent: &str) -> Result<Context, ClientError> {
        let rest = format!("/contexts/{}", segment(agent));
        self.link.get(&run_path(id.as_str(), &rest)).await
    }
}
