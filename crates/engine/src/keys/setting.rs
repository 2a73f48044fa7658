//! Changing the keys of a run.

use antiphon_core::coordination::{KeyError, KeyWrite};
use antiphon_core::id::{CommandId, CoordinationId, Fence, SessionId, Version};
use antiphon_core::world::{Asker, Rejection, Written, commands};

use crate::mailbox::{AskError, Handle, operator, session};
use crate::secrets::{Values, without_values};

impl Handle {
    /// Changes keys of a run, from outside.
    pub(crate) async fn set_keys(
        &self,
        run: &CoordinationId,
        writes: Vec<KeyWrite>,
        id: Option<CommandId>,
    ) -> Result<Version, AskError> {
        let set = commands::SetKeys { coordination: run.clone(), writes };
        self.command(run, set, operator(id)).await
    }

    /// Changes keys of a session's own run for it, without values of the run's secrets; not where its
    /// fence is stale.
    pub(crate) async fn set_session_keys(
        &self,
        asking: &SessionId,
        fence: Option<Fence>,
        writes: Vec<KeyWrite>,
        id: Option<CommandId>,
    ) -> Result<Written, AskError> {
        let writes = match self.secrets().of(&asking.coordination) {
            Some(values) => without_secrets(writes, &values).map_err(Rejection::from)?,
            None => writes,
        };
        let set = commands::SetSessionKeys { session: asking.clone(), fence, writes };
        self.ask(set, Asker { actor: session(asking), id }).await
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
