//! The items that were read last, so that whoever goes through a run page by page has its stream
//! read once.

use std::sync::{Arc, Mutex};

use antiphon_core::digest::Digest;
use antiphon_core::id::{CoordinationId, StreamName};

use super::error::ItemError;
use super::record::RunItems;
use crate::ledger::{HeadQuery, Store};
use crate::locked::locked;
use crate::mailbox::QueryError;

/// Most items that are held, so that an idle engine stays small.
const MAX_ITEMS: usize = 20_000;

/// The items of the run that was asked for last.
#[derive(Debug, Default)]
pub(crate) struct LastRead(Mutex<Option<(Ends, Arc<RunItems>)>>);

/// The last events of the run and of the ledger's own stream, which has an event for each erasure:
/// as long as both are the same, so is what can be read of the run.
type Ends = [Option<Digest>; 2];

impl LastRead {
    /// The items of a run, read again only if anything of them may have changed.
    pub(crate) fn of(
        &self,
        store: &dyn Store,
        run: &CoordinationId,
    ) -> Result<Arc<RunItems>, ItemError> {
        let end = |stream| {
            let heads = store.heads(&HeadQuery::Stream(stream))?;
            Ok::<_, ItemError>(heads.into_iter().next().map(|head| head.tip.hash))
        };
        // What comes after this is at most newer than its key says, and then read again.
        let ends = [end(StreamName::Coordination(run.clone()))?, end(StreamName::Ledger)?];
        if ends[0].is_none() {
            return Err(QueryError::UnknownRun { run: run.clone() }.into());
        }
        if let Some((seen, items)) = locked(&self.0).as_ref()
            && *seen == ends
        {
            return Ok(Arc::clone(items));
        }
        let items = Arc::new(RunItems::read(store, run)?);
        if items.iter().len() <= MAX_ITEMS {
            *locked(&self.0) = Some((ends, Arc::clone(&items)));
        }
        Ok(items)
    }
}
