//! Questions of runs that a person answers: asked, listed, waited for and answered.

use std::sync::Arc;
use std::time::Duration;

use antiphon::approvals::{Answer as Given, FoundQuestion, Question, QuestionId, SessionQuestion};
use antiphon::id::CoordinationId;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::time::timeout;

use super::accepted::{accepted, by_session, stale};
use super::record::{explained, head};
use crate::answer::{Answer, ask as ask_engine, json};
use crate::api::{AskedLine, Code, Problem, QuestionLine, QuestionPage};
use crate::request::{Addressed, Fields, IdempotencyKey, JsonBody, Parameters, Reader, limited};
use crate::state::Shared;

/// Questions on a page, unless the query says otherwise.
const DEFAULT_PAGE: usize = 100;

/// Most questions on a page.
const MAX_PAGE: usize = 1_000;

/// How long a request for an answer is held that has not been given yet.
const WAIT: Duration = Duration::from_secs(20);

pub(super) async fn ask(
    State(shared): State<Arc<Shared>>,
    caller: Reader,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let question = read(&mut body);
    body.finish()?;
    let Some(question) = question else {
        return Err(Problem::new(Code::InvalidBody, "the body is no question"));
    };
    let command = shared.run(target.id())?.command(key);
    let asked = match caller {
        Reader::Operator => ask_engine(&shared, command.ask(question)).await,
        Reader::Session(session) => {
            match ask_engine(&shared, command.ask_from(&session, question)).await {
                Ok(SessionQuestion::Asked(asked)) => Ok(asked),
                Ok(SessionQuestion::Refused) => Err(stale(&session)),
                Err(error) => Err(error),
            }
        }
    };
    match asked {
        Ok(asked) => json(StatusCode::OK, &AskedLine::of(target.id(), &asked)),
        Err(error) => Err(explained(&shared, target.id(), error).await),
    }
}

/// The question in a body; `None` where a fault was noted.
fn read(body: &mut Fields) -> Option<Question> {
    let text = body.text("question");
    let id = body.optional_text("id");
    let expires = body.number("expires_in_ms", u64::MAX / 1_000_000);
    let question = Question::new(text);
    let mut question =
        question.map_err(|error| body.fault("/question".to_owned(), error.to_string())).ok()?;
    if let Some(id) = id {
        let named = QuestionId::new(&id).and_then(|id| id.check_new().map(|()| id));
        let named = named.map_err(|error| error.to_string());
        let named = named.and_then(|id| question.with_id(id).map_err(|error| error.to_string()));
        question = named.map_err(|detail| body.fault("/id".to_owned(), detail)).ok()?;
    }
    Some(match expires {
        Some(expires) => question.expiring_in(Duration::from_millis(expires)),
        None => question,
    })
}

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    caller: Reader,
    target: Addressed,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(mut body): JsonBody,
) -> Answer {
    let question = question_id(&target)?;
    let given = given(&mut body);
    let reason = body.optional_text("reason");
    body.finish()?;
    let Some(given) = given else {
        return Err(Problem::new(Code::InvalidBody, "the body is no answer"));
    };
    let run = shared.run(target.id())?;
    let answered = match caller {
        Reader::Operator => {
            let command = run.command(key);
            ask_engine(&shared, command.answer(question, given, reason)).await
        }
        Reader::Session(session) => {
            by_session(&session, ask_engine(&shared, run.answer_from(&session, question)).await)
        }
    };
    accepted(&shared, target.id(), answered).await
}

/// The answer in a body; `None` where a fault was noted.
fn given(body: &mut Fields) -> Option<Given> {
    match body.optional_text("answer").as_deref() {
        Some("yes") => Some(Given::Yes),
        Some("no") => Some(Given::No),
        Some(_) => {
            body.fault("/answer".to_owned(), "`answer` must be `yes` or `no`");
            None
        }
        None => {
            let _missing = body.text("answer");
            None
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    open: bool,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    Parameters(query): Parameters<ListQuery>,
) -> Answer {
    let ListQuery { open, limit, cursor } = query;
    let limit = limited(limit, DEFAULT_PAGE, MAX_PAGE)?;
    let after = cursor.map(|cursor| place(&cursor).map(|(_, question)| question)).transpose()?;
    let id = target.id();
    let found = match open {
        true => {
            head(&shared, id).await?;
            let after = after.map(|question| (id.clone(), question));
            let found = shared.engine().open_questions(Some(id.clone()), after, limit + 1);
            let found = ask_engine(&shared, found).await?;
            found.into_iter().map(|found| found.question).collect()
        }
        false => ask_engine(&shared, shared.run(id)?.questions_after(after, limit + 1)).await?,
    };
    page(found.iter().map(|found| QuestionLine::of(id, found)).collect(), limit)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The open questions of all runs; to a session there is no run but its own.
pub(super) async fn open(
    State(shared): State<Arc<Shared>>,
    caller: Reader,
    Parameters(query): Parameters<OpenQuery>,
) -> Answer {
    let OpenQuery { limit, cursor } = query;
    let limit = limited(limit, DEFAULT_PAGE, MAX_PAGE)?;
    let after = cursor.map(|cursor| place(&cursor)).transpose()?;
    let run = match caller {
        Reader::Operator => None,
        Reader::Session(session) => Some(session.coordination),
    };
    let found = ask_engine(&shared, shared.engine().open_questions(run, after, limit + 1)).await?;
    let lines = found.iter().map(|found| QuestionLine::of(&found.run, &found.question));
    page(lines.collect(), limit)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneQuery {
    #[serde(default)]
    wait: bool,
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    target: Addressed,
    Parameters(OneQuery { wait }): Parameters<OneQuery>,
) -> Answer {
    let (id, question) = (target.id(), question_id(&target)?);
    let run = shared.run(id)?;
    if wait {
        let answered = tokio::select! {
            answered = timeout(WAIT, run.answered(&question)) => answered.ok(),
            () = shared.stopping().cancelled() => None,
        };
        if let Some(answered) = answered {
            return told(id, &question, answered.map_err(Problem::from)?);
        }
    }
    let found = ask_engine(&shared, run.question(&question)).await?;
    told(id, &question, found)
}

fn told(run: &CoordinationId, id: &QuestionId, found: Option<FoundQuestion>) -> Answer {
    let unknown = || {
        let detail = format!("run {run} has no question {id}");
        Problem::new(Code::UnknownQuestion, detail)
    };
    json(StatusCode::OK, &QuestionLine::of(run, &found.ok_or_else(unknown)?))
}

fn question_id(target: &Addressed) -> Result<QuestionId, Problem> {
    QuestionId::new(target.part("question"))
        .map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))
}

/// Lines of which one more was read than a page has, to know whether another follows.
fn page(mut questions: Vec<QuestionLine>, limit: usize) -> Answer {
    let more = questions.len() > limit;
    questions.truncate(limit);
    let next = questions.last().filter(|_| more).map(|last| format!("{}/{}", last.run, last.id));
    json(StatusCode::OK, &QuestionPage { questions, next })
}

/// The question that a cursor names, and its run.
fn place(cursor: &str) -> Result<(CoordinationId, QuestionId), Problem> {
    // Ids of runs have no slash.
    let named = cursor.split_once('/').and_then(|(run, question)| {
        Some((CoordinationId::new(run).ok()?, QuestionId::new(question).ok()?))
    });
    named.ok_or_else(|| {
        let detail = format!("{cursor:?} is not a cursor; give `next` of the previous page");
        Problem::new(Code::InvalidRequest, detail)
    })
}
