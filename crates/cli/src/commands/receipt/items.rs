//! What became of every item of a coordination, also of those that its receipt holds as digests:
//! replayed from the events.

use std::collections::BTreeSet;

use antiphon::coordination::{Finished, WorkItemTracking, WorkOutcome, WorkState, archived_items};
use antiphon::id::{CoordinationId, WorkId};

use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;

/// The items: those that left memory first, then the others in the order in which they were added.
pub(super) fn replayed(
    ledger: &Ledger,
    id: &CoordinationId,
) -> Result<Vec<WorkOutcome>, CommandError> {
    let mut left: Vec<Finished> = Vec::new();
    let run = ledger.replayed_past(id, |run| {
        for blob in run.archived() {
            left.extend(
                archived_items(&blob.bytes)
                    .map_err(|error| CommandError::because(Kind::State, &error))?,
            );
        }
        Ok(())
    })?;
    let known: BTreeSet<WorkId> = left.iter().map(|item| item.work.id.clone()).collect();
    let there = run.work_queue().filter(|work| !known.contains(*work));
    let there: Vec<WorkOutcome> =
        there.filter_map(|work| run.work_tracking(work.as_str())).map(outcome).collect();
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
