//! What the end of a session is to its item.

use super::stage::WorkStage;
use super::state::{WorkItemOutcome, WorkMove, WorkState};
use crate::coordination::event::SessionUnbound;
use crate::coordination::session::NextStep;
use crate::time::{Deadline, LedgerTime};

impl SessionUnbound {
    /// How it moves its item, if it was recorded at this moment.
    pub(super) fn work_move(&self, at: LedgerTime) -> WorkMove {
        match &self.then {
            NextStep::Done(WorkItemOutcome::Skipped(_)) => WorkMove::LeaveOut,
            NextStep::Done(outcome) => WorkMove::Finish(outcome.clone()),
            NextStep::Retry(then) if *then <= at => WorkMove::Release,
            NextStep::Retry(then) => WorkMove::Wait(Deadline::Ledger(*then)),
            NextStep::Wait(until) => WorkMove::Wait(*until),
            NextStep::Hold => WorkMove::Hold(self.session),
        }
    }

    /// Where it left its item; `None` for a step that no session can end with. The event must have
    /// been recorded at this moment.
    #[must_use]
    pub fn work_stage(&self, at: LedgerTime) -> Option<WorkStage> {
        let after = WorkState::Bound(self.session).after(self.work_move(at))?;
        Some(WorkStage::from(&after))
    }
}
