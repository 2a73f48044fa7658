//! Waiting for something in a run: the answer comes once it is there, the time is over, or the run
//! has ended.

use std::sync::Arc;
use std::time::Duration;

use antiphon::keys::{JsonText, millionths};
use antiphon::waits::{KeyCondition, KeyNeed, SignalNeed, WaitError, Waited};
use antiphon::{IdError, Need};
use axum::extract::State;
use axum::http::StatusCode;

use crate::answer::{Answer, json};
use crate::api::{Code, Problem, WaitAnswer};
use crate::request::{Addressed, Fields, JsonBody, Reader};
use crate::state::Shared;

/// What a need can be about.
const SUBJECTS: [&str; 6] = ["item", "group", "signal", "gate", "key", "approval"];

/// Longest time of a wait.
const MAX_TIMEOUT_MS: u64 = 366 * 24 * 60 * 60 * 1_000;

pub(super) async fn wait(
    State(shared): State<Arc<Shared>>,
    caller: Reader,
    target: Addressed,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let needs: Vec<Option<Need>> = body.objects("needs", need);
    let timeout = body.number_from(0, "timeout_ms", MAX_TIMEOUT_MS).map(Duration::from_millis);
    body.finish()?;
    let needs: Vec<Need> = needs.into_iter().flatten().collect();
    if !shared.engine().has_room() {
        let detail = "the engine's mailbox is full, so it did not get the request; repeat it in a \
                      moment";
        return Err(Problem::new(Code::Busy, detail));
    }
    let (run, wanted) = (shared.run(target.id())?, needs.clone());
    let waiting = async {
        match &caller {
            Reader::Operator => run.wait_for(wanted, timeout).await,
            Reader::Session(session) => run.wait_for_from(session, wanted, timeout).await,
        }
    };
    let waited: Result<Waited, WaitError> = tokio::select! {
        waited = waiting => waited,
        () = shared.stopping().cancelled() => {
            let detail = "the engine stops; wait again where another runs";
            return Err(Problem::new(Code::Stopping, detail));
        }
    };
    json(StatusCode::OK, &WaitAnswer::of(target.id().to_string(), &needs, &waited?))
}

/// A need in a body; `None` where a fault was noted.
fn need(body: &mut Fields) -> Option<Need> {
    let named: Vec<_> = SUBJECTS
        .iter()
        .filter_map(|subject| Some((*subject, body.optional_text(subject)?)))
        .collect();
    let need = match <[_; 1]>::try_from(named) {
        Ok([(subject, name)]) => about(body, subject, &name),
        Err(_) => {
            let detail = format!("a need names one of `{}`", SUBJECTS.join("`, `"));
            body.fault(String::new(), detail);
            None
        }
    };
    need.and_then(|need| {
        let fault = need.check().err();
        fault.map(|error| body.fault(String::new(), error.to_string())).is_none().then_some(need)
    })
}

fn about(body: &mut Fields, subject: &str, name: &str) -> Option<Need> {
    match subject {
        "item" => read(body, "/item", name.parse()).map(Need::Work),
        "group" => read(body, "/group", name.parse()).map(Need::Group),
        "signal" => signal(body, name),
        "approval" => Some(Need::Approval(name.to_owned())),
        "gate" => {
            let key = read(body, "/gate", format!("gate/{name}").parse());
            let least = number(body);
            if least.is_none() && !body.is_faulty() {
                body.fault("/at_least".to_owned(), "`at_least` is missing");
            }
            Some(Need::from(KeyNeed::new(key?, KeyCondition::AtLeast(least?))))
        }
        _ => {
            let key = read(body, "/key", name.parse());
            let holds = match (number(body), body.raw("equals")) {
                (Some(_), Some(_)) => {
                    body.fault("/equals".to_owned(), "`equals` cannot be there beside `at_least`");
                    return None;
                }
                (Some(least), None) => KeyCondition::AtLeast(least),
                (None, Some(value)) => {
                    let value = JsonText::new(value.get()).map_err(|error| error.to_string());
                    let noted = value.map_err(|detail| body.fault("/equals".to_owned(), detail));
                    KeyCondition::Equals(noted.ok()?)
                }
                (None, None) => KeyCondition::Exists,
            };
            Some(Need::from(KeyNeed::new(key?, holds)))
        }
    }
}

fn signal(body: &mut Fields, kind: &str) -> Option<Need> {
    let kind = kind.parse::<antiphon::signals::SignalType>().map_err(|error| error.to_string());
    let kind = kind.map_err(|detail| body.fault("/signal".to_owned(), detail)).ok();
    let about = body.optional_text("about").map(|name| read(body, "/about", name.parse()));
    let from = body.optional_text("from").map(|name| read(body, "/from", name.parse()));
    let success = body.raw("success").is_none_or(|success| match success.get() {
        "true" => true,
        "false" => false,
        _ => {
            body.fault("/success".to_owned(), "`success` must be true or false");
            true
        }
    });
    let mut wanted = SignalNeed::new(kind?);
    if let Some(agent) = about {
        wanted = wanted.about(agent?);
    }
    if let Some(agent) = from {
        wanted = wanted.from(agent?);
    }
    Some(Need::from(if success { wanted } else { wanted.even_failed() }))
}

/// How much a score or a value must be, in millionths.
fn number(body: &mut Fields) -> Option<i64> {
    let raw = body.raw("at_least")?;
    let text = raw.get().trim_matches('"');
    let number = millionths(text).map_err(|error| error.to_string());
    number.map_err(|detail| body.fault("/at_least".to_owned(), detail)).ok()
}

fn read<T>(body: &mut Fields, pointer: &str, read: Result<T, IdError>) -> Option<T> {
    read.map_err(|error| body.fault(pointer.to_owned(), error.to_string())).ok()
}
