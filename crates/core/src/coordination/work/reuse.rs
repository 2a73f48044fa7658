//! Items that an earlier run carried out: they have their outcome from the start on.

use super::Moment;
use super::Work;
use super::item::WorkItem;
use super::needs::Done;
use super::spec::WorkSpec;
use crate::coordination::error::ConfigError;
use crate::coordination::reused::Forerunner;

/// Whether the items of a start may be taken over: only from the run that it retries, of which the
/// receipt gives evidence.
///
/// # Errors
/// [`ConfigError::NotFromForerunner`] names the first that may not.
pub(in crate::coordination) fn check_reused(
    items: &[WorkSpec],
    forerunner: Option<&Forerunner>,
) -> Result<(), ConfigError> {
    for item in items {
        let Some(reused) = &item.reused else { continue };
        if forerunner.is_none_or(|forerunner| forerunner.coordination != reused.from) {
            return Err(ConfigError::NotFromForerunner {
                work_id: item.id.clone(),
                from: reused.from.clone(),
            });
        }
    }
    Ok(())
}

/// Refuses to take items over later than in the start, where it is decided once for all. So no
/// session can add work that counts as done.
///
/// # Errors
/// [`ConfigError::ReusedLate`] names the first that is.
pub(in crate::coordination) fn refuse_reused(items: &[WorkSpec]) -> Result<(), ConfigError> {
    match items.iter().find(|item| item.reused.is_some()) {
        Some(item) => Err(ConfigError::ReusedLate { work_id: item.id.clone() }),
        None => Ok(()),
    }
}

impl Work {
    /// Adds an item that is taken over. What it needed was there when it ran, so it waits for
    /// nothing.
    pub(super) fn add_reused(&mut self, spec: WorkSpec, moment: Moment) -> Done {
        let position = self.items.push(WorkItem::take_over(spec, moment.version()));
        let item = &self.items[position];
        let (id, group) = (item.id().clone(), item.spec().group.clone());
        let done = Done::of(item);
        self.conditions.add(&id);
        self.by_id.insert(id, position);
        self.note_speaker(position);
        self.link_routes(position);
        self.retire(position);
        for dependent in self.conditions.take_outcome(position) {
            self.meet(dependent, moment);
        }
        if let Some(name) = group
            && self.groups.entry(name.clone()).or_default().join_finished()
        {
            for waiting in self.conditions.of_group(&name).to_vec() {
                self.meet(waiting, moment);
            }
        }
        self.hear_completed(position, moment);
        done
    }
}
