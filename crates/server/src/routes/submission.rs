//! A plan that is to be run: read from the request, compiled here and nowhere else, and handed to
//! the engine.
//!
//! What the plan may take from its submitter comes with the request. The environment of this
//! process is never read for it, and the value of a secret is never repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use antiphon::Engine;
use antiphon::coordination::ConfigError;
use antiphon::id::{CommandId, CoordinationId};
use antiphon::plan::{Compiled, Environment, Plan, PlanError, Wanted};
use antiphon::process::MIN_SECRET_BYTES;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};

use crate::answer::{Answer, ask, json};
use crate::api::{Code, Problem, SubmitAnswer};
use crate::path::run_path;
use crate::request::{Fields, IdempotencyKey, JsonBody, Operator, pointer};
use crate::state::Shared;

/// Most secrets of a submission: each is looked for in every message about the plan.
const MAX_SECRETS: usize = 1_000;

/// A plan with all that it needs from its submitter. Not `Debug`: it holds values of secrets.
struct PlanSubmission {
    id: CoordinationId,
    plan: String,
    name: String,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
}

pub(super) async fn submit(
    State(shared): State<Arc<Shared>>,
    _: Operator,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Answer {
    let submission = Arc::new(PlanSubmission::read(body, key.as_ref())?);
    let compiled = {
        // The thread may outlive the server: it holds what it needs, and not the engine.
        let submission = Arc::clone(&submission);
        let bytes = submission.plan.len();
        shared.compilers().run(bytes, move |wanted| submission.compile(wanted)).await?
    };
    let Compiled { config, blobs, .. } = compiled;
    let id = submission.id.clone();
    let refused = |error: ConfigError| Problem::new(Code::Refused, error.to_string());
    let config = config.with_id(id.as_str()).map_err(refused)?;
    let submitted = antiphon::Submission::new(config)
        .with_inputs(blobs)
        .with_secrets(&submission.secrets)
        .with_command(key);
    let submitted = ask(&shared, shared.engine().submit_or_find(submitted)).await?;
    let existing = matches!(submitted, antiphon::Submitted::Existing(_));
    let status = if existing { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = json(status, &SubmitAnswer { id: id.to_string(), existing })?;
    if let Ok(location) = HeaderValue::try_from(run_path(id.as_str(), "")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

impl PlanSubmission {
    /// The id is the one that was asked for, else the key, so that the same submission again finds
    /// the first, else a new one.
    fn read(mut body: Fields, key: Option<&CommandId>) -> Result<Self, Problem> {
        let plan = body.text("plan");
        let name = body.text("name");
        let directory = PathBuf::from(body.text("directory"));
        let environment = body.texts("environment");
        let secrets = body.texts("secrets");
        let chosen = body.optional_text("id");
        if !directory.as_os_str().is_empty() && !directory.is_absolute() {
            body.fault(
                "/directory".to_owned(),
                "`directory` must be an absolute path: the engine may run in another directory",
            );
        }
        if secrets.len() > MAX_SECRETS {
            body.fault(
                "/secrets".to_owned(),
                format!("`secrets` has more than {MAX_SECRETS} values, the most that are allowed"),
            );
        }
        for (name, value) in &secrets {
            if value.len() < MIN_SECRET_BYTES {
                let detail = format!(
                    "the secret {name} has fewer than {MIN_SECRET_BYTES} bytes, \
                     too few to tell it from other text"
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
            (None, None) => Some(Engine::mint()),
        };
        body.finish()?;
        let id = id.ok_or_else(|| Problem::new(Code::InvalidBody, "the id is not valid"))?;
        Ok(Self { id, plan, name, directory, environment, secrets })
    }

    /// What the engine starts. Reads the files that the plan names, so it belongs on a thread that
    /// may block.
    fn compile(&self, wanted: &Wanted) -> Result<Compiled, Problem> {
        let refused = |detail: String| Problem::new(Code::Refused, self.redacted(detail));
        if !self.directory.is_dir() {
            return Err(refused(format!("there is no directory {}", self.directory.display())));
        }
        let environment = Environment::Of(self.environment.clone());
        let plan = Plan::read_text(&self.plan, &self.name, &self.directory, wanted);
        let compiled = plan
            .and_then(|plan| plan.compile_while(&environment, wanted))
            .map_err(|error| self.problem(&error))?;
        match compiled.secrets.iter().find(|secret| !self.secrets.contains_key(&secret.name)) {
            None => Ok(compiled),
            Some(absent) => Err(refused(format!(
                "the plan needs the secret {}; give its value with `secrets`",
                absent.name
            ))),
        }
    }

    /// What is wrong with the plan, without the values of secrets that it quotes.
    fn problem(&self, error: &PlanError) -> Problem {
        let mut problem = Problem::of_plan(error, &self.name);
        problem.detail = self.redacted(problem.detail);
        for fault in &mut problem.errors {
            let redact = |text: &mut Option<String>| {
                *text = text.take().map(|text| self.redacted(text));
            };
            fault.detail = self.redacted(std::mem::take(&mut fault.detail));
            redact(&mut fault.file);
            redact(&mut fault.suggestion);
            let before = fault.text.as_ref().map(String::len);
            redact(&mut fault.text);
            // What is marked lies elsewhere in a text of which a part was replaced.
            if fault.text.as_ref().map(String::len) != before {
                fault.mark = None;
            }
        }
        problem
    }

    /// Values of secrets are replaced as they are, and as messages quote them.
    fn redacted(&self, mut text: String) -> String {
        for (name, value) in &self.secrets {
            let quoted = value.escape_debug().to_string();
            for form in [value, &quoted] {
                if text.contains(form) {
                    text = text.replace(form, &format!("[secret {name}]"));
                }
            }
        }
        text
    }
}
