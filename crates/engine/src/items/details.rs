//! One item with everything that is known of it.

use std::collections::BTreeMap;

use antiphon_core::coordination::{Need, Reused, Runner, WorkStage};
use antiphon_core::digest::Digest;
use antiphon_core::id::{CoordinationId, WorkId};

use super::command::ShownCommand;
use super::error::ItemError;
use super::last_end::last_end;
use super::record::{ItemRecord, Moment, RunItems};
use super::value::{ShownValue, ValueSource};
use crate::ledger::Store;
use crate::plan::CommandSpec;

/// One item with everything that is known of it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemDetails {
    pub run: CoordinationId,
    pub item: ItemRecord,
    /// What it waits or waited for, in the order of the plan.
    pub needs: Vec<MetNeed>,
    /// What its sessions run, if they are processes and the description is still there.
    pub command: Option<ShownCommand>,
    /// The value that it puts out, if it has one.
    pub value: Option<ShownValue>,
}

/// Something that an item waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct MetNeed {
    pub need: Need,
    /// When it last came to an outcome, be it the one that was wanted; absent while it has none.
    pub met: Option<Moment>,
    /// How many items that it means have no outcome yet.
    pub unfinished: usize,
    /// Where the item is, if it is one.
    pub stage: Option<WorkStage>,
}

impl ItemDetails {
    /// Reads them from the ledger.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run or item, or the ledger cannot be read.
    pub fn read(store: &dyn Store, run: &CoordinationId, item: &str) -> Result<Self, ItemError> {
        Self::of(store, &RunItems::read(store, run)?, item)
    }

    /// The same of items that were read before.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such item, or the ledger cannot be read.
    pub fn of(store: &dyn Store, items: &RunItems, item: &str) -> Result<Self, ItemError> {
        let details = Self::of_many(store, items, item)?;
        let ItemRecord { spec, stage: WorkStage::Succeeded, .. } = &details.item else {
            return Ok(details);
        };
        let (None, Some(Reused { from, work, .. })) = (&details.value, spec.reused.as_deref())
        else {
            return Ok(details);
        };
        // What it printed where it was carried out is its value, which only that run has.
        let work = work.as_ref().unwrap_or(&spec.id).to_string();
        let end = last_end(store, from.clone(), work)?;
        let value = shown(store, end.as_ref().and_then(ValueSource::of_end))?;
        Ok(Self { value, ..details })
    }

    /// The same of one of many items; of one that was taken over without a value other than what it
    /// printed, no value is looked for in the run that carried it out.
    ///
    /// # Errors
    /// As there.
    pub fn of_many(store: &dyn Store, items: &RunItems, item: &str) -> Result<Self, ItemError> {
        let record = items.find(item)?.clone();
        let needs = record.spec.needs.iter().map(|need| met(need, items)).collect();
        // Of several runners what the one runs that it was given to last.
        let last = record.attempts.last().and_then(|attempt| attempt.assigned.as_ref());
        let given = record.spec.clone().given_to(last.map(|assigned| &assigned.to));
        let command = match (&record.spec.runner, given.input) {
            (Runner::Process { .. }, Some(digest)) => command(store, digest, items)?,
            _ => None,
        };
        let value = shown(store, value_of(&record))?;
        Ok(Self { run: items.run().clone(), item: record, needs, command, value })
    }
}

fn shown(
    store: &dyn Store,
    value: Option<(ValueSource, Option<Digest>)>,
) -> Result<Option<ShownValue>, ItemError> {
    value.map(|(source, digest)| ShownValue::read(store, source, digest)).transpose()
}

fn met(need: &Need, items: &RunItems) -> MetNeed {
    let wanted = |item: &&ItemRecord| match need {
        Need::Work(work) => item.spec.id == *work,
        Need::Group(group) => item.spec.group.as_ref() == Some(group),
        _ => false,
    };
    let (mut last, mut unfinished, mut stage): (Option<Moment>, _, _) = (None, 0, None);
    for item in items.iter().filter(wanted) {
        match &item.outcome {
            Some((when, _)) => last = Some(last.filter(|last| last.at >= when.at).unwrap_or(*when)),
            None => unfinished += 1,
        }
        stage = matches!(need, Need::Work(_)).then_some(item.stage);
    }
    MetNeed { need: need.clone(), met: last.filter(|_| unfinished == 0), unfinished, stage }
}

/// The description of its command with what is known of the outputs that it fills in; `None` if it
/// was erased or is of a version that this one does not read.
fn command(
    store: &dyn Store,
    digest: Digest,
    items: &RunItems,
) -> Result<Option<ShownCommand>, ItemError> {
    let Some(bytes) = store.blob(&digest)? else { return Ok(None) };
    let Ok(spec) = CommandSpec::from_bytes(&bytes) else { return Ok(None) };
    let mut outputs: BTreeMap<WorkId, Vec<u8>> = BTreeMap::new();
    for work in spec.outputs_filled_in() {
        let Ok(item) = items.find(work.as_str()) else { continue };
        // What was printed fills in nothing: a session gets only what was put out as a value.
        if let Some((ValueSource::Output, Some(digest))) = value_of(item)
            && let Some(bytes) = store.blob(&digest)?
        {
            outputs.insert(work.clone(), bytes);
        }
    }
    Ok(Some(ShownCommand::of(&spec, &outputs)))
}

/// Where the value of an item is, as far as its own run tells.
fn value_of(item: &ItemRecord) -> Option<(ValueSource, Option<Digest>)> {
    if item.stage != WorkStage::Succeeded {
        return None;
    }
    match (&item.spec.reused, item.last_end()) {
        (Some(reused), _) => reused.output.map(|digest| (ValueSource::Output, Some(digest))),
        (None, Some(end)) => ValueSource::of(&end.unbound),
        (None, None) => None,
    }
}
