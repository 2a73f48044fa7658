//! What a caller is refused and what is refused in a record, side by side.

use antiphon_core::coordination::event::{CoordinationEvent, WorkSkipped};
use antiphon_core::coordination::{
    ApplyError, BindError, ControllerError, CoordinationController, SkipReason, StateError,
    WorkState,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::StreamTip;
use antiphon_core::id::{Version, WorkId};
use antiphon_core::time::Deadline;

use super::History;

impl History {
    /// Asks of every item, as seen at several versions, whether it can be bound or skipped: a caller
    /// and a record get the same answer, and work is eligible where it can be bound.
    pub(crate) fn callers_and_records_get_the_same_answer(&self) {
        for work in self.live.work_queue() {
            let changed = self.live.work_tracking(work.as_str()).unwrap().changed.0;
            let last = self.live.version().0;
            for looked_at in [changed.saturating_sub(1), changed, last, last + 1] {
                self.binding_gets_one_answer(work, Version(looked_at));
            }
            self.skip_gets_one_answer(work);
        }
    }

    fn caller(&self) -> CoordinationController {
        let tip = StreamTip { version: self.live.version(), hash: Digest::GENESIS };
        CoordinationController::resume(self.live.clone(), tip).unwrap()
    }

    fn recorded(&self, event: CoordinationEvent) -> Option<String> {
        match self.live.clone().apply(&event, &self.meta()) {
            Ok(()) => None,
            Err(ApplyError::Illegal { why, .. }) => Some(why),
            Err(error) => panic!("{event:?} gave {error}"),
        }
    }

    fn binding_gets_one_answer(&self, work: &WorkId, looked_at: Version) {
        let caller = self.caller();
        let item = self.live.work_tracking(work.as_str()).unwrap();
        if matches!(item.state, WorkState::Delayed(Deadline::Wall(_))) {
            // A record cannot tell how wall time stood when the decision was made.
            return;
        }
        let now = self.now.at.0;
        let decided = caller.clone().prepare_session_spawn(work.as_str(), looked_at.0, now);
        let refused = decided.err();
        let recorded =
            self.recorded(CoordinationEvent::SessionBound(self.next_binding(work, looked_at)));
        // What a caller is granted depends on what it reports; a record holds the grant.
        if !matches!(refused, Some(ControllerError::Bind(BindError::NothingToGrant { .. }))) {
            assert_eq!(refused.map(|error| error.to_string()), recorded, "{work} at {looked_at}");
        }

        let fresh = caller.check_work_freshness(work.as_str(), looked_at.0, true).unwrap();
        let moment = self.live.latest_at().0;
        let then = caller.clone().prepare_session_spawn(work.as_str(), looked_at.0, moment);
        assert_eq!(fresh.skip_reason, then.err().map(|error| error.to_string()));
    }

    fn skip_gets_one_answer(&self, work: &WorkId) {
        let because = SkipReason::Requested;
        let refused =
            self.caller().skip_work_item(work.as_str(), because.clone(), self.now.at.0).err();
        let skipped = WorkSkipped { works: vec![work.clone()], because };
        let recorded = self.recorded(CoordinationEvent::WorkSkipped(skipped));
        match refused {
            Some(ControllerError::State(StateError::CoordinationTerminal { .. })) => {
                assert_eq!(recorded.as_deref(), Some("the run has ended"));
            }
            refused => assert_eq!(refused.map(|error| error.to_string()), recorded, "{work}"),
        }
    }
}
