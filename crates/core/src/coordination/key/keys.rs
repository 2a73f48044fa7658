//! The keys of a coordination.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::change::KeyChange;
use super::gate::GATES;
use super::illegal::IllegalChange;
use super::prefix::{CONTEXTS, check_session, check_value, gate};
use super::value::KeyValue;
use super::write::KeyWrite;
use crate::coordination::error::KeyError;
use crate::coordination::event::KeySet;
use crate::coordination::limits::{MAX_CHANGES_PER_EVENT, MAX_KEY_BYTES_IN_STATE, MAX_KEYS};
use crate::envelope::Blob;
use crate::id::{Actor, AgentId, KeyName, Version};

/// A key as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyState {
    /// Version of the event that set it.
    pub version: Version,
    /// Its value.
    pub value: KeyValue,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::coordination) struct Keys {
    #[serde(deserialize_with = "crate::bounded::map::<MAX_KEYS, _, _, _>")]
    by_name: BTreeMap<KeyName, KeyState>,
}

impl Keys {
    pub(in crate::coordination) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// How much of a snapshot they are, in items.
    pub(in crate::coordination) fn weight(&self) -> u64 {
        self.by_name.len() as u64
    }

    pub(in crate::coordination) fn get(&self, key: &str) -> Option<&KeyState> {
        self.by_name.get(key)
    }

    /// Those that begin so, after one of them, by name.
    pub(in crate::coordination) fn below<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a KeyName, &'a KeyState)> {
        let first = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let from = self.by_name.range::<str, _>((first, Bound::Unbounded));
        from.take_while(move |(name, _)| name.as_str().starts_with(prefix))
    }

    /// The scores of gates, by name.
    pub(in crate::coordination) fn gates(&self) -> impl Iterator<Item = (&str, i64, Version)> {
        self.below(GATES, None).filter_map(|(name, key)| {
            let (gate, score) = gate(name, &key.value)?;
            Some((gate, score, key.version))
        })
    }

    /// What an agent is given to go by.
    pub(in crate::coordination) fn context(&self, agent: &AgentId) -> Option<&KeyValue> {
        match self.by_name.is_empty() {
            true => None,
            false => self.get(&format!("{CONTEXTS}{agent}")).map(|key| &key.value),
        }
    }

    fn version(&self, key: &KeyName) -> Option<Version> {
        self.by_name.get(key).map(|key| key.version)
    }

    /// What a command is recorded as, with the blobs of its values; nothing if it changes nothing. A
    /// session may score only these gates.
    pub(in crate::coordination) fn decide(
        &self,
        writes: Vec<KeyWrite>,
        by: Actor,
        scored: Option<&[KeyName]>,
    ) -> Result<Option<(KeySet, Vec<Blob>)>, KeyError> {
        let (actual, max) = (writes.len(), MAX_CHANGES_PER_EVENT);
        if actual > max {
            return Err(KeyError::TooManyChanges { actual, max });
        }
        let (mut changes, mut blobs) = (Vec::new(), Vec::new());
        for write in writes {
            if let Some(scored) = scored {
                check_session(write.key(), scored)?;
            }
            let actual = self.version(write.key());
            write.check(actual)?;
            if !write.is_idle(actual) {
                let (change, blob) = write.into_parts();
                changes.push(change);
                blobs.extend(blob);
            }
        }
        self.check_changes(&changes)?;
        Ok((!changes.is_empty()).then_some((KeySet { changes, by }, blobs)))
    }

    /// Whether recorded changes can follow.
    pub(in crate::coordination) fn check(&self, set: &KeySet) -> Result<(), IllegalChange> {
        if set.changes.is_empty() {
            return Err(IllegalChange::Nothing);
        }
        for change in &set.changes {
            if change.value.is_some() && change.digest.is_some() {
                return Err(IllegalChange::TwoValues { key: change.key.clone() });
            }
            if change.value().is_none() && self.version(&change.key).is_none() {
                return Err(IllegalChange::NotThere { key: change.key.clone() });
            }
        }
        Ok(self.check_changes(&set.changes)?)
    }

    /// What a command and a record both keep to.
    fn check_changes(&self, changes: &[KeyChange]) -> Result<(), KeyError> {
        let mut named = BTreeSet::new();
        let mut added = 0;
        for change in changes {
            if !named.insert(&change.key) {
                return Err(KeyError::Twice { key: change.key.clone() });
            }
            let actual = change.value.as_ref().map_or(0, |value| value.as_str().len());
            if actual > MAX_KEY_BYTES_IN_STATE {
                let (key, max) = (change.key.clone(), MAX_KEY_BYTES_IN_STATE);
                return Err(KeyError::TooLarge { key, actual, max });
            }
            check_value(change)?;
            added += usize::from(change.value().is_some() && self.version(&change.key).is_none());
        }
        if added > 0 && self.by_name.len() + added > MAX_KEYS {
            return Err(KeyError::TooManyKeys { max: MAX_KEYS });
        }
        Ok(())
    }

    pub(in crate::coordination) fn apply(&mut self, set: &KeySet, version: Version) {
        for change in &set.changes {
            match change.value() {
                Some(value) => {
                    self.by_name.insert(change.key.clone(), KeyState { version, value });
                }
                None => {
                    self.by_name.remove(&change.key);
                }
            }
        }
    }
}
