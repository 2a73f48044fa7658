//! What the record has of something that is waited for, where memory has it no more.

use antiphon_core::coordination::{Coordination, Met, Need, NeedStanding, SignalNeed};
use antiphon_core::id::{CoordinationId, StreamName, Version};
use antiphon_core::replay::Replay;

use crate::items::RunItems;
use crate::ledger::{Events, ReadError, Store};
use crate::signals::{RecordedSignals, SignalFilter};

/// By what each need was met, as far as signals and outcomes of items tell.
pub(super) fn found(
    store: &dyn Store,
    run: &CoordinationId,
    needs: &[Need],
) -> Result<Vec<Option<Met>>, ReadError> {
    needs.iter().map(|need| found_one(store, run, need)).collect()
}

fn found_one(
    store: &dyn Store,
    run: &CoordinationId,
    need: &Need,
) -> Result<Option<Met>, ReadError> {
    match need {
        Need::Work(id) => {
            // What cannot be read, or was erased, tells nothing.
            let Ok(items) = RunItems::read(store, run) else { return Ok(None) };
            let outcome = items.find(id.as_str()).ok().and_then(|item| item.outcome.clone());
            Ok(outcome.map(|(_, outcome)| Met::Outcome { outcome }))
        }
        Need::Signal(signal) => {
            let last = RecordedSignals::of(store, run)?.last(&filter(signal), 1)?.pop();
            Ok(last.map(|last| Met::Signal { version: Some(last.version) }))
        }
        _ => Ok(None),
    }
}

fn filter(need: &SignalNeed) -> SignalFilter {
    let filter = SignalFilter::new().of_type(need.kind.as_str()).unwrap_or_default();
    let filter = match (&need.about, &need.from) {
        (Some(agent), _) => filter.about(agent.clone()),
        (None, Some(agent)) => filter.from(agent.clone()),
        (None, None) => filter,
    };
    if need.success { filter.failed(false) } else { filter }
}

/// By what each need was met when a run ended.
pub(super) fn found_of_ended(
    store: &dyn Store,
    run: &CoordinationId,
    needs: &[Need],
) -> Result<Vec<Option<Met>>, ReadError> {
    let Some(state) = as_it_ended(store, run)? else { return found(store, run, needs) };
    let each = needs.iter().map(|need| match state.standing(need) {
        NeedStanding::Met(met) => Ok(Some(met)),
        NeedStanding::LeftMemory => found_one(store, run, need),
        _ => Ok(None),
    });
    each.collect()
}

/// The last state of a run; `None` if some of its events were erased.
fn as_it_ended(store: &dyn Store, run: &CoordinationId) -> Result<Option<Coordination>, ReadError> {
    let stream = StreamName::Coordination(run.clone());
    let mut replay = Replay::<Coordination>::of(stream.clone());
    for event in Events::after(store, stream, Version(0)) {
        if replay.take(&event?).is_err() {
            return Ok(None);
        }
    }
    Ok(replay.into_state().map(|(state, _)| state))
}
