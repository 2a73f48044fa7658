//! Whether a retry names the end of the run that it retries.

use antiphon_core::coordination::Forerunner;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Recorded;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{StreamName, Version};

use super::finding::{Findings, Wrong};
use crate::ledger::error::ReadError;
use crate::ledger::store::Store;

/// What is left of the run that a retry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Its events, as far as is known.
    All,
    /// Only its end: it was pruned since.
    End,
    /// Nothing that is as the retry names it, which is a finding.
    Nothing,
}

/// Looks at the event that a retry names. The last event of a run is there for ever, whatever else
/// of it is erased; one that cannot be read is found where it lies.
pub(super) fn check(
    store: &dyn Store,
    named: &Forerunner,
    retry: &Recorded,
    findings: &mut Findings,
) -> Result<Left, ReadError> {
    let run = &named.coordination;
    let before = Version(named.version.0.saturating_sub(1));
    let last = match store.read_stream(&StreamName::Coordination(run.clone()), before, 1) {
        Ok(events) => events.into_iter().next(),
        Err(ReadError::Damaged { .. }) => return Ok(Left::All),
        Err(fault) => return Err(fault),
    };
    let is_named = |last: Recorded| {
        (last.version, last.hash) == (named.version, named.hash)
            && receipt(&last) == Some(named.receipt)
    };
    if !last.is_some_and(is_named) {
        let wrong = Wrong::ForerunnerDiffers { run: run.clone() };
        findings.event(&retry.stream, retry.version, wrong);
        return Ok(Left::Nothing);
    }
    Ok(if was_pruned(store, named)? { Left::End } else { Left::All })
}

/// Whether nothing of what a run did is left but its end: the event after the first is erased, and
/// has gone together with all the others.
fn was_pruned(store: &dyn Store, named: &Forerunner) -> Result<bool, ReadError> {
    let stream = StreamName::Coordination(named.coordination.clone());
    match store.read_stream(&stream, Version(1), 1) {
        Ok(events) => Ok(events.first().is_some_and(|event| event.payload.bytes().is_none())),
        Err(ReadError::Damaged { .. }) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// The receipt that an event names, if it ends its run.
fn receipt(event: &Recorded) -> Option<Digest> {
    Some(CoordinationEvent::of(event).ok()?.ending()?.receipt)
}
