//! How work is added to a coordination that runs.

use super::archive::ArchivedWork;
use super::reuse::refuse_reused;
use super::spec::WorkSpec;
use super::{admit, brought_back, events};
use crate::coordination::error::{AddError, ConfigError, TerminationError};
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
    /// A [`AddError`] says what is in the way.
    pub(crate) fn decide_work(
        &self,
        items: Vec<WorkSpec>,
        adder: Option<u64>,
        archived: &[ArchivedWork],
    ) -> Result<Vec<CoordinationEvent>, AddError> {
        self.allow(Change::AddWork)?;
        if items.is_empty() {
            return Err(ConfigError::EmptyWorkQueue.into());
        }
        items.iter().try_for_each(WorkSpec::check_new).map_err(ConfigError::from)?;
        refuse_reused(&items)?;
        if let Some(number) = adder {
            self.refuse_outranking(number, &items)?;
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
            return Err(AddError::TooMuchAtOnce { actual, max });
        }
        Ok(decided)
    }

    /// No session adds work that outranks its own.
    ///
    /// This guard is asked when work is decided and never again: the event that adds work does not
    /// say which session added it, so a recorded one cannot be checked for it.
    fn refuse_outranking(&self, adder: u64, items: &[WorkSpec]) -> Result<(), AddError> {
        let (_, own) = self.binding(adder).ok_or_else(|| TerminationError::SessionNotBound {
            session_id: self.session_id(adder).to_string(),
        })?;
        match items.iter().find(|item| item.priority > own.priority) {
            Some(item) => Err(AddError::OutranksAdder {
                work_id: item.id.clone(),
                actual: item.priority,
                max: own.priority,
            }),
            None => Ok(()),
        }
    }
}
