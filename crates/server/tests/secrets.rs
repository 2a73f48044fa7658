//! The values of secrets reach the compile function and nobody else: no answer, no log line, no
//! file of the state directory.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use antiphon::id::CoordinationId;
use antiphon_server::{CompileError, PlanProblem, Server, Submission};
use common::{Bench, Result, compile};
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const CANARY: &str = "canary-3f9a-\"quoted\"\\and/slashed";

/// Everything that anybody logs, down to the finest level.
static LOG: Mutex<String> = Mutex::new(String::new());

struct Everything;

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _written = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Line(&mut LOG.lock().unwrap()));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut LOG.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut LOG.lock().unwrap()));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn forms() -> [String; 3] {
    let json = serde_json::Value::from(CANARY).to_string();
    [CANARY.to_owned(), json.trim_matches('"').to_owned(), "canary-3f9a".to_owned()]
}

fn is_clean(text: &str) -> bool {
    forms().iter().all(|form| !text.contains(form.as_str()))
}

fn files(dir: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.is_file() {
            found.push((
                path.display().to_string(),
                String::from_utf8_lossy(&std::fs::read(&path)?).into_owned(),
            ));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_secret_is_seen_by_the_compile_function_alone() -> Result {
    tracing::subscriber::set_global_default(Everything)?;
    let mut bench = Bench::new().await?;
    bench.shutdown.cancel();
    (&mut bench.served).await?;
    let seen: Arc<OnceLock<String>> = Arc::default();
    let told = Arc::clone(&seen);
    let compile = move |submission: &Submission| {
        let Some(secret) = submission.secrets.get("API_KEY") else { return compile(submission) };
        let _first = told.set(format!("{} {submission:?}", secret.expose()));
        match submission.name.as_str() {
            // A parser that quotes the line at fault, where somebody wrote the value itself.
            "quoting" => Err(CompileError::Plan(vec![PlanProblem {
                message: format!("{} is no key", secret.expose()),
                text: Some(format!("  {}: 1", secret.expose())),
                suggestion: Some(secret.expose().to_owned()),
                line: Some(1),
                ..PlanProblem::default()
            }])),
            "refusing" => {
                Err(CompileError::Refused { detail: format!("no such file: {}", secret.expose()) })
            }
            _ => compile(submission),
        }
    };
    let server = Server::bind(&bench.dir, Arc::clone(&bench.engine), compile).await?;
    bench.shutdown = CancellationToken::new();
    bench.served = tokio::spawn(server.serve(bench.shutdown.clone()));

    let body = |name: &str, secrets: serde_json::Value| {
        let directory = "/tmp";
        serde_json::json!({ "plan": "work a echo", "name": name, "directory": directory, "secrets": secrets, "id": name })
            .to_string()
    };
    let key = serde_json::json!({ "API_KEY": CANARY });
    let quoting = bench.post("/v1/runs", &body("quoting", key.clone())).await?;
    assert!(quoting.contains("\"text\":\"  [secret API_KEY]: 1\""), "{quoting}");
    let mut answers = vec![quoting];
    for body in [
        body("fine", key.clone()),
        body("fine", key.clone()),
        body("refusing", key.clone()),
        body("a b", key.clone()),
        // In the wrong place, of the wrong shape, cut off.
        body("list", serde_json::json!([CANARY])),
        body("text", CANARY.into()),
        body("deep", serde_json::json!({ "API_KEY": { "value": CANARY } })),
        body("fine", key.clone()).replace("secrets", "secret"),
        body("fine", key.clone()).replace('}', ""),
        body("fine", key.clone()).replace("\"id\":\"fine\"", "\"id\":5"),
        body("fine", key).replace("canary", "canary\u{0}"),
    ] {
        answers.push(bench.post("/v1/runs", &body).await?);
    }
    bench.engine.wait(&CoordinationId::new("fine")?).await?;
    answers.push(bench.get("/v1/runs/fine/events").await?);
    let dir = bench.dir.clone();
    assert!(
        seen.get().is_some_and(|seen| seen.starts_with(CANARY) && is_clean(&seen[CANARY.len()..])),
        "{seen:?}"
    );
    for answer in &answers {
        assert!(is_clean(answer), "{answer}");
    }
    for (path, text) in files(&dir)? {
        assert!(is_clean(&text), "{path}");
    }
    let log = LOG.lock().unwrap().clone();
    assert!(log.contains("status=201") && is_clean(&log), "{log}");
    bench.stop().await
}
