//! What continues a run that no engine carries out.

use antiphon::append::HeadRow;
use antiphon::coordination::Coordination;
use antiphon::id::{CoordinationId, SessionId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};

use crate::command_error::CommandError;
use crate::ledger::{COORDINATIONS, Ledger};

/// Nested runs that are searched for items that need secrets.
const LOOKED_THROUGH: usize = 100;

/// What a run needs before it can continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// An engine.
    Engine,
    /// Secrets, which are not recorded.
    Secrets,
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
            return Ok(Self::Secrets);
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
                return Ok(Self::Secrets);
            }
        }
        Ok(Self::Engine)
    }

    /// What to do, as a sentence.
    pub(crate) fn advice(self, id: &CoordinationId, is_paused: bool) -> String {
        let how = match self {
            Self::Engine => format!("`antiphon resume {id}`"),
            Self::Secrets => {
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
