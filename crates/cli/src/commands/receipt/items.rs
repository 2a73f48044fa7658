//! What became of every item of a coordination, also of those that its receipt holds as digests: replayed from the events.

use std::collections::BTreeSet;

use antiphon::coordination::{
    CoordinationReducer, Finished, Reducer as _, ReducerContext, WorkItemTracking, WorkOutcome, WorkState, archived_items,
};
use antiphon::id::{CoordinationId, StreamName, Version, WorkId};
use antiphon::ledger::{SqliteStore, Store as _};

use crate::command_error::{CommandError, Kind};

/// Events read at a time.
const PAGE: usize = 1_000;

/// The items: those that left memory first, then the others in the order in which they were added.
pub(super) fn replayed(store: &SqliteStore, id: &CoordinationId) -> Result<Vec<WorkOutcome>, CommandError> {
    let stream = StreamName::Coordination(id.clone());
    let (mut reducer, mut after) = (CoordinationReducer::new(), Version(0));
    let mut left: Vec<Finished> = Vec::new();
    loop {
        let page = store.read_stream(&stream, after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.version;
        for event in &page {
            let context = ReducerContext::replay(event.version.0);
            reducer.apply(event, &context).map_err(|error| CommandError::because(Kind::State, &error))?;
            for blob in reducer.state().get(id).map_or(&[][..], |session| session.archived()) {
                left.extend(archived_items(&blob.bytes).map_err(|error| CommandError::because(Kind::State, &error))?);
            }
        }
    }
    let Some(session) = reducer.state().get(id) else { return Ok(Vec::new()) };
    let known: BTreeSet<WorkId> = left.iter().map(|item| item.work.id.clone()).collect();
    let there = session.work_queue().filter(|work| !known.contains(*work));
    let there: Vec<WorkOutcome> = there.filter_map(|work| session.work_tracking(work.as_str())).map(outcome).collect();
    Ok(left.into_iter().map(WorkOutcome::from).chain(there).collect())
}

fn outcome(item: WorkItemTracking<'_>) -> WorkOutcome {
    WorkOutcome {
        work_id: item.spec.id.clone(),
        attempts: item.attempt_count,
        final_outcome: match item.state {
            WorkState::Done(outcome) => Some(outcome.clone()),
            _ => None,
        },
        sessions: item.sessions.to_vec(),
        output: item.output,
    }
}
