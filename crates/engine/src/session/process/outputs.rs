//! Outputs of the items that a session needs: those that came with it, and those of groups, which
//! are found in the record.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use antiphon_core::coordination::Need;
use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{StreamName, WorkId};

use crate::ledger::{ReadError, Store, backwards};
use crate::mailbox::Unavailable;
use crate::session::{Output, SessionContext};

/// What the outputs of groups may take together, in bytes; no command takes as much.
const MAX_BYTES: usize = 64 << 20;

/// Why the outputs that a session needs cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputsError {
    /// They could not be read now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// No command takes as much.
    #[error(
        "the outputs that its command names have more than {} MiB in all; let items write files and \
         name those",
        MAX_BYTES >> 20
    )]
    TooMuch,
}

impl SessionContext {
    /// The outputs of what the item needs; of the members of groups, those that its command names.
    pub(super) async fn outputs(
        &self,
        named: BTreeSet<&WorkId>,
    ) -> Result<BTreeMap<WorkId, Vec<u8>>, OutputsError> {
        let mut outputs = BTreeMap::new();
        for work in self.needed() {
            if let Some(bytes) = self.output_now(work).await?.and_then(Output::into_bytes) {
                outputs.insert(work.clone(), bytes);
            }
        }
        let needs = self.needs().iter().filter_map(|need| match need {
            Need::Work(work) => Some(work),
            _ => None,
        });
        let needed: BTreeSet<&WorkId> = needs.chain(self.needed()).collect();
        let of_groups: BTreeSet<WorkId> = named.difference(&needed).copied().cloned().collect();
        if of_groups.is_empty() {
            return Ok(outputs);
        }
        let stream = StreamName::Coordination(self.coordination().clone());
        let read = move |store: &dyn Store| recorded(store, &stream, of_groups);
        match self.read(read).await? {
            Some(found) => outputs.extend(found),
            None => return Err(OutputsError::TooMuch),
        }
        Ok(outputs)
    }
}

/// What items of a run have put out, in one pass through its stream; `None` if that is too much.
/// Items that have ended are not run again, so the last session of each is the one that counts.
fn recorded(
    store: &dyn Store,
    stream: &StreamName,
    mut wanted: BTreeSet<WorkId>,
) -> Result<Option<BTreeMap<WorkId, Vec<u8>>>, ReadError> {
    let mut found: Vec<(WorkId, Digest)> = Vec::new();
    backwards(store, stream, |recorded| {
        match CoordinationEvent::of(recorded) {
            Ok(CoordinationEvent::SessionUnbound(unbound)) => {
                let work = wanted.take(&unbound.work);
                found.extend(work.zip(unbound.output));
            }
            // Items that were taken over have no session here.
            Ok(CoordinationEvent::WorkAdded(added)) => {
                for reused in added.items.into_iter().filter(|item| item.reused.is_some()) {
                    let output = reused.reused.and_then(|reused| reused.output);
                    found.extend(wanted.take(&reused.id).zip(output));
                }
            }
            _ => {}
        }
        if wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let (mut outputs, mut bytes) = (BTreeMap::new(), 0);
    for (work, digest) in found {
        let Some(output) = store.blob(&digest)? else { continue };
        bytes += output.len();
        if bytes > MAX_BYTES {
            return Ok(None);
        }
        outputs.insert(work, output);
    }
    Ok(Some(outputs))
}
