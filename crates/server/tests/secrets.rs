//! The values of secrets reach the sessions that ask for them and nothing else: no answer, no log
//! line, no file of the state directory.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use crate::common::{Bench, Result, Setting};
use antiphon::id::CoordinationId;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const CANARY: &str = "canary-3f9a-\"quoted\"\\and/slashed";

/// Everything that is logged, down to the finest level.
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
#[cfg_attr(not(target_os = "linux"), ignore = "its sessions are processes, which need Linux")]
async fn a_secret_reaches_its_session_and_nothing_else() -> Result {
    tracing::subscriber::set_global_default(Everything)?;
    let bench = Bench::with(Setting { processes: true, ..Setting::default() }).await?;
    let plan = |text: &str| {
        format!(
            "name: secrets\nbudget: {{ sessions: 9, duration: 10m }}\nwork:\n  a:\n    env: {{ API_KEY: {{ secret: API_KEY }} }}\n    {text}\n"
        )
    };
    let body = |name: &str, text: &str, secrets: serde_json::Value| {
        serde_json::json!({
            "plan": plan(text), "name": name, "directory": "/tmp", "environment": { "PATH": "/usr/bin:/bin" },
            "secrets": secrets, "id": name
        })
        .to_string()
    };
    let key = serde_json::json!({ "API_KEY": CANARY });
    // It says how long the value is, and then the value itself.
    let tells = "shell: 'printf %s \"$API_KEY\" | wc -c; printf %s \"$API_KEY\"'";
    // The plan quotes the value where a key belongs.
    let quoting =
        bench.post("/v1/runs", &body("quoting", &format!("'{CANARY}': 1"), key.clone())).await?;
    assert!(quoting.contains("unknown key `[secret API_KEY]`"), "{quoting}");
    assert!(quoting.contains("\"text\":\"    '[secret API_KEY]': 1\""), "{quoting}");
    let mut answers = vec![quoting];
    for body in [
        body("fine", tells, key.clone()),
        body("fine", tells, key.clone()),
        body("refusing", tells, key.clone()).replace("/tmp", &format!("/{}", forms()[1])),
        body("a b", tells, key.clone()),
        // In the wrong place, of the wrong shape, cut off.
        body("list", tells, serde_json::json!([CANARY])),
        body("text", tells, CANARY.into()),
        body("deep", tells, serde_json::json!({ "API_KEY": { "value": CANARY } })),
        body("other", tells, serde_json::json!({ "OTHER_KEY": CANARY })),
        body("fine", tells, key.clone()).replace("secrets", "secret"),
        body("fine", tells, key.clone()).replace('}', ""),
        body("fine", tells, key.clone()).replace("\"id\":\"fine\"", "\"id\":5"),
        body("fine", tells, key).replace("canary", "canary\u{0}"),
    ] {
        answers.push(bench.post("/v1/runs", &body).await?);
    }
    assert!(answers[3].contains("there is no directory /[secret API_KEY]"), "{}", answers[3]);
    assert!(answers[8].contains("the plan needs the secret API_KEY"), "{}", answers[8]);
    let id = CoordinationId::new("fine")?;
    bench.engine.run(&id)?.wait().await?;
    answers.push(bench.get("/v1/runs/fine/events").await?);
    let blobs: Vec<String> = files(&bench.dir)?.into_iter().map(|(_, text)| text).collect();
    let printed = format!("{}\n[secret API_KEY]", CANARY.len());
    assert!(blobs.iter().any(|text| text.contains(&printed)), "the session had the value");
    for answer in &answers {
        assert!(is_clean(answer), "{answer}");
    }
    for (path, text) in files(&bench.dir)? {
        assert!(is_clean(&text), "{path}");
    }
    let log = LOG.lock().unwrap().clone();
    assert!(log.contains("status=201") && is_clean(&log), "{log}");
    bench.stop().await
}
