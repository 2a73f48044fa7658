//! How work is added to a coordination that runs.

use std::collections::BTreeSet;

use super::archive::ArchivedWork;
use super::need::Need;
use super::reuse::refuse_reused;
use super::spec::WorkSpec;
use super::{admit, brought_back, events};
use crate::coordination::error::{AddError, ConfigError, TerminationError, WorkError};
use crate::coordination::event::CoordinationEvent;
use crate::coordination::life::Change;
use crate::coordination::state::Coordination;
use crate::envelope::MAX_COMMAND_BYTES;
use crate::id::{GroupName, WorkId};
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
            self.refuse_beyond(number, &items)?;
        }
        let items = self.naming_groups(items);
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

    /// The same with needs on groups where they name no item but a group: who adds work later knows the
    /// names, which items and groups of a plan share, and not what each is of.
    fn naming_groups(&self, mut items: Vec<WorkSpec>) -> Vec<WorkSpec> {
        let added: BTreeSet<WorkId> = items.iter().map(|item| item.id.clone()).collect();
        for need in items.iter_mut().flat_map(|item| &mut item.needs) {
            if let Need::Work(id) = need
                && !added.contains(&*id)
                && matches!(self.work().known(id.as_str()), Err(WorkError::WorkNotFound { .. }))
                && let Ok(group) = GroupName::new(id.as_str())
                && self.work().has_group(&group)
            {
                *need = Need::Group(group);
            }
        }
        items
    }

    /// No session adds work that outranks its own, or that may change or knows what its own does not.
    ///
    /// This guard is asked when work is decided and never again: the event that adds work does not
    /// say which session added it, so a recorded one cannot be checked for it.
    fn refuse_beyond(&self, adder: u64, items: &[WorkSpec]) -> Result<(), AddError> {
        let (_, own) = self.binding(adder).ok_or_else(|| TerminationError::SessionNotBound {
            session_id: self.session_id(adder).to_string(),
        })?;
        for item in items {
            if item.priority > own.priority {
                let (actual, max) = (item.priority, own.priority);
                return Err(AddError::OutranksAdder { work_id: item.id.clone(), actual, max });
            }
            let beyond = |what: String| AddError::BeyondAdder { work_id: item.id.clone(), what };
            if let Some(key) = item.shared.iter().find(|key| !own.shared.contains(key)) {
                return Err(beyond(format!("the shared key {key}")));
            }
            if let Some(key) = item.scores.iter().find(|key| !own.scores.contains(key)) {
                return Err(beyond(format!("the key {key}")));
            }
            let name = item.speaks_as();
            if name != own.speaks_as() && self.work().speakers(&name).next().is_some() {
                return Err(beyond(format!("the name {name}, under which another item speaks")));
            }
            if item.runner.needs_secrets() && !own.runner.needs_secrets() {
                return Err(beyond("secrets".to_owned()));
            }
        }
        Ok(())
    }
}
