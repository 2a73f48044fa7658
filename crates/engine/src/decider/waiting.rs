//! Callers that wait for something in a run, and when they are answered.

use antiphon_core::envelope::Recorded;
use antiphon_core::time::Now;

use super::Decider;
use crate::mailbox::{Unavailable, WaitRequest};
use crate::waits::Due;

impl Decider {
    pub(super) fn on_wait_for(&mut self, request: WaitRequest, now: &Now) {
        if self.disk.is_closed_to_writes() {
            // Nothing happens on the record any more.
            let refusal = self.disk.refusal().unwrap_or(Unavailable::Stopped);
            let _ = request.reply.send(Err(refusal.into()));
            return;
        }
        // As long as there is no state, nothing is known of any run.
        let world = self.disk.unread_since().is_none().then_some(&self.world);
        let due = self.waits.add(request, world, now.at);
        self.draft.answer_waits(due);
    }

    /// Looks at those that wait for what a turn brings; they are answered with it.
    pub(super) fn look_at_waits(&mut self, events: &[Recorded]) -> Vec<Due> {
        let ended = self.world.take_ended();
        if self.waits.is_empty() {
            return Vec::new();
        }
        let ended: Vec<_> = ended.collect();
        self.waits.look(events, &self.world, &ended)
    }

    /// That something has not come rests on nothing that could be lost.
    pub(super) fn expire_waits(&mut self) {
        let due = self.waits.expire(self.clock.at());
        self.answer_waits(due);
    }

    pub(super) fn answer_waits(&mut self, due: Vec<Due>) {
        for due in due {
            self.waits.answer(due);
        }
    }

    /// The world was rebuilt from what is durable.
    pub(super) fn look_at_waits_again(&mut self) {
        let due = self.waits.look_again(&self.world);
        self.answer_waits(due);
    }
}
