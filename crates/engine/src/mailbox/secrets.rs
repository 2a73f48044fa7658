//! Values of secrets for a run that is there: they are in memory only, and gone with their engine.

use std::collections::BTreeMap;

use antiphon_core::id::CoordinationId;
use tokio::sync::oneshot;

use super::error::Unavailable;
use super::handle::Handle;
use super::request::Request;
use crate::identity::origin_of;
use crate::plan::Origin;

impl Handle {
    /// Where a run was started from, if that is recorded.
    pub(crate) async fn origin(&self, run: &CoordinationId) -> Result<Option<Origin>, Unavailable> {
        let run = run.clone();
        self.read(move |store| origin_of(store, &run)).await
    }

    /// Hands a run values of secrets. What needs secrets starts once all that it was started with
    /// are there.
    pub(crate) async fn hold_secrets(
        &self,
        run: &CoordinationId,
        secrets: BTreeMap<String, String>,
    ) -> Result<(), Unavailable> {
        if secrets.is_empty() {
            return Ok(());
        }
        let needed = self.origin(run).await?.map(|origin| origin.secrets).unwrap_or_default();
        let needed = needed.into_iter().map(|secret| secret.name).collect();
        let (reply, answer) = oneshot::channel();
        let run = run.clone();
        self.send(Request::HoldSecrets { run, secrets, needed, reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }
}
