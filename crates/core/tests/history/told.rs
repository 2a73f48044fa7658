//! Needs on signals and keys: drawn, met, and looked for in what is recorded.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::{
    KeyChange, KeyCondition, KeyNeed, Need, NextStep, SessionOutcome, SignalNeed, SignalType,
    WorkItemOutcome, WorkSpec, WorkState,
};
use antiphon_core::event::{CoordinationEvent, KeySet, Paused, Signalled, StopKind};
use antiphon_core::id::{AgentId, KeyName, WorkId};
use antiphon_core::json_text::JsonText;
use antiphon_core::routing::RoutingDecision;

use super::{History, Step, actor, decode};

/// A need on a signal or a key, in numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToldNeed {
    pub(crate) what: u8,
    /// Which type or key.
    pub(crate) of: u8,
    /// By or about whom, or which value.
    pub(crate) wanted: u8,
    /// For how many milliseconds it is waited for.
    pub(crate) patience: Option<u8>,
}

impl ToldNeed {
    pub(crate) fn need(self) -> Need {
        let key = || format!("k{}", self.of % 5).parse().unwrap();
        let holds = match self.what % 6 {
            0 => KeyCondition::Exists,
            1 => KeyCondition::AtLeast(i64::from(self.wanted) * 1_000_000),
            2 => KeyCondition::Equals(JsonText::new(self.wanted.to_string()).unwrap()),
            _ => return Need::from(self.signal()),
        };
        Need::from(KeyNeed::new(key(), holds))
    }

    fn signal(self) -> SignalNeed {
        // Items are heard, too.
        let kind = match self.of % 8 {
            0 => initialized(),
            1 => completed(),
            of => format!("t{}", of % 3).parse().unwrap(),
        };
        let agent = if self.of.is_multiple_of(2) { "w" } else { "a" };
        let agent = format!("{agent}{}", self.wanted / 3 % 3).parse().unwrap();
        let need = match self.wanted % 3 {
            0 => SignalNeed::new(kind),
            1 => SignalNeed::new(kind).about(agent),
            _ => SignalNeed::new(kind).from(agent),
        };
        if self.what.is_multiple_of(4) { need.even_failed() } else { need }
    }
}

fn initialized() -> SignalType {
    SignalType::AGENT_INITIALIZED.parse().unwrap()
}

fn completed() -> SignalType {
    SignalType::AGENT_COMPLETED.parse().unwrap()
}

/// A signal that tells of a success, by and about whom a need wants.
fn heard_by(need: &SignalNeed) -> Signalled {
    let from = need.from.clone().unwrap_or_else(|| "somebody".parse().unwrap());
    Signalled {
        kind: need.kind.clone(),
        from,
        to: Vec::new(),
        about: need.about.clone(),
        failed: false,
        data: None,
        digest: None,
        dedup: None,
    }
}

fn value_for(holds: &KeyCondition) -> JsonText {
    match holds {
        KeyCondition::Equals(value) => value.clone(),
        KeyCondition::AtLeast(millionths) => {
            JsonText::new((millionths / 1_000_000).to_string()).unwrap()
        }
        _ => JsonText::new("1").unwrap(),
    }
}

impl History {
    /// Meets the needs of an item that waits for nothing but signals and keys. Where that helps
    /// nothing, as when it wants two things of one key, the run is cancelled. Whether any item waits
    /// so.
    pub(crate) fn tell_what_is_waited_for(&mut self) -> bool {
        let is_told = |need: &Need| matches!(need, Need::Signal(_) | Need::Key(_));
        let waiting = self.live.work_queue().find_map(|id| {
            let item = self.live.work_tracking(id.as_str()).unwrap();
            let needs: Vec<Need> =
                item.spec.needs.iter().filter(|need| is_told(need)).cloned().collect();
            let waits = matches!(item.state, WorkState::Waiting(_)) && !needs.is_empty();
            waits.then(|| (id.clone(), needs))
        });
        let Some((work, needs)) = waiting else { return false };
        for need in needs {
            let event = match need {
                Need::Signal(need) => CoordinationEvent::Signalled(Box::new(heard_by(&need))),
                Need::Key(need) => {
                    let value = Some(value_for(&need.holds));
                    let changes = vec![KeyChange { key: need.key, value, digest: None }];
                    CoordinationEvent::KeySet(KeySet { changes, by: actor() })
                }
                need => panic!("{need} is not told"),
            };
            self.apply(event).expect("a run that goes on hears and keeps keys");
        }
        if matches!(self.state(&work), WorkState::Waiting(_)) {
            self.take(&Step::Stop(StopKind::Cancel));
        }
        true
    }

    /// No session began before the signals were sent that its item needs, or while a key was
    /// otherwise: as read off the record, without any of the rules that decided it.
    pub(crate) fn what_was_waited_for_was_told(&self) {
        let mut told = Told::default();
        for recorded in &self.log {
            match decode(recorded) {
                CoordinationEvent::WorkAdded(added) => told.add(added.items),
                CoordinationEvent::Signalled(sent) => {
                    let about = sent.about.unwrap_or_else(|| sent.from.clone());
                    told.sent.insert((sent.kind, about, sent.from, sent.failed));
                }
                CoordinationEvent::KeySet(set) => {
                    for change in set.changes {
                        told.keys.insert(change.key, change.value);
                    }
                }
                CoordinationEvent::SessionBound(bound) => {
                    for need in &told.specs[&bound.work].needs {
                        let version = recorded.version;
                        assert!(
                            told.meets(need),
                            "{} began at {version} without {need}",
                            bound.work
                        );
                    }
                    told.by_item(initialized(), &bound.work, false);
                }
                CoordinationEvent::SessionUnbound(unbound) => {
                    if let NextStep::Done(outcome) = unbound.then {
                        let failed = outcome == WorkItemOutcome::Failed;
                        told.by_item(completed(), &unbound.work, failed);
                    }
                }
                _ => {}
            }
        }
    }

    /// Behind a decision nothing is possible but the end that it is about.
    pub(super) fn only_the_end_follows(&mut self, session: u64) {
        let others: Vec<u64> = self
            .live
            .bindings()
            .map(|(other, _)| other.session)
            .filter(|o| *o != session)
            .collect();
        let unbound = |of| self.unbound(of, SessionOutcome::Success, (0, 0), None, None);
        let mut events: Vec<CoordinationEvent> = others.into_iter().map(unbound).collect();
        events.push(self.routed(session, RoutingDecision::Retry));
        let (by, reason) = (actor(), String::new());
        events.push(CoordinationEvent::Paused(Paused { by: by.clone(), reason }));
        events.push(CoordinationEvent::KeySet(KeySet {
            changes: vec![KeyChange {
                key: "k0".parse().unwrap(),
                value: Some(JsonText::new("1").unwrap()),
                digest: None,
            }],
            by,
        }));
        for event in events {
            assert!(self.apply(event.clone()).is_err(), "{event:?} came before the end");
        }
    }
}

/// What was told up to some event.
#[derive(Default)]
struct Told {
    specs: BTreeMap<WorkId, WorkSpec>,
    /// Type, about whom, from whom, and whether it tells of a failure.
    sent: BTreeSet<(SignalType, AgentId, AgentId, bool)>,
    keys: BTreeMap<KeyName, Option<JsonText>>,
}

impl Told {
    fn add(&mut self, items: Vec<WorkSpec>) {
        for item in items {
            let (work, taken_over) = (item.id.clone(), item.reused.is_some());
            self.specs.insert(work.clone(), item);
            if taken_over {
                self.by_item(completed(), &work, false);
            }
        }
    }

    fn by_item(&mut self, kind: SignalType, work: &WorkId, failed: bool) {
        let agent = self.specs[work].speaks_as();
        self.sent.insert((kind, agent.clone(), agent, failed));
    }

    fn meets(&self, need: &Need) -> bool {
        match need {
            Need::Signal(need) => self.sent.iter().any(|(kind, about, from, failed)| {
                *kind == need.kind
                    && need.about.as_ref().is_none_or(|wanted| wanted == about)
                    && need.from.as_ref().is_none_or(|wanted| wanted == from)
                    && !(need.success && *failed)
            }),
            Need::Key(need) => {
                let value = self.keys.get(&need.key).and_then(Option::as_ref);
                let value = value.map(|value| value.as_str().parse::<i64>().unwrap());
                value.is_some_and(|value| match &need.holds {
                    KeyCondition::Exists => true,
                    KeyCondition::AtLeast(least) => value * 1_000_000 >= *least,
                    KeyCondition::Equals(wanted) => wanted.as_str() == value.to_string(),
                    holds => panic!("{holds:?} was not drawn"),
                })
            }
            _ => true,
        }
    }
}
