//! The commands of a coordination that were accepted, by their ids.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::event::{CoordinationEvent, StopKind};
use super::limits::MAX_REMEMBERED_COMMANDS;
use super::signal::SignalType;
use crate::id::{CommandId, Version, WorkId};

/// A command that was accepted, by the first event that it caused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accepted {
    pub(crate) version: Version,
    effect: Effect,
}

/// What an event tells of the command behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Effect {
    /// Work, of which this is the first if it is new.
    AddedWork(Option<WorkId>),
    Skipped,
    /// A signal of this type.
    Signalled(SignalType),
    KeysSet,
    Asked,
    Answered,
    Paused,
    Continued,
    Raised,
    Stopping(StopKind),
    Interrupted,
    Resumed,
    Other,
}

impl Effect {
    /// What a recorded event tells.
    #[must_use]
    pub fn of(event: &CoordinationEvent) -> Self {
        match event {
            CoordinationEvent::WorkAdded(added) => {
                Self::AddedWork(added.items.first().map(|item| item.id.clone()))
            }
            CoordinationEvent::WorkSkipped(_) => Self::Skipped,
            CoordinationEvent::Signalled(sent) => Self::Signalled(sent.kind.clone()),
            CoordinationEvent::KeySet(_) => Self::KeysSet,
            CoordinationEvent::Asked(_) => Self::Asked,
            CoordinationEvent::Answered(_) => Self::Answered,
            CoordinationEvent::Paused(_) => Self::Paused,
            CoordinationEvent::Continued(_) => Self::Continued,
            CoordinationEvent::BudgetRaised(_) => Self::Raised,
            CoordinationEvent::StopRequested(request) => Self::Stopping(request.kind),
            CoordinationEvent::Interrupted(_) => Self::Interrupted,
            CoordinationEvent::Resumed(_) => Self::Resumed,
            _ => Self::Other,
        }
    }
}

impl Accepted {
    /// Whether it was this command.
    pub(crate) fn has(&self, effects: &[Effect]) -> bool {
        effects.contains(&self.effect)
    }
}

/// The last [`MAX_REMEMBERED_COMMANDS`] of them, each with the version of the first event that it
/// caused, so that a repeated one gets the same answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "VecDeque<(CommandId, Accepted)>")]
pub(super) struct Remembered {
    in_order: VecDeque<CommandId>,
    by_id: BTreeMap<CommandId, Accepted>,
}

impl Remembered {
    pub(super) fn get(&self, command: &CommandId) -> Option<&Accepted> {
        self.by_id.get(command)
    }

    pub(super) fn add(&mut self, command: &CommandId, version: Version, event: &CoordinationEvent) {
        if self.by_id.contains_key(command) {
            return;
        }
        if self.in_order.len() == MAX_REMEMBERED_COMMANDS
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.in_order.push_back(command.clone());
        self.by_id.insert(command.clone(), Accepted { version, effect: Effect::of(event) });
    }
}

/// As a snapshot has them, oldest first.
#[derive(Deserialize)]
#[serde(transparent)]
struct Stored(
    #[serde(deserialize_with = "crate::bounded::list::<MAX_REMEMBERED_COMMANDS, _, _>")]
    Vec<(CommandId, Accepted)>,
);

impl From<Stored> for Remembered {
    fn from(Stored(in_order): Stored) -> Self {
        let by_id = in_order.iter().cloned().collect();
        Self { in_order: in_order.into_iter().map(|(id, _)| id).collect(), by_id }
    }
}

impl From<Remembered> for VecDeque<(CommandId, Accepted)> {
    fn from(Remembered { in_order, mut by_id }: Remembered) -> Self {
        in_order.into_iter().filter_map(|id| by_id.remove_entry(&id)).collect()
    }
}
