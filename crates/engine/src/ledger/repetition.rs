//! The ids of what is done more than once: `build`, `build@2`, `build@3` and so on.

use antiphon_core::append::HeadRow;
use antiphon_core::id::{CoordinationId, IdError, StreamName};

use super::error::ReadError;
use super::store::{HeadQuery, Store};

/// A run and its repetitions, as far as there are any.
#[derive(Debug, Clone)]
pub struct Repetition {
    /// The id that the next one has.
    pub next: CoordinationId,
    /// Those that there are, in the order of their numbers.
    pub before: Vec<HeadRow>,
}

impl Repetition {
    /// Looks for the first id that is free: the original one, else the one with the lowest number.
    ///
    /// # Errors
    /// [`ReadError`] if the ledger cannot be read; [`IdError`] inside if the next id would be too
    /// long.
    pub fn of(store: &dyn Store, id: &CoordinationId) -> Result<Result<Self, IdError>, ReadError> {
        let mut before = Vec::new();
        let mut next = match CoordinationId::chosen(id.original()) {
            Ok(original) => original,
            Err(error) => return Ok(Err(error)),
        };
        for nth in 2.. {
            let stream = StreamName::Coordination(next.clone());
            let heads = store.heads(&HeadQuery::Stream(stream))?;
            let Some(head) = heads.into_iter().next() else { break };
            before.push(head);
            next = match id.again(nth) {
                Ok(next) => next,
                Err(error) => return Ok(Err(error)),
            };
        }
        Ok(Ok(Self { next, before }))
    }
}
