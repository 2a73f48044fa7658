//! The last signals that somebody may wait for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::SignalType;
use crate::coordination::event::Signalled;
use crate::coordination::limits::MAX_LATEST_SIGNALS;
use crate::id::{AgentId, Version};

/// Which signals of a type are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum About {
    /// All of them.
    Any,
    /// Those about an agent: what does not say whom it is about is about its sender.
    Agent(AgentId),
    /// Those that an agent sent.
    From(AgentId),
}

/// Where the last of some signals are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// The last one.
    pub version: Version,
    /// The last one that does not tell of a failure.
    pub succeeded: Option<Version>,
}

type Subject = (SignalType, About);

/// The last of each, for the [`MAX_LATEST_SIGNALS`] types and agents that were last heard of. What
/// is older is in the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct LatestSignals {
    by_subject: BTreeMap<Subject, Latest>,
    oldest: BTreeSet<(Version, Subject)>,
}

impl LatestSignals {
    pub(super) fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_subject.len()
    }

    pub(super) fn get(&self, kind: &SignalType, about: &About) -> Option<Latest> {
        self.by_subject.get(&(kind.clone(), about.clone())).copied()
    }

    pub(super) fn hear(&mut self, sent: &Signalled, version: Version) {
        let subject = sent.about.as_ref().unwrap_or(&sent.from);
        let meant = [About::Any, About::Agent(subject.clone()), About::From(sent.from.clone())];
        for about in meant {
            let subject = (sent.kind.clone(), about);
            let before = self.by_subject.get(&subject).copied();
            if let Some(before) = before {
                self.oldest.remove(&(before.version, subject.clone()));
            }
            let succeeded = match sent.failed {
                true => before.and_then(|before| before.succeeded),
                false => Some(version),
            };
            self.enter(subject, Latest { version, succeeded });
        }
        while self.oldest.len() > MAX_LATEST_SIGNALS
            && let Some((_, subject)) = self.oldest.pop_first()
        {
            self.by_subject.remove(&subject);
        }
    }

    fn enter(&mut self, subject: Subject, latest: Latest) {
        self.oldest.insert((latest.version, subject.clone()));
        self.by_subject.insert(subject, latest);
    }
}

/// As a snapshot has them.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Stored(
    #[serde(deserialize_with = "crate::bounded::list::<MAX_LATEST_SIGNALS, _, _>")]
    Vec<(Subject, Latest)>,
);

impl From<Stored> for LatestSignals {
    fn from(Stored(all): Stored) -> Self {
        let mut signals = Self::default();
        for (subject, latest) in all {
            signals.enter(subject, latest);
        }
        signals
    }
}

impl From<LatestSignals> for Stored {
    fn from(signals: LatestSignals) -> Self {
        Self(signals.by_subject.into_iter().collect())
    }
}
