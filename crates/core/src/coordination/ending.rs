//! How a coordination comes to its end: when it must stop, why, and with which receipt.

use super::budget::BudgetUsage;
use super::event::{Aborted, Completed, Mode, StopKind};
use super::receipt::{CoordinationReceipt, Counts, Ending};
use super::state::Coordination;
use super::stop::{AbortReason, StopCondition, Verdict};
use super::work::Runner;
use crate::envelope::{CommitTip, Meta, StreamTip};
use crate::time::{LedgerTime, WallTime};

impl Coordination {
    /// Why it must stop, judged at a ledger time. While work is left: a request, an error, the
    /// breaker, then the ceilings. With none left it has completed, whatever the budget says.
    #[must_use]
    pub fn stop_condition_at(&self, at: LedgerTime) -> Option<StopCondition> {
        if self.life().is_starting() {
            return None;
        }
        let stop = self.stop_request();
        let ends_when_done = self.started().mode == Mode::Closed || stop.is_some();
        if self.work().unfinished() == 0 && ends_when_done {
            return Some(StopCondition::AllWorkCompleted);
        }
        if stop.is_some_and(|stop| stop.kind >= StopKind::Drain) {
            return Some(StopCondition::UserRequested);
        }
        if let Some(trouble) = self.life().trouble() {
            return Some(trouble);
        }
        let exhausted =
            self.budget_usage().exhausted_after(self.elapsed_ticks_at(at), self.budget());
        exhausted.map(StopCondition::BudgetExhausted)
    }

    /// Whether running sessions must be asked to stop because the coordination ends.
    #[must_use]
    pub fn must_stop_sessions(&self) -> bool {
        let cancelled = self.stop_request().is_some_and(|stop| stop.kind == StopKind::Cancel);
        cancelled || (self.life().is_in_trouble() && self.work().unfinished() > 0)
    }

    /// How it ends on a stop condition, given which runners there are: a closed coordination of
    /// whose work nothing could ever be claimed has not completed, whatever stopped it.
    pub(crate) fn ending_on(
        &self,
        stop: StopCondition,
        is_there: impl Fn(&Runner) -> bool,
    ) -> Ending {
        if self.started().mode == Mode::Closed
            && self.work_count() > 0
            && self.last_session() == 0
            && !self.work().has_skipped_by_own_rule()
            && !self.work().ready().any(|(runner, lanes)| !lanes.is_empty() && is_there(runner))
        {
            Ending::Aborted(AbortReason::NoEligibleWork)
        } else {
            Ending::Completed(stop)
        }
    }

    /// What the receipt is, given where its evidence lies; unfinished items come last, in the order
    /// of addition.
    #[must_use]
    pub fn receipt(
        &self,
        ending: Ending,
        at: LedgerTime,
        wall: WallTime,
        tip: StreamTip,
        commit: CommitTip,
    ) -> CoordinationReceipt {
        let mut builder = self.receipt_so_far().clone().with_evidence(tip, commit);
        builder.record_elapsed(self.elapsed_ticks_at(at));
        // The terminal event has counted them already.
        if !self.life().is_ended() {
            for item in self.work().iter_unfinished() {
                builder.record_work_outcome(item.outcome(), item.spec().critical);
            }
        }
        builder.end(ending, wall)
    }

    /// Whether a recorded end by itself follows on this state. It may be one without eligible work:
    /// older versions completed those.
    pub(super) fn check_completed(&self, completed: &Completed, meta: &Meta) -> Result<(), String> {
        let given =
            completed.stop == StopCondition::UserRequested || completed.stop.error().is_some();
        if !given && self.stop_condition_at(meta.at).as_ref() != Some(&completed.stop) {
            return Err("its stop condition does not hold".to_owned());
        }
        let ending = Ending::Completed(completed.stop.clone());
        self.check_end(ending, meta, &completed.usage, &completed.totals, completed.verdict)
    }

    /// Whether a recorded end from outside follows on this state.
    pub(super) fn check_aborted(&self, aborted: &Aborted, meta: &Meta) -> Result<(), String> {
        let ending = Ending::Aborted(aborted.reason.clone());
        self.check_end(ending, meta, &aborted.usage, &aborted.totals, aborted.verdict)
    }

    fn check_end(
        &self,
        ending: Ending,
        meta: &Meta,
        usage: &BudgetUsage,
        totals: &Counts,
        verdict: Verdict,
    ) -> Result<(), String> {
        if !self.sessions().is_empty() {
            return Err("sessions are bound".to_owned());
        }
        let expected =
            self.receipt(ending, meta.at, meta.wall, StreamTip::default(), CommitTip::default());
        if (usage, totals, verdict) == (&expected.budget_usage, &expected.totals, expected.verdict)
        {
            Ok(())
        } else {
            Err("its usage, totals or verdict are not those of the stream".to_owned())
        }
    }
}
