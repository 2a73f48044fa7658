//! What handlers read from a request: who asks, which run is meant, the body. What is wrong with it
//! is a [`Problem`].

mod fields;

use std::collections::HashMap;
use std::sync::Arc;

use antiphon::id::{CommandId, CoordinationId, SessionId, StreamName};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::api::{BodyError, Code, Problem};
use crate::caller::Caller;
use crate::state::Shared;

pub(crate) use fields::{Fields, pointer};

/// A caller that runs the engine, and is no session.
pub(crate) struct Operator;

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match caller(parts)? {
            Caller::Session(session) => Err(only_its_own(session)),
            Caller::Operator => Ok(Self),
            Caller::Refused(problem) => Err(problem.clone()),
        }
    }
}

/// A caller that reads the ledger: an operator all of it, a session what there is of its own run.
pub(crate) enum Reader {
    Operator,
    Session(SessionId),
}

impl Reader {
    /// The one stream that it reads, if that is not all of them.
    pub(crate) fn own_stream(&self) -> Option<StreamName> {
        match self {
            Self::Operator => None,
            Self::Session(session) => Some(StreamName::Coordination(session.coordination.clone())),
        }
    }

    /// Refuses a session that asks for the events of another stream than its own run's, or of all.
    pub(crate) fn may_read(&self, stream: Option<&StreamName>) -> Result<(), Problem> {
        match self {
            Self::Session(session) if self.own_stream().as_ref() != stream => {
                Err(only_its_own(session))
            }
            Self::Operator | Self::Session(_) => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match caller(parts)? {
            Caller::Session(session) => Ok(Self::Session(session.clone())),
            Caller::Operator => Ok(Self::Operator),
            Caller::Refused(problem) => Err(problem.clone()),
        }
    }
}

fn only_its_own(session: &SessionId) -> Problem {
    let detail = format!("the caller is session {session}, which may only read its own run");
    Problem::new(Code::SessionMayNot, detail)
}

/// The run in the path, which the caller may read.
pub(crate) struct Addressed {
    id: CoordinationId,
    parts: HashMap<String, String>,
}

impl Addressed {
    pub(crate) fn id(&self) -> &CoordinationId {
        &self.id
    }

    /// Another part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.parts.get(name).map_or("", String::as_str)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Addressed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Self::read(parts, state, |session, id| session.coordination == *id).await
    }
}

/// The run in the path, of which the caller may read the keys: a session those of its own run, and
/// those that all share.
pub(crate) struct WithKeys(pub(crate) Addressed);

impl<S: Send + Sync> FromRequestParts<S> for WithKeys {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let may = |session: &SessionId, id: &CoordinationId| {
            session.coordination == *id || id.is_shared()
        };
        Addressed::read(parts, state, may).await.map(Self)
    }
}

impl Addressed {
    async fn read<S: Send + Sync>(
        parts: &mut Parts,
        state: &S,
        may: impl Fn(&SessionId, &CoordinationId) -> bool,
    ) -> Result<Self, Problem> {
        let found = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Path(found) = found.map_err(|error| {
            Problem::new(Code::InvalidRequest, format!("the path is not text: {error}"))
        })?;
        let text = found.get("id").map_or("", String::as_str);
        let id = CoordinationId::new(text)
            .map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))?;
        match caller(parts)? {
            Caller::Session(session) if !may(session, &id) => {
                let detail = format!("the caller is session {session}, which may not use run {id}");
                Err(Problem::new(Code::SessionMayNot, detail))
            }
            Caller::Refused(problem) => Err(problem.clone()),
            Caller::Operator | Caller::Session(_) => Ok(Self { id, parts: found }),
        }
    }
}

fn caller(parts: &Parts) -> Result<&Caller, Problem> {
    let unplaced = || Problem::new(Code::UnplacedCaller, "the caller was not identified");
    parts.extensions.get::<Caller>().ok_or_else(unplaced)
}

/// The id that makes a command idempotent, from the header `Idempotency-Key`.
pub(crate) struct IdempotencyKey(pub(crate) Option<CommandId>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let invalid = |why: String| {
            Problem::new(Code::InvalidRequest, format!("the header Idempotency-Key {why}"))
        };
        let mut given = parts.headers.get_all("idempotency-key").iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return if parts.headers.contains_key("idempotency-key") {
                Err(invalid("is there twice; give it once".to_owned()))
            } else {
                Ok(Self(None))
            };
        };
        let text = value.to_str().map_err(|_| invalid("must be printable ASCII".to_owned()))?;
        // As the draft of its standard has it, the value is a text in quotes.
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let id = CommandId::new(text)
            .map_err(|error| invalid(format!("is not a command id: {error}")))?;
        Ok(Self(Some(id)))
    }
}

/// The parameters after the question mark.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match read {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => {
                let text = error.body_text();
                let what =
                    text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Problem::new(Code::InvalidRequest, format!("invalid query: {what}")))
            }
        }
    }
}

/// How much of a list is asked for: from 1 to `max`, and `default` where nothing is said.
pub(crate) fn limited(limit: Option<usize>, default: usize, max: usize) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(default);
    match (1..=max).contains(&limit) {
        true => Ok(limit),
        false => {
            let detail = format!("limit is {limit}; it must be between 1 and {max}");
            Err(Problem::new(Code::InvalidRequest, detail))
        }
    }
}

/// The body as a JSON object; an empty one is an empty object.
pub(crate) struct JsonBody(pub(crate) Fields);

impl FromRequest<Arc<Shared>> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).cloned();
        let bytes = body(request.into_body(), shared).await?;
        if bytes.is_empty() {
            return Ok(Self(Fields::default()));
        }
        let is_json =
            media_type.as_ref().and_then(|value| value.to_str().ok()).is_some_and(|value| {
                let kind = value.split(';').next().unwrap_or_default().trim();
                kind.eq_ignore_ascii_case("application/json")
            });
        if !is_json {
            let detail = "send the body with `content-type: application/json`";
            return Err(Problem::new(Code::WrongMediaType, detail));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(Fields::new(fields, bytes))),
            Ok(_) => Err(Problem::new(Code::InvalidBody, "the body is JSON, but not an object")),
            Err(error) => Err(malformed(&error)),
        }
    }
}

/// Reads a body within the limits of time and size.
async fn body(body: Body, shared: &Shared) -> Result<Bytes, Problem> {
    let limits = shared.limits();
    match timeout(limits.body_time, to_bytes(body, limits.body_bytes)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => {
            let detail = format!(
                "the body is larger than {} bytes, the most that is allowed",
                limits.body_bytes
            );
            Err(Problem::new(Code::BodyTooLarge, detail))
        }
        Ok(Err(_)) => {
            Err(Problem::new(Code::MalformedBody, "the body could not be read to its end"))
        }
        Err(_) => {
            let detail =
                format!("the body did not arrive within {} s", limits.body_time.as_secs_f64());
            Err(Problem::new(Code::BodyTimeout, detail))
        }
    }
}

/// Whether a body was refused for its size: the reason lies below others.
fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A syntax error of JSON says where, and quotes nothing of the body.
fn malformed(error: &serde_json::Error) -> Problem {
    let position = (error.line() as u64, error.column() as u64);
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default().to_owned();
    let fault = BodyError {
        detail: what,
        line: Some(position.0),
        column: Some(position.1),
        ..BodyError::default()
    };
    Problem::new(Code::MalformedBody, "the body is not JSON").with_errors(vec![fault])
}
