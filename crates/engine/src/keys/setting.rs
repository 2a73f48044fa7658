//! Changing the keys of a run.

use std::collections::BTreeMap;

use antiphon_core::coordination::{KeyError, KeyWrite};
use antiphon_core::id::{Actor, CommandId, CoordinationId, Fence, SessionId, Version};
use antiphon_core::world::{Asker, Rejection, Written, commands};

use crate::mailbox::{AskError, Handle, SubmitError, operator};
use crate::secrets::{Values, without_values};
use crate::signals::undeclared;

impl Handle {
    /// Changes keys of a run, from outside.
    pub(crate) async fn set_keys(
        &self,
        run: &CoordinationId,
        writes: Vec<KeyWrite>,
        id: Option<CommandId>,
    ) -> Result<Version, AskError> {
        let set = commands::SetKeys { coordination: run.clone(), writes };
        match self.command(run, set.clone(), operator(id.clone())).await {
            Err(AskError::Rejected(Rejection::UnknownCoordination { .. })) if run.is_shared() => {
                self.begin_shared().await?;
                self.command(run, set, operator(id)).await
            }
            answer => answer,
        }
    }

    /// Begins the run of the keys that belong to no other, unless it is there.
    async fn begin_shared(&self) -> Result<(), AskError> {
        let id = CoordinationId::shared().clone();
        let begun =
            self.start(id, undeclared(), Vec::new(), Asker::engine(), false, BTreeMap::new());
        match begun.await {
            Ok(_) => Ok(()),
            Err(SubmitError::Rejected(rejection)) => Err(rejection.into()),
            Err(SubmitError::Unavailable(unavailable)) => Err(unavailable.into()),
            // Before it had this id for itself, somebody chose that for a run.
            Err(_) => {
                let coordination = CoordinationId::shared().clone();
                Err(Rejection::Conflict { coordination }.into())
            }
        }
    }

    /// Changes keys of a session's own run for it, or of those that all share, without values of the
    /// secrets of its run; not where its fence is stale.
    pub(crate) async fn set_session_keys(
        &self,
        run: &CoordinationId,
        asking: &SessionId,
        fence: Option<Fence>,
        writes: Vec<KeyWrite>,
        id: Option<CommandId>,
    ) -> Result<Written, AskError> {
        let writes = match self.secrets().of(&asking.coordination) {
            Some(values) => without_secrets(writes, &values).map_err(Rejection::from)?,
            None => writes,
        };
        let asker = Asker { actor: Actor::session(asking), id };
        if !run.is_shared() {
            let set = commands::SetSessionKeys { session: asking.clone(), fence, writes };
            return self.ask(set, asker).await;
        }
        let set = commands::SetSharedKeys { session: asking.clone(), fence, writes };
        match self.ask(set.clone(), asker.clone()).await {
            Err(AskError::Rejected(Rejection::UnknownCoordination { coordination }))
                if coordination.is_shared() =>
            {
                self.begin_shared().await?;
                self.ask(set, asker).await
            }
            answer => answer,
        }
    }
}

/// Changes without the values of the secrets of their run.
fn without_secrets(writes: Vec<KeyWrite>, values: &Values) -> Result<Vec<KeyWrite>, KeyError> {
    let clean = |write: KeyWrite| match write.json().and_then(|json| without_values(json, values)) {
        Some(clean) => write.with_json(clean),
        None => Ok(write),
    };
    writes.into_iter().map(clean).collect()
}
