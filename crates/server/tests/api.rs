//! Every request from the socket to the ledger and back, with whole answers.

use crate::common::{Bench, PLAN, Result, Setting, Transcript, submission};
use antiphon::id::CoordinationId;

/// A running engine, and what is said to it with what it answers.
struct Talk {
    bench: Bench,
    said: Transcript,
}

impl Talk {
    async fn with(setting: Setting) -> Result<Self> {
        Ok(Self { bench: Bench::with(setting).await?, said: Transcript::default() })
    }

    async fn get(&mut self, path: &str) -> Result {
        self.said.say(&format!("GET {path}"), &self.bench.get(path).await?);
        Ok(())
    }

    /// Says a `POST` with a body, and with further header lines.
    async fn post(&mut self, path: &str, headers: &str, body: &str) -> Result {
        let shown = headers.trim_end();
        let spaced = if shown.is_empty() { String::new() } else { format!("{shown}  ") };
        let answer = self.bench.post_with(path, headers, body).await?;
        self.said.say(&format!("POST {path}  {spaced}{body}"), &answer);
        Ok(())
    }

    /// Says a stream of events.
    async fn stream(&mut self, path: &str, headers: &str) -> Result {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: text/event-stream\r\n{headers}\r\n"
        );
        self.said.say(
            &format!("GET {path}  accept: text/event-stream  {}", headers.trim_end()),
            &self.bench.raw(request).await?,
        );
        Ok(())
    }

    async fn ends(self, transcript: &str) -> Result {
        self.said.check(transcript);
        self.bench.stop().await
    }
}

/// Waits until an item is bound.
async fn bound(bench: &Bench, id: &CoordinationId) -> Result {
    let mut events = bench.engine.run(id)?.follow().await?;
    while let Some(event) = events.next().await? {
        if event.kind == "coordination.session_bound" {
            return Ok(());
        }
    }
    Err("nothing was bound".into())
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "its sessions are processes, which need Linux")]
async fn a_plan_is_submitted_followed_and_read_to_its_receipt() -> Result {
    let mut talk = Talk::with(Setting { processes: true, ..Setting::default() }).await?;
    talk.get("/v1/health").await?;
    let plan = "name: build\nbudget: { sessions: 10, duration: 10m }\nwork:\n  models: { command: [echo, models] }\n  \
                tests: { command: [echo, tests], needs: [models] }\n";
    let body = submission("build", plan);
    talk.post("/v1/runs", "", &body).await?;
    talk.bench.engine.run(&CoordinationId::new("build")?)?.wait().await?;
    talk.post("/v1/runs", "", &body).await?;
    talk.get("/v1/runs/build").await?;
    talk.get("/v1/runs/build/events?after=3&limit=2").await?;
    talk.stream("/v1/runs/build/events", "").await?;
    talk.stream("/v1/runs/build/events?after=1", "last-event-id: 6\r\n").await?;
    talk.stream("/v1/runs/build/events?after=7", "").await?;
    talk.get("/v1/runs/build/receipt").await?;
    talk.ends("submit_to_receipt").await
}

#[tokio::test]
async fn a_running_coordination_is_steered_and_says_why_it_waits() -> Result {
    let mut talk = Talk::with(Setting::default()).await?;
    let id = CoordinationId::new("long")?;
    talk.bench.start("long", "work first hold\nwork second echo first\nwork third nobody").await?;
    bound(&talk.bench, &id).await?;
    talk.get("/v1/runs/long/work/first/why").await?;
    talk.get("/v1/runs/long/work/second/why").await?;
    talk.get("/v1/runs/long/work/third/why").await?;
    talk.get("/v1/runs/long/receipt").await?;
    talk.post("/v1/runs/long/continue", "", "{}").await?;
    talk.post("/v1/runs/long/pause", "idempotency-key: p1\r\n", r#"{"reason":"lunch"}"#).await?;
    talk.post("/v1/runs/long/pause", "idempotency-key: \"p1\"\r\n", r#"{"reason":"lunch"}"#)
        .await?;
    talk.post("/v1/runs/long/cancel", "idempotency-key: p1\r\n", "").await?;
    talk.post("/v1/runs/long/pause", "", "").await?;
    talk.get("/v1/runs/long/work/second/why").await?;
    talk.post("/v1/runs/long/continue", "", r#"{"sessions":50}"#).await?;
    talk.post("/v1/runs/long/continue", "", r#"{"cost":50}"#).await?;
    talk.post("/v1/runs/long/continue", "", r#"{"sessions":150,"duration_ms":700000}"#).await?;
    talk.get("/v1/runs/long/events?after=5").await?;
    talk.post("/v1/runs/long/cancel", "idempotency-key: c1\r\n", r#"{"reason":"enough"}"#).await?;
    talk.bench.engine.run(&id)?.wait().await?;
    talk.post("/v1/runs/long/cancel", "idempotency-key: c1\r\n", r#"{"reason":"enough"}"#).await?;
    talk.post("/v1/runs/long/pause", "idempotency-key: c1\r\n", "").await?;
    talk.post("/v1/runs/long/cancel", "idempotency-key: c2\r\n", "").await?;
    talk.get("/v1/runs/long/work/second/why").await?;
    talk.ends("steering").await
}

#[tokio::test]
async fn a_run_that_has_spent_its_budget_says_which_ceilings_are_enough() -> Result {
    let mut talk = Talk::with(Setting { processes: true, ..Setting::default() }).await?;
    let plan = "name: tight\nbudget: { sessions: 1, duration: 10m }\non_exhausted: pause\nwork:\n  \
                a: { command: ['false'], retry: { attempts: 2 } }\n";
    talk.bench.post("/v1/runs", &submission("tight", plan)).await?;
    let run = talk.bench.engine.run(&CoordinationId::new("tight")?)?;
    let mut events = run.follow().await?;
    while events.next().await?.is_some_and(|event| event.kind != "coordination.paused") {}
    talk.get("/v1/runs/tight").await?;
    talk.post("/v1/runs/tight/continue", "", "{}").await?;
    talk.post("/v1/runs/tight/continue", "", r#"{"sessions":1,"duration_ms":900000}"#).await?;
    talk.post("/v1/runs/tight/continue", "", r#"{"sessions":2,"duration_ms":1000}"#).await?;
    talk.post("/v1/runs/tight/continue", "", r#"{"sessions":2}"#).await?;
    run.wait().await?;
    talk.ends("spent_budget").await
}

#[tokio::test]
async fn open_coordinations_are_drained_and_closed() -> Result {
    let mut talk = Talk::with(Setting::default()).await?;
    talk.bench.start("closing", "open").await?;
    talk.post("/v1/runs/closing/close", "", r#"{"reason":"the day is over"}"#).await?;
    talk.bench.engine.run(&CoordinationId::new("closing")?)?.wait().await?;
    talk.get("/v1/runs/closing/events?after=1").await?;
    talk.bench.start("draining", "open\nwork a hold").await?;
    bound(&talk.bench, &CoordinationId::new("draining")?).await?;
    talk.post("/v1/runs/draining/drain", "", "").await?;
    talk.post("/v1/runs/draining/drain", "", "").await?;
    talk.bench.release.cancel();
    talk.bench.engine.run(&CoordinationId::new("draining")?)?.wait().await?;
    talk.get("/v1/runs/draining/events?after=4").await?;
    talk.ends("drain_and_close").await
}

#[tokio::test]
async fn lists_are_filtered_and_paged() -> Result {
    let mut talk = Talk::with(Setting::default()).await?;
    for id in ["one", "two", "three"] {
        talk.bench.start(id, "work a echo").await?;
        talk.bench.engine.run(&CoordinationId::new(id)?)?.wait().await?;
    }
    talk.bench.start("bad", "work a fail").await?;
    talk.bench.engine.run(&CoordinationId::new("bad")?)?.wait().await?;
    talk.bench.start("going", "work a hold").await?;
    let ids = |answer: String| -> Result<String> {
        let (_, body) = answer.split_once("\n\n").ok_or("no body")?;
        let page: antiphon_server::ListPage = serde_json::from_str(body)?;
        let ids: Vec<&str> = page.runs.iter().map(|line| line.id.as_str()).collect();
        Ok(format!("{} next {:?}", ids.join(" "), page.next))
    };
    for query in [
        "",
        "?limit=2",
        "?limit=2&cursor=bad",
        "?limit=2&cursor=two",
        "?running=true",
        "?ended=true",
        "?ended=true&limit=1",
        "?status=failed",
        "?status=partial",
    ] {
        let answer = talk.bench.get(&format!("/v1/runs{query}")).await?;
        talk.said.say(query, &ids(answer)?);
    }
    talk.get("/v1/runs?status=failed").await?;
    talk.ends("lists").await
}

#[tokio::test]
async fn an_exported_receipt_verifies_without_the_ledger() -> Result {
    let bench = Bench::new().await?;
    bench.start("build", "work a echo").await?;
    bench.engine.run(&CoordinationId::new("build")?)?.wait().await?;
    let answer = bench.get("/v1/runs/build/receipt?evidence=true").await?;
    let (_, body) = answer.split_once("\n\n").ok_or("no body")?;
    let report = antiphon::ledger::export::verify_export(body.as_bytes());
    assert_eq!(report.findings, []);
    bench.stop().await
}

#[tokio::test]
async fn without_an_id_the_key_is_the_id_and_without_both_a_new_one_is_made() -> Result {
    let bench = Bench::new().await?;
    let body = &submission("", PLAN).replace("\"id\":\"\",", "");
    let first = bench.post_with("/v1/runs", "idempotency-key: mine\r\n", body).await?;
    assert!(first.ends_with("\n{\"id\":\"mine\",\"existing\":false}\n"), "{first}");
    let again = bench.post_with("/v1/runs", "idempotency-key: mine\r\n", body).await?;
    assert!(again.ends_with("\n{\"id\":\"mine\",\"existing\":true}\n"), "{again}");
    let minted = |answer: String| -> Result<antiphon_server::SubmitAnswer> {
        Ok(serde_json::from_str(answer.split_once("\n\n").ok_or("no body")?.1)?)
    };
    let (one, two) = (
        minted(bench.post("/v1/runs", body).await?)?,
        minted(bench.post("/v1/runs", body).await?)?,
    );
    assert!(one.id < two.id && !one.existing && !two.existing, "{one:?} {two:?}");
    bench.stop().await
}
