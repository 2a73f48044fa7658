//! What an event tells as a signal.

use antiphon_core::coordination::{NextStep, SignalType, WorkItemOutcome};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Recorded;
use antiphon_core::event::{
    AggregateEvent as _, CoordinationEvent, SessionBound, SessionUnbound, Signalled,
};
use antiphon_core::id::{AgentId, StreamName};
use antiphon_core::json_text::JsonText;
use serde_json::{Map, Value};

use super::heard::HeardSignal;
use super::speakers::Speakers;

/// A signal, and the blob that holds its data, if that is not in the event.
pub(super) struct Told {
    pub(super) signal: HeardSignal,
    pub(super) data: Option<Digest>,
}

/// What an event tells as a signal, if it does.
pub(super) fn told(recorded: &Recorded, speakers: &mut Speakers) -> Option<Told> {
    // What was erased, or only a newer version can read, tells nothing.
    match CoordinationEvent::of(recorded).ok()? {
        CoordinationEvent::Signalled(sent) => Some(sent_one(recorded, *sent)),
        CoordinationEvent::SessionBound(bound) => {
            let agent = speakers.of_item(&bound.work);
            Some(began(recorded, &bound, agent))
        }
        CoordinationEvent::SessionUnbound(unbound) => {
            let agent = speakers.of_item(&unbound.work);
            ended(recorded, &unbound, agent)
        }
        CoordinationEvent::WorkAdded(added) => {
            added.items.iter().for_each(|item| speakers.note(item));
            None
        }
        _ => None,
    }
}

/// Whether an event of this type may tell something.
pub(super) fn may_tell(kind: &str) -> bool {
    matches!(
        kind,
        "coordination.signalled"
            | "coordination.session_bound"
            | "coordination.session_unbound"
            | "coordination.work_added"
    )
}

fn sent_one(recorded: &Recorded, sent: Signalled) -> Told {
    let Signalled { kind, from, to, about, failed, data, digest, dedup: _ } = sent;
    let about = about.unwrap_or_else(|| from.clone());
    let (version, at, wall) = (recorded.version, recorded.at, recorded.wall);
    let signal = HeardSignal { version, at, wall, kind, from, to, about, failed, data };
    Told { signal, data: digest }
}

fn began(recorded: &Recorded, bound: &SessionBound, agent: AgentId) -> Told {
    let mut data = of_session(recorded, bound.session, bound.work.as_str(), &agent);
    data.insert("attempt".to_owned(), bound.attempt.into());
    by_agent(recorded, SignalType::AGENT_INITIALIZED, agent, false, data)
}

/// An end after which the item is tried again is not its agent's last word.
fn ended(recorded: &Recorded, unbound: &SessionUnbound, agent: AgentId) -> Option<Told> {
    let NextStep::Done(outcome) = &unbound.then else { return None };
    // What was skipped by a decision is no failure, as nothing that needs it is skipped.
    let failed = *outcome == WorkItemOutcome::Failed;
    let mut data = of_session(recorded, unbound.session, unbound.work.as_str(), &agent);
    data.insert("success".to_owned(), (!failed).into());
    if failed {
        let text = unbound.text.clone().unwrap_or_else(|| unbound.outcome.as_str().to_owned());
        data.insert("error".to_owned(), text.into());
    }
    Some(by_agent(recorded, SignalType::AGENT_COMPLETED, agent, failed, data))
}

fn of_session(
    recorded: &Recorded,
    session: u64,
    item: &str,
    agent: &AgentId,
) -> Map<String, Value> {
    let run = match &recorded.stream {
        StreamName::Coordination(run) => run.as_str(),
        _ => "",
    };
    let members = [
        ("agent_id", Value::from(agent.as_str())),
        ("item", item.into()),
        ("session", format!("{run}.{session}").into()),
    ];
    members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

fn by_agent(
    recorded: &Recorded,
    kind: &str,
    agent: AgentId,
    failed: bool,
    data: Map<String, Value>,
) -> Told {
    let kind = SignalType::new(kind).expect("BUG: it is one of ours");
    let data = JsonText::new(Value::Object(data).to_string()).expect("BUG: it is JSON");
    let (version, at, wall) = (recorded.version, recorded.at, recorded.wall);
    let (from, about, to) = (agent.clone(), agent, Vec::new());
    let signal = HeardSignal { version, at, wall, kind, from, to, about, failed, data: Some(data) };
    Told { signal, data: None }
}
