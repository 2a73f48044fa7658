//! What a need is about, and which of that an event touches.

use std::collections::BTreeSet;

use antiphon_core::coordination::{About, Coordination, Need, NextStep, SignalType, WorkSpec};
use antiphon_core::envelope::Recorded;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{AgentId, GroupName, KeyName, WorkId};

/// What must change for a need to be met.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Work(WorkId),
    Group(GroupName),
    Signal(SignalType, About),
    Key(KeyName),
    /// The answer to a question, whichever it is.
    Answer,
    /// Whatever happens may meet it.
    Anything,
}

impl Subject {
    pub(super) fn of(need: &Need) -> Self {
        match need {
            Need::Work(id) => Self::Work(id.clone()),
            Need::Group(name) => Self::Group(name.clone()),
            Need::Signal(signal) => Self::Signal(signal.kind.clone(), signal.subject()),
            Need::Key(key) => Self::Key(key.key.clone()),
            Need::Approval(_) => Self::Answer,
            _ => Self::Anything,
        }
    }
}

/// What the events of a turn are about.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) subjects: BTreeSet<Subject>,
    /// What they are about is not known, so that everything is looked at.
    pub(super) all: bool,
}

impl Touched {
    /// Notes an event of a run, given the state that the turn left.
    pub(super) fn note(&mut self, recorded: &Recorded, state: &Coordination) {
        self.subjects.insert(Subject::Anything);
        let Ok(event) = CoordinationEvent::of(recorded) else {
            self.all = true;
            return;
        };
        match event {
            CoordinationEvent::Signalled(sent) => {
                let about = sent.about.unwrap_or_else(|| sent.from.clone());
                self.signal(&sent.kind, about, sent.from);
            }
            CoordinationEvent::KeySet(set) => {
                let keys = set.changes.into_iter().map(|change| Subject::Key(change.key));
                self.subjects.extend(keys);
            }
            CoordinationEvent::Answered(_) => {
                self.subjects.insert(Subject::Answer);
            }
            CoordinationEvent::SessionBound(bound) => self.item(state, &bound.work, Self::began),
            CoordinationEvent::SessionUnbound(unbound) => {
                if let NextStep::Done(_) = unbound.then {
                    self.item(state, &unbound.work, Self::done);
                }
            }
            CoordinationEvent::WorkSkipped(skipped) => {
                skipped.works.iter().for_each(|work| self.item(state, work, Self::done));
            }
            CoordinationEvent::WorkAdded(added) => {
                // Those that were taken over have their outcomes already.
                added.items.iter().filter(|item| item.reused.is_some()).for_each(|item| {
                    self.done(item);
                });
            }
            _ => {}
        }
    }

    /// Notes what became of an item; one that has left memory by now could be in any group.
    fn item(&mut self, state: &Coordination, work: &WorkId, note: fn(&mut Self, &WorkSpec)) {
        match state.work_tracking(work.as_str()) {
            Some(item) => note(self, item.spec),
            None => self.all = true,
        }
    }

    fn began(&mut self, item: &WorkSpec) {
        self.told(SignalType::AGENT_INITIALIZED, item);
    }

    fn done(&mut self, item: &WorkSpec) {
        self.subjects.insert(Subject::Work(item.id.clone()));
        self.subjects.extend(item.group.clone().map(Subject::Group));
        self.told(SignalType::AGENT_COMPLETED, item);
    }

    fn told(&mut self, kind: &str, item: &WorkSpec) {
        let kind = SignalType::new(kind).expect("BUG: it is one of ours");
        self.signal(&kind, item.speaks_as(), item.speaks_as());
    }

    fn signal(&mut self, kind: &SignalType, about: AgentId, from: AgentId) {
        let heard = [About::Any, About::Agent(about), About::From(from)];
        self.subjects.extend(heard.map(|about| Subject::Signal(kind.clone(), about)));
    }
}
