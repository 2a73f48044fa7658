//! Whether what is submitted under the id of a run is that run: its plan, parameters and inputs, and
//! not the terminal that it was started in. Where it is not, what differs.

mod described;
mod difference;
mod inherited;
mod recorded;

use antiphon_core::coordination::CoordinationConfig;
use antiphon_core::envelope::Blob;
use antiphon_core::id::{CoordinationId, StreamName};

pub use difference::{Difference, Differences};
pub use recorded::origin_of;

use crate::ledger::{HeadQuery, ReadError, Store};
use recorded::RecordedStart;

/// What is submitted under an id, and the run of that id.
#[derive(Debug)]
pub(crate) enum Identity {
    /// There is no such run, or it is this as it was recorded, or that cannot be told, since its
    /// record was erased or is only about to be written: whoever decides compares the digests.
    Same(Box<CoordinationConfig>, Vec<Blob>),
    /// It was started with something else.
    Different {
        differences: Differences,
        /// Whether it has ended.
        ended: bool,
    },
}

/// Compares what is submitted under an id with what was recorded.
pub(crate) fn identify(
    store: &dyn Store,
    run: &CoordinationId,
    config: CoordinationConfig,
    blobs: Vec<Blob>,
) -> Result<Identity, ReadError> {
    let heads = store.heads(&HeadQuery::Stream(StreamName::Coordination(run.clone())))?;
    let same = |config, blobs| Ok(Identity::Same(Box::new(config), blobs));
    let Some(head) = heads.into_iter().next() else { return same(config, blobs) };
    if head.run_summary().is_ok_and(|summary| summary.plan == config.digest()) {
        return same(config, blobs);
    }
    let Some(then) = RecordedStart::read(store, run)? else { return same(config, blobs) };
    if let Some((config, blobs)) = inherited::as_recorded(store, &then, &config, &blobs)? {
        return same(config, blobs);
    }
    let differences = difference::between(store, &then, &config, &blobs)?;
    match differences.is_empty() {
        true => match then.as_retry_of(run, &config) {
            Some(retry) => same(retry, Vec::new()),
            None => same(config, blobs),
        },
        false => Ok(Identity::Different { differences, ended: head.ended }),
    }
}
