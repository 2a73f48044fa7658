//! What was said in a run and decided about its attempts, as its events tell it.

use std::collections::{BTreeMap, HashMap, HashSet};

use antiphon::CoordinationEvent;
use antiphon::approvals::{Answer, QuestionId};
use antiphon::id::{AgentId, CoordinationId, Version};

use super::findings::Findings;
use crate::torture::journal::Entry;
use crate::torture::talk::COUNT;

/// Who sent a signal, and the key under which it is sent once.
type Sender = (AgentId, String);

/// What was said in one run.
#[derive(Debug, Default)]
pub(super) struct ToldRecord {
    signals: HashMap<Version, Option<Sender>>,
    sent_once: HashSet<Sender>,
    /// Where the count had which value.
    counted: BTreeMap<Version, u64>,
    asked: HashMap<QuestionId, Version>,
    answers: HashMap<QuestionId, (Version, Answer)>,
    /// Sessions whose attempt was decided about.
    decided: HashSet<u64>,
    /// The one whose end has to come next.
    ends_next: Option<u64>,
}

impl ToldRecord {
    /// Nothing may be on the record twice, and a decision only right before the end that it is about.
    pub(super) fn take(
        &mut self,
        event: &CoordinationEvent,
        version: Version,
        place: &str,
        findings: &mut Findings,
    ) {
        if let Some(session) = self.ends_next.take() {
            let is_its_end =
                matches!(event, CoordinationEvent::SessionUnbound(end) if end.session == session);
            if !is_its_end {
                findings.add(format!(
                    "{place}: what follows session {session} is decided, and its end does not come next"
                ));
            }
        }
        match event {
            CoordinationEvent::Signalled(sent) => {
                let sender =
                    sent.dedup.as_ref().map(|dedup| (sent.from.clone(), dedup.key.clone()));
                if let Some(sender) = &sender
                    && !self.sent_once.insert(sender.clone())
                {
                    let (from, key) = sender;
                    findings.add(format!("{place}: signal {key} of {from} was recorded twice"));
                }
                self.signals.insert(version, sender);
            }
            CoordinationEvent::KeySet(set) => {
                for change in set.changes.iter().filter(|change| change.key.as_str() == COUNT) {
                    let value = change.value.as_ref().and_then(|value| value.as_str().parse().ok());
                    let last = self.counted.last_key_value().map_or(0, |(_, last)| *last);
                    if value != Some(last + 1) {
                        findings.add(format!(
                            "{place}: {COUNT} was {last} and became {value:?}, which does not rest on it"
                        ));
                    }
                    self.counted.insert(version, value.unwrap_or(last));
                }
            }
            CoordinationEvent::Asked(asked)
                if self.asked.insert(asked.id.clone(), version).is_some() =>
            {
                findings.add(format!("{place}: question {} was asked twice", asked.id));
            }
            CoordinationEvent::Answered(answered) => {
                let answer = (version, answered.answer);
                if self.answers.insert(answered.id.clone(), answer).is_some() {
                    findings.add(format!("{place}: question {} was answered twice", answered.id));
                }
            }
            CoordinationEvent::Routed(routed) => {
                if !self.decided.insert(routed.session) {
                    findings.add(format!(
                        "{place}: what follows session {} was decided twice",
                        routed.session
                    ));
                }
                self.ends_next = Some(routed.session);
            }
            _ => {}
        }
    }

    /// What must hold at the end of the record.
    pub(super) fn check(&self, id: &CoordinationId, findings: &mut Findings) {
        if let Some(session) = self.ends_next {
            findings.add(format!(
                "coordination/{id}: what follows session {session} is decided, and its end is not on the record"
            ));
        }
    }

    /// Whether what was acknowledged is where it was said to be. `None`: it is about other things.
    pub(super) fn keeps(&self, entry: &Entry) -> Option<bool> {
        Some(match entry {
            Entry::Signalled { from, key, version, .. } => {
                let sender = self.signals.get(version).and_then(Option::as_ref);
                sender.is_some_and(|(sent_by, sent_as)| sent_by == from && sent_as == key)
            }
            Entry::Heard { version, .. } => self.signals.contains_key(version),
            Entry::Counted { value, version, .. } => self.counted.get(version) == Some(value),
            Entry::Asked { question, version, .. } => self.asked.get(question) == Some(version),
            Entry::Answered { question, yes, version, .. } => {
                let answer = if *yes { Answer::Yes } else { Answer::No };
                self.answers.get(question) == Some(&(*version, answer))
            }
            _ => return None,
        })
    }

    /// Signals, changes of the count, answers and decisions.
    pub(super) fn counts(&self) -> [u64; 4] {
        let all = [self.signals.len(), self.counted.len(), self.answers.len(), self.decided.len()];
        all.map(|count| count as u64)
    }
}
