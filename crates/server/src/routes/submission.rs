//! A plan to be run.

use std::path::PathBuf;
use std::sync::Arc;

use antiphon::id::CoordinationId;
use antiphon::world::Reply;
use antiphon::{Engine, id::CommandId};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};

use crate::answer::{Answer, ask, json};
use crate::api::{Code, Problem, Submitted};
use crate::path::run_path;
use crate::request::{Fields, Key, Object, Operator, pointer};
use crate::state::Shared;
use crate::submission::{CompileError, Compiled, MIN_SECRET_BYTES, Secret, Submission};

pub(super) async fn submit(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    Key(key): Key,
    Object(body): Object,
) -> Answer {
    let submission = Arc::new(read(body, key.as_ref())?);
    let Compiled { config, blobs } = compiled(&shared, Arc::clone(&submission)).await?;
    let id = submission.id.clone();
    let refused = |error: antiphon::coordination::ControllerError| {
        Problem::new(Code::Refused, error.to_string())
    };
    let config = config.with_id(id.as_str()).map_err(refused)?;
    let secrets = submission
        .secrets
        .iter()
        .map(|(name, secret)| (name.clone(), secret.expose().to_owned()))
        .collect();
    let existing =
        match ask(&shared, |engine| engine.start(id.clone(), config, blobs, secrets, key)).await? {
            Reply::Existing { .. } => true,
            Reply::Done { .. } | Reply::WriteRefused => false,
        };
    let status = if existing { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = json(status, &Submitted { id: id.to_string(), existing })?;
    if let Ok(location) = HeaderValue::try_from(run_path(id.as_str(), "")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The id is the one that was asked for, else the key, so that the same submission again finds the
/// first, else a new one.
fn read(mut body: Fields, key: Option<&CommandId>) -> Result<Submission, Problem> {
    let plan = body.text("plan");
    let name = body.text("name");
    let directory = PathBuf::from(body.text("directory"));
    let environment = body.texts("environment");
    let secrets = body.texts("secrets");
    let chosen = body.optional_text("id");
    if !directory.as_os_str().is_empty() && !directory.is_absolute() {
        body.fault(
            "/directory".to_owned(),
            "`directory` must be an absolute path, as the engine has another one of its own",
        );
    }
    for (name, value) in &secrets {
        if value.len() < MIN_SECRET_BYTES {
            let detail = format!(
                "the secret {name} has fewer than {MIN_SECRET_BYTES} bytes, and could not be told from chance"
            );
            body.fault(pointer("secrets", name), detail);
        }
    }
    let id = match (chosen, key) {
        (Some(text), _) => CoordinationId::chosen(&text)
            .map_err(|error| body.fault("/id".to_owned(), error.to_string()))
            .ok(),
        (None, Some(key)) => Some(CoordinationId::chosen(key.as_str()).map_err(|error| {
            let detail = format!("without an `id` the Idempotency-Key is the id, but {error}");
            Problem::new(Code::InvalidRequest, detail)
        })?),
        (None, None) => Some(Engine::mint()?),
    };
    body.finish()?;
    let id = id.ok_or_else(|| Problem::new(Code::InvalidBody, "the id is no id"))?;
    let secrets = secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    Ok(Submission { id, plan, name, directory, environment, secrets })
}

async fn compiled(shared: &Arc<Shared>, submission: Arc<Submission>) -> Result<Compiled, Problem> {
    let _place = shared.place_to_compile().await?;
    // The thread may outlive the server: it holds what it needs, and not the engine.
    let (compile, given) = (shared.compile(), Arc::clone(&submission));
    let done = tokio::task::spawn_blocking(move || compile(&given)).await;
    match done {
        Ok(Ok(compiled)) => Ok(compiled),
        Ok(Err(CompileError::Plan(problems))) => {
            let detail = match problems.len() {
                1 => format!("{} has a problem", submission.name),
                n => format!("{} has {n} problems", submission.name),
            };
            let faults = problems.into_iter().map(|problem| submission.told(problem)).collect();
            Err(Problem::new(Code::InvalidPlan, submission.redacted(detail)).with_errors(faults))
        }
        Ok(Err(CompileError::Refused { detail })) => {
            Err(Problem::new(Code::Refused, submission.redacted(detail)))
        }
        Err(_) => Err(Problem::new(
            Code::Internal,
            "reading the plan met a mistake in Antiphon; please report it",
        )),
    }
}
