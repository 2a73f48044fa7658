//! What continues a run that no engine carries out.

use antiphon::append::HeadRow;
use antiphon::coordination::Coordination;
use antiphon::id::{CoordinationId, SessionId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};
use antiphon::origin_of;
use antiphon::plan::SecretSource;

use crate::command_error::CommandError;
use crate::ledger::{COORDINATIONS, Ledger};
use crate::secrets::resuming;

/// Nested runs that are searched for items that need secrets.
const LOOKED_THROUGH: usize = 100;

/// What a run needs before it can continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lack {
    /// An engine.
    Engine,
    /// Secrets, whose values are not recorded: where they came from, if that is.
    Secrets(Vec<SecretSource>),
    /// Items that were not recorded before its start was cut off.
    Items,
}

impl Lack {
    /// Of a run as it is recorded, with the runs that are nested in it.
    pub(crate) fn of(run: &Coordination, ledger: &Ledger) -> Result<Self, CommandError> {
        // The next engine ends a start whose id nobody knows who could repeat it.
        if run.is_starting() && !run.started().minted {
            return Ok(Self::Items);
        }
        if run.needs_secrets() {
            return Self::secrets_of(run.coordination_id(), ledger);
        }
        let filter = HeadFilter {
            prefix: format!("{COORDINATIONS}{}.", run.coordination_id()),
            ended: Some(false),
            limit: LOOKED_THROUGH,
            ..HeadFilter::default()
        };
        for HeadRow { stream, .. } in ledger.store.heads(&HeadQuery::List(filter))? {
            if let StreamName::Coordination(id) = stream
                && ledger.replayed(&id)?.needs_secrets()
            {
                return Self::secrets_of(&id, ledger);
            }
        }
        Ok(Self::Engine)
    }

    /// The secrets that a run was started with, or the one that it is nested in.
    pub(crate) fn secrets_of(id: &CoordinationId, ledger: &Ledger) -> Result<Self, CommandError> {
        let origin = origin_of(ledger.store.as_ref(), &outermost(id))?;
        Ok(Self::Secrets(origin.map(|origin| origin.secrets).unwrap_or_default()))
    }

    /// What to do, as a sentence.
    pub(crate) fn advice(&self, id: &CoordinationId, is_paused: bool) -> String {
        let how = match self {
            Self::Engine => format!("`antiphon resume {id}`"),
            Self::Secrets(sources) if !sources.is_empty() => resuming(outermost(id), sources),
            Self::Secrets(_) => {
                format!("`antiphon run PLAN --id {}`, which brings its secrets,", outermost(id))
            }
            Self::Items => {
                return format!(
                    "`antiphon run PLAN --id {id}`, which submits the rest, continues it; \
                     `antiphon cancel {id}` ends it"
                );
            }
        };
        match is_paused {
            true => format!("`antiphon continue {id}`, then {how} continue it"),
            false => format!("{how} continues it"),
        }
    }
}

/// The run that a plan was submitted as: a nested one has the secrets of that.
pub(crate) fn outermost(id: &CoordinationId) -> CoordinationId {
    match id.as_str().parse::<SessionId>() {
        Ok(session) => outermost(&session.coordination),
        Err(_) => id.clone(),
    }
}
