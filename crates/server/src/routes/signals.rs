//! Signals of a run: sent, looked back at, or followed until the run ends.

use std::sync::Arc;

use antiphon::Unavailable;
use antiphon::id::{AgentId, Version};
use antiphon::signals::{Dedup, From, JsonText, Signal, SignalType, Signals};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::accepted::{accepted, by_session};
use super::events::wants_stream;
use super::listening::{Followed, FollowedLine, Listening, all_seen, beginning};
use crate::answer::{Answer, ask, json};
use crate::api::{Code, FollowAfter, Problem, SignalHistory, SignalLine, SignalQuery};
use crate::request::{Addressed, Fields, IdempotencyKey, JsonBody, Parameters, Reader};
use crate::state::Shared;

/// Signals in an answer, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 100;

/// Most signals in an answer.
const MAX_LIMIT: usize = 1_000;

pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    caller: Reader,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let signal = read(&mut body);
    body.finish()?;
    let Some(signal) = signal else {
        return Err(Problem::new(Code::InvalidBody, "the body is no signal"));
    };
    let command = shared.run(target.id())?.command(key);
    let answer = match caller {
        Reader::Operator => ask(&shared, command.signal(signal)).await,
        Reader::Session(session) => {
            by_session(&session, ask(&shared, command.signal_from(&session, signal)).await)
        }
    };
    accepted(&shared, target.id(), answer).await
}

/// The signal in a body; `None` where a fault was noted.
fn read(body: &mut Fields) -> Option<Signal> {
    let kind = match body.optional_text("type") {
        Some(kind) => {
            checked(body, "/type", SignalType::new(kind).map_err(|error| error.to_string()))
        }
        None => {
            let _missing = body.text("type");
            None
        }
    };
    let from = body.optional_text("from").map(|name| agent(body, "/from", &name));
    let about = body.optional_text("about").map(|name| agent(body, "/about", &name));
    let to = body.list("to");
    let to: Vec<_> =
        (0..).zip(to).map(|(at, name)| agent(body, &format!("/to/{at}"), &name)).collect();
    let failed = body.flag("failed");
    let data = body.raw("data").map(|data| {
        let data = JsonText::new(data.get()).map_err(|error| error.to_string());
        checked(body, "/data", data)
    });
    let dedup = body.object("dedup", |body| {
        let mut dedup = Dedup::new(body.text("key"));
        if let Some(window_ms) = body.number("window_ms", u64::MAX / 1_000_000) {
            dedup.window = window_ms * 1_000_000;
        }
        if let Some(cap) = body.number("cap", u32::MAX.into()) {
            dedup.cap = u32::try_from(cap).unwrap_or(u32::MAX);
        }
        dedup
    });
    let mut signal = Signal::new(kind?).failed(failed);
    if let Some(from) = from {
        signal = signal.from(from?);
    }
    if let Some(about) = about {
        signal = signal.about(about?);
    }
    for agent in to {
        signal = signal.to(agent?);
    }
    if let Some(data) = data {
        let with_data = signal.with_data(data?).map_err(|error| error.to_string());
        signal = checked(body, "/data", with_data)?;
    }
    Some(match dedup {
        Some(dedup) => signal.once(dedup),
        None => signal,
    })
}

fn agent(body: &mut Fields, pointer: &str, name: &str) -> Option<AgentId> {
    checked(body, pointer, AgentId::new(name).map_err(|error| error.to_string()))
}

fn checked<T>(body: &mut Fields, pointer: &str, read: Result<T, String>) -> Option<T> {
    read.map_err(|detail| body.fault(pointer.to_owned(), detail)).ok()
}

/// What is asked for after the question mark.
#[derive(Default)]
struct Asked {
    query: SignalQuery,
    limit: Option<usize>,
    after: Option<FollowAfter>,
}

impl Asked {
    fn read(parameters: &[(String, String)]) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (name, value) in parameters {
            if asked.query.take(name, value).map_err(invalid)? {
                continue;
            }
            match name.as_str() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    let wrong = format!("limit is {value}; it must be between 1 and {MAX_LIMIT}");
                    asked.limit = Some(limit.ok_or_else(|| invalid(wrong))?);
                }
                "after" => asked.after = Some(FollowAfter::read(value).map_err(invalid)?),
                _ => {
                    return Err(invalid(format!(
                        "unknown parameter `{name}`; expected one of `type`, `from`, `to`, \
                         `about`, `failed`, `data.NAME`, `limit`, `after`"
                    )));
                }
            }
        }
        Ok(asked)
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

pub(super) async fn signals(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    headers: HeaderMap,
    Parameters(parameters): Parameters<Vec<(String, String)>>,
) -> Answer {
    let asked = Asked::read(&parameters)?;
    let filter = asked.query.filter()?;
    if wants_stream(&headers) {
        if asked.limit.is_some() {
            return Err(invalid("a stream of signals takes no `limit`".to_owned()));
        }
        let id = target.id();
        let Some(after) = beginning(&shared, id, &headers, asked.after).await? else {
            return Ok(all_seen());
        };
        let signals = ask(&shared, shared.run(id)?.signals(filter, From::After(after))).await?;
        return Ok(Listening::answer(&shared, id, signals));
    }
    if asked.after.is_some() {
        let detail =
            "only a stream of events begins somewhere; ask with `Accept: text/event-stream`";
        return Err(invalid(detail.to_owned()));
    }
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT);
    let heard = ask(&shared, shared.run(target.id())?.signal_history(filter, limit)).await?;
    let (run, signals) = (target.id().to_string(), heard.iter().map(SignalLine::from).collect());
    json(StatusCode::OK, &SignalHistory { run, signals })
}

impl Followed for Signals {
    async fn next(&mut self) -> Result<Option<FollowedLine>, Unavailable> {
        let signal = Self::next(self).await?;
        Ok(signal.map(|signal| {
            FollowedLine::new(&signal.kind, signal.version.0, &SignalLine::from(&signal))
        }))
    }

    fn position(&self) -> Version {
        Self::position(self)
    }
}
