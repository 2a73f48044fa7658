//! How a need stands, for those that wait without being items.

use super::need::{Need, SignalNeed};
use super::needs_met::{Told, was_sent};
use super::state::{WorkItemOutcome, WorkState};
use super::{Work, WorkItem};
use crate::coordination::approval::Answer;
use crate::coordination::signal::SignalType;
use crate::id::{QuestionId, Version, WorkId};

/// How a need stands at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NeedStanding {
    /// It is met.
    Met(Met),
    /// It is not met.
    Open,
    /// It is not met by what is in memory; what met it may be in the stream alone.
    LeftMemory,
    /// It names an item that was never added.
    NoSuchItem,
}

/// What a need is met by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Met {
    /// An item has its outcome, whichever that is.
    Outcome {
        /// How it ended.
        outcome: WorkItemOutcome,
    },
    /// All items of a group have their outcomes.
    Outcomes {
        /// The one that failed, if one did.
        failed: Option<WorkId>,
    },
    /// A signal was sent, or told by an item.
    Signal {
        /// Where the last one is that was sent.
        version: Option<Version>,
    },
    /// A person has answered what the run asked for its items, whichever the answer is.
    Answer {
        /// Which question it was.
        question: QuestionId,
        /// Yes or no.
        answer: Answer,
    },
    /// A key is as it should be.
    Key {
        /// Where it was set last.
        version: Version,
    },
}

impl Work {
    /// How a need stands by what is in memory. Unlike an item, who waits for an outcome is told a
    /// failure, too.
    pub(in crate::coordination) fn standing_of(&self, need: &Need, told: Told<'_>) -> NeedStanding {
        let met = match need {
            Need::Work(id) => match self.find(id.as_str()).map(WorkItem::state) {
                Some(WorkState::Done(outcome)) => Some(Met::Outcome { outcome: outcome.clone() }),
                Some(_) => None,
                None if self.archive.may_hold(id.as_str()) => return NeedStanding::LeftMemory,
                None => return NeedStanding::NoSuchItem,
            },
            Need::Group(name) => match self.groups.get(name) {
                Some(group) if !group.holds_back() => {
                    Some(Met::Outcomes { failed: group.failed_root().cloned() })
                }
                _ => None,
            },
            Need::Signal(signal) if was_sent(signal, told.signals) => {
                let latest = told.signals.latest(&signal.kind, &signal.subject());
                let version = latest.and_then(|latest| match signal.success {
                    true => latest.succeeded,
                    false => Some(latest.version),
                });
                Some(Met::Signal { version })
            }
            Need::Signal(signal) if self.items_have_told(signal) => {
                Some(Met::Signal { version: None })
            }
            Need::Signal(signal)
                if told.signals.may_have_left() || self.may_have_left_telling(signal) =>
            {
                return NeedStanding::LeftMemory;
            }
            Need::Signal(_) => None,
            Need::Approval(text) => told.answer(text).map(|(question, answer)| {
                let question = question.clone();
                Met::Answer { question, answer }
            }),
            // Nothing routes to a caller.
            Need::Routed => None,
            Need::Key(key) => told.keys.get(key.key.as_str()).and_then(|state| {
                key.is_met_by(Some(&state.value)).then_some(Met::Key { version: state.version })
            }),
        };
        met.map_or(NeedStanding::Open, NeedStanding::Met)
    }

    /// Whether an item that left memory may have told what a signal would tell.
    fn may_have_left_telling(&self, need: &SignalNeed) -> bool {
        let kind = need.kind.as_str();
        let told = [SignalType::AGENT_INITIALIZED, SignalType::AGENT_COMPLETED].contains(&kind);
        told && self.archive.len() > 0
    }
}
