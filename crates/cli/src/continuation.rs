//! What continues a run that no engine carries out.

use antiphon::append::HeadRow;
use antiphon::coordination::Coordination;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};
use antiphon::origin_of;
use antiphon::plan::SecretSource;
use antiphon_server::{Pause, RunSecrets};

use crate::command_error::CommandError;
use crate::ledger::{COORDINATIONS, Ledger};

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
        let origin = origin_of(ledger.store.as_ref(), &id.outermost())?;
        Ok(Self::Secrets(origin.map(|origin| origin.secrets).unwrap_or_default()))
    }

    /// What to do, as a sentence. A paused run is first `continued` by what is given.
    pub(crate) fn advice(&self, id: &CoordinationId, continued: Option<String>) -> String {
        let how = match self {
            Self::Engine => format!("`antiphon resume {id}`"),
            Self::Secrets(sources) => RunSecrets::of(id, sources.clone()).brought_by(),
            Self::Items => {
                return format!(
                    "`antiphon run PLAN --id {id}`, which submits the rest, continues it; \
                     `antiphon cancel {id}` ends it"
                );
            }
        };
        match continued {
            Some(continued) => {
                format!("{}, then {how} continue it", continued.trim_end_matches(','))
            }
            None => format!("{how} continues it"),
        }
    }
}

/// What continues a run that nobody carries out, as a sentence. What cannot be read of it is no reason
/// to say nothing.
pub(crate) fn advice(ledger: &Ledger, id: &CoordinationId) -> String {
    let run = ledger.replayed(id).ok();
    let lack = run.as_ref().and_then(|run| Lack::of(run, ledger).ok()).unwrap_or(Lack::Engine);
    lack.advice(id, run.as_ref().and_then(pause_ended_by))
}

/// The command that continues a paused run, with the ceilings that it must raise as far as they are
/// known: what a sentence begins with that says so.
pub(crate) fn continued_by(id: &CoordinationId, pause: Option<&Pause>) -> String {
    pause.map_or_else(|| format!("`antiphon continue {id}`"), Pause::continued_by)
}

/// The same of a run as it is recorded; `None` if it is not paused.
pub(crate) fn pause_ended_by(run: &Coordination) -> Option<String> {
    Some(Pause::of(run.coordination_id(), &run.pause()?).continued_by())
}
