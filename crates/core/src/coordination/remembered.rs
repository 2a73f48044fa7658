//! The commands of a coordination that were accepted, by their ids.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::limits::MAX_REMEMBERED_COMMANDS;
use crate::id::{CommandId, Version};

/// The last [`MAX_REMEMBERED_COMMANDS`] of them, each with the version of the first event that it
/// caused, so that a repeated one gets the same answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "VecDeque<(CommandId, Version)>")]
pub(super) struct Remembered {
    in_order: VecDeque<(CommandId, Version)>,
    by_id: BTreeMap<CommandId, Version>,
}

impl Remembered {
    pub(super) fn get(&self, command: &CommandId) -> Option<Version> {
        self.by_id.get(command).copied()
    }

    pub(super) fn add(&mut self, command: &CommandId, version: Version) {
        if self.by_id.contains_key(command) {
            return;
        }
        if self.in_order.len() == MAX_REMEMBERED_COMMANDS
            && let Some((oldest, _)) = self.in_order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.in_order.push_back((command.clone(), version));
        self.by_id.insert(command.clone(), version);
    }
}

/// As a snapshot has them, oldest first.
#[derive(Deserialize)]
#[serde(transparent)]
struct Stored(
    #[serde(deserialize_with = "crate::bounded::list::<MAX_REMEMBERED_COMMANDS, _, _>")]
    Vec<(CommandId, Version)>,
);

impl From<Stored> for Remembered {
    fn from(Stored(in_order): Stored) -> Self {
        let by_id = in_order.iter().cloned().collect();
        Self { in_order: in_order.into(), by_id }
    }
}

impl From<Remembered> for VecDeque<(CommandId, Version)> {
    fn from(remembered: Remembered) -> Self {
        remembered.in_order
    }
}
