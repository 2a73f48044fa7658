//! Whether a signal fits the schema that its run has for its type.

use std::sync::Arc;

use antiphon_core::coordination::Signal;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, StreamName, Version};

use crate::ledger::{ReadError, Store};
use crate::mailbox::{AskError, Handle};
use crate::signal_schemas::{CompiledSchemas, SignalSchemas};

impl Handle {
    /// Refuses a signal that does not fit the schema that its run has for its type.
    pub(super) async fn check_schema(
        &self,
        run: &CoordinationId,
        signal: &Signal,
    ) -> Result<(), AskError> {
        if signal.kind().is_of_the_seed() {
            return Ok(());
        }
        let schemas = match self.schemas().of(run) {
            Some(known) => known,
            None => {
                let id = run.clone();
                let found = self.read(move |store| recorded(store, &id)).await?;
                match found {
                    // It may begin with this signal.
                    Recorded::NoRun => return Ok(()),
                    Recorded::None => {
                        self.schemas().keep(run, None);
                        None
                    }
                    Recorded::Schemas(schemas) => {
                        let schemas = Arc::new(schemas);
                        self.schemas().keep(run, Some(Arc::clone(&schemas)));
                        Some(schemas)
                    }
                    Recorded::Unreadable(problem) => {
                        return Err(AskError::Schemas { run: run.clone(), problem });
                    }
                }
            }
        };
        match schemas {
            Some(schemas) => Ok(schemas.check(signal.kind(), signal.data())?),
            None => Ok(()),
        }
    }
}

/// What the record has of a run's schemas.
enum Recorded {
    NoRun,
    None,
    Schemas(CompiledSchemas),
    Unreadable(String),
}

fn recorded(store: &dyn Store, run: &CoordinationId) -> Result<Recorded, ReadError> {
    let first = store.read_stream(&StreamName::Coordination(run.clone()), Version(0), 1)?;
    let Some(first) = first.first() else { return Ok(Recorded::NoRun) };
    let started = match CoordinationEvent::of(first) {
        Ok(CoordinationEvent::Started(started)) => started,
        Ok(_) => return Ok(Recorded::None),
        Err(error) => return Ok(Recorded::Unreadable(error.to_string())),
    };
    let Some(digest) = started.signal_schemas else { return Ok(Recorded::None) };
    let Some(bytes) = store.blob(&digest)? else {
        return Ok(Recorded::Unreadable(format!("blob {digest} is gone")));
    };
    let read = SignalSchemas::from_bytes(&bytes);
    let compiled = read.and_then(|schemas| schemas.compiled().map_err(|error| error.to_string()));
    Ok(compiled.map_or_else(Recorded::Unreadable, Recorded::Schemas))
}
