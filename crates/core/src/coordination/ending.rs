//! How a coordination ends: when it must stop, why, and with which receipt.

use super::error::{IllegalEnd, WrongStopCondition};
use super::event::{Mode, OnExhausted, OnTripped, RecordedEnding, StopKind};
use super::receipt::{CoordinationReceipt, Ending, GateScores};
use super::session::Binding;
use super::state::Coordination;
use super::stop::{AbortReason, StopCondition};
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

    /// The running sessions that must be asked to stop: all if the coordination ends; but for
    /// nested coordinations, which are interrupted themselves, if it is interrupted at once.
    pub(crate) fn sessions_to_stop(&self) -> impl Iterator<Item = u64> {
        let cancelled = self.stop_request().is_some_and(|stop| stop.kind == StopKind::Cancel);
        let trouble = self.life().trouble().filter(|_| self.work().unfinished() > 0);
        let ends = cancelled || trouble.is_some_and(|stop| !self.pauses_on(&stop));
        let stops = move |binding: &&Binding| ends || (self.ends_sessions() && !binding.nested);
        self.sessions().iter().filter(stops).map(|binding| binding.session)
    }

    /// How it ends on a stop condition, given which runners there are: a closed coordination of
    /// whose work nothing could ever be claimed, and nothing was taken over, has not completed,
    /// whatever stopped it.
    pub(crate) fn ending_on(
        &self,
        stop: StopCondition,
        is_there: impl Fn(&Runner) -> bool,
    ) -> Ending {
        if self.started().mode == Mode::Closed
            && self.work_count() > 0
            && self.last_session() == 0
            && self.totals().work_reused == 0
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
        builder.with_gates(GateScores::of(self.gate_scores())).end(ending, wall)
    }

    /// Whether it may complete with a stop condition. Deciding and checking a recorded end both ask
    /// here.
    ///
    /// # Errors
    /// [`WrongStopCondition`] if it does not hold.
    pub(crate) fn may_complete(
        &self,
        stop: &StopCondition,
        at: LedgerTime,
    ) -> Result<(), WrongStopCondition> {
        // A request and an error are for the caller to know. An error may be worded, as the first
        // version recorded it; nothing decides on one of those any more.
        let is_given = *stop == StopCondition::UserRequested || stop.error().is_some();
        let actual = self.stop_condition_at(at);
        if is_given || actual.as_ref() == Some(stop) {
            return Ok(());
        }
        Err(WrongStopCondition { claimed: stop.clone(), actual })
    }

    /// Whether it pauses on a stop condition instead of ending: its running sessions come to their
    /// end, and a caller says how it continues.
    pub(super) fn pauses_on(&self, stop: &StopCondition) -> bool {
        let policies = &self.started().policies;
        match stop {
            StopCondition::BudgetExhausted(_) => policies.on_exhausted == OnExhausted::Pause,
            StopCondition::CircuitBreakerTripped => policies.on_tripped == OnTripped::Pause,
            _ => false,
        }
    }

    /// Whether a pause keeps it from stopping: nothing stops for a spent budget, whatever it does
    /// about one otherwise, until a caller says how it continues.
    pub(super) fn is_held_by_pause(&self, stop: &StopCondition) -> bool {
        let waits = matches!(stop, StopCondition::BudgetExhausted(_)) || self.pauses_on(stop);
        self.pause_reason().is_some() && waits
    }

    /// Why it ended with work left, in words for people, with the items or the amounts that they
    /// are about; `None` while it runs, and if it came to the end of its work.
    #[must_use]
    pub fn why_ended(&self) -> Option<String> {
        let stop = match self.ending()? {
            Ending::Completed(stop) => stop,
            Ending::Aborted(reason) => return Some(reason.describe()),
        };
        let spent = |meter| {
            let spent = self.budget().spent(self.budget_usage());
            spent.into_iter().find(|spent| spent.meter() == meter)
        };
        let words = match &stop {
            StopCondition::AllWorkCompleted => return None,
            StopCondition::CircuitBreakerTripped => self.tripped().map(ToString::to_string),
            StopCondition::BudgetExhausted(meter) => spent(*meter).map(|spent| spent.to_string()),
            StopCondition::UserRequested => self.stop_request().and_then(|request| {
                let why = Some(request.why()).filter(|why| !why.is_empty())?;
                Some(format!("{}: {why}", stop.describe()))
            }),
            _ => None,
        };
        Some(words.unwrap_or_else(|| stop.describe()))
    }

    /// Whether a recorded end says what the stream does. It may have completed without any eligible
    /// work: older versions recorded that so.
    pub(super) fn check_end(&self, end: RecordedEnding<'_>, meta: &Meta) -> Result<(), IllegalEnd> {
        if !self.sessions().is_empty() {
            return Err(IllegalEnd::SessionsBound);
        }
        let (tip, commit) = (StreamTip::default(), CommitTip::default());
        let expected = self.receipt(end.ending, meta.at, meta.wall, tip, commit);
        if (end.usage, end.totals, end.verdict)
            == (&expected.budget_usage, expected.totals, expected.verdict)
        {
            Ok(())
        } else {
            Err(IllegalEnd::OtherSums)
        }
    }
}
