//! How work comes to a coordination that runs.

use super::archive::ArchivedWork;
use super::spec::WorkSpec;
use super::{admit, brought_back, events};
use crate::coordination::error::ControllerError;
use crate::coordination::event::CoordinationEvent;
use crate::coordination::life::Change;
use crate::coordination::state::Coordination;
use crate::envelope::MAX_COMMAND_BYTES;
use crate::schema::AggregateEvent as _;

impl Coordination {
    /// The events that add work, checked against what is there; `archived` is what has left memory
    /// and may be meant.
    ///
    /// # Errors
    /// A [`ControllerError`] says what is in the way.
    pub(crate) fn decide_work(
        &self,
        items: Vec<WorkSpec>,
        adder: Option<u64>,
        archived: &[ArchivedWork],
    ) -> Result<Vec<CoordinationEvent>, ControllerError> {
        self.allow(Change::AddWork)?;
        if items.is_empty() {
            return Err(ControllerError::EmptyWorkQueue);
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
        let away = self.work().found_in(archived, &items);
        let order = admit(Some(self.work()), &away, &items)?;
        let mut decided = brought_back(away.into_values().collect());
        let mut added = events(items.clone())?;
        if added.len() > 1 {
            // Each event must hold by itself on what is there before it.
            let needs_first = order.into_iter().map(|position| items[position as usize].clone());
            added = events(needs_first.collect())?;
        }
        decided.extend(added);
        let actual = decided.iter().map(|event| event.encode().len() as u64).sum();
        let max = MAX_COMMAND_BYTES as u64;
        if actual > max {
            return Err(ControllerError::OutOfRange {
                field: "bytes of work added at once",
                actual,
                min: 1,
                max,
            });
        }
        Ok(decided)
    }
}
