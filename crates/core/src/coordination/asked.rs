//! What callers ask of a coordination, judged: the events that carry it out, or why not.

use super::admission;
use super::archive::Recalled;
use super::error::ControllerError;
use super::event::{CoordinationEvent, SessionBound, WorkSkipped};
use super::runners::Runners;
use super::session::Coordination;
use super::work::{SkipReason, WorkItemTracking, WorkSpec, WorkState};
use crate::envelope::MAX_APPEND_BYTES;
use crate::schema::AggregateEvent as _;
use crate::time::Now;

impl Coordination {
    pub(crate) fn refuse_ended(&self) -> Result<(), ControllerError> {
        if self.status().is_terminal() {
            return Err(ControllerError::CoordinationTerminal {
                coordination_id: self.coordination_id().clone(),
            });
        }
        Ok(())
    }

    /// What is known of one item, or why nothing is.
    pub(crate) fn known_work(&self, work: &str) -> Result<WorkItemTracking<'_>, ControllerError> {
        self.known_item(work)?;
        self.work_tracking(work)
            .ok_or_else(|| ControllerError::WorkNotFound { work_id: work.to_owned() })
    }

    pub(crate) fn decide_skip(
        &self,
        work_id: &str,
        because: SkipReason,
    ) -> Result<WorkSkipped, ControllerError> {
        let item = self.known_item(work_id)?;
        self.refuse_ended()?;
        if !because.is_own_rule() {
            return Err(
                self.not_in_state("skips dependents of failed work itself; give another reason")
            );
        }
        if matches!(item.state, WorkState::Bound(_) | WorkState::Done(_)) {
            return Err(ControllerError::WorkNotClaimable {
                work_id: item.spec.id.clone(),
                state: item.state.as_str(),
                instead: "only work that does not run and has no outcome can be skipped",
            });
        }
        Ok(WorkSkipped { works: vec![item.spec.id.clone()], because })
    }

    /// The event that binds a nested item, if it may still be bound.
    pub(crate) fn decide_nested(
        &self,
        work: &str,
        runners: &Runners,
        now: &Now,
    ) -> Result<SessionBound, ControllerError> {
        let item = self.known_item(work)?;
        let Some(capability) = runners.get(&item.spec.runner) else {
            return Err(self.not_in_state("has no plan for this item any more"));
        };
        self.decide_binding(work, None, capability, now)
    }

    /// The events that add work, checked against what is there; `recalled` is what has left memory
    /// and may be meant.
    pub(crate) fn decide_work(
        &self,
        items: Vec<WorkSpec>,
        adder: Option<u64>,
        recalled: &[Recalled],
    ) -> Result<Vec<CoordinationEvent>, ControllerError> {
        self.refuse_ended()?;
        if items.is_empty() {
            return Err(ControllerError::EmptyWorkQueue);
        }
        if !self.status().is_running() {
            return Err(
                self.not_in_state("is still being started; add work once its start is complete")
            );
        }
        if self.stop_request().is_some() {
            return Err(self.not_in_state("is ending and takes no more work"));
        }
        if let Some(number) = adder {
            let id = self.session_id(number).to_string();
            let (_, own) =
                self.binding(number).ok_or(ControllerError::SessionNotBound { session_id: id })?;
            if let Some(item) = items.iter().find(|item| item.priority > own.priority) {
                return Err(ControllerError::OutranksAdder {
                    work_id: item.id.clone(),
                    actual: item.priority,
                    max: own.priority,
                });
            }
        }
        let away = self.found_in(recalled, &items);
        let order = admission::admit(Some(self), &away, &items)?;
        let mut events = admission::recalls(away.into_values().collect());
        let mut added = admission::events(items.clone())?;
        if added.len() > 1 {
            // Each event must hold by itself on what is there before it.
            added = admission::events(
                order.into_iter().map(|position| items[position as usize].clone()).collect(),
            )?;
        }
        events.extend(added);
        let actual = events.iter().map(|event| event.encode().len() as u64).sum();
        let max = MAX_APPEND_BYTES as u64 / 2;
        if actual > max {
            return Err(ControllerError::OutOfRange {
                field: "bytes of work added at once",
                actual,
                min: 1,
                max,
            });
        }
        Ok(events)
    }
}
