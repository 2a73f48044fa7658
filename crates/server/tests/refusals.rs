//! Malformed requests of every kind: each gets its answer, none of them matters to the next.

use crate::common::{Bench, PLAN, Result, Setting, Transcript, submission};
use antiphon::Unavailable;
use antiphon::envelope::Recorded;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::failing::{Faults, refused};
use antiphon::world::Rejection;
use antiphon_server::{Code, Problem};

#[tokio::test]
async fn requests_that_make_no_sense_are_told_what_is_wrong() -> Result {
    let (bench, mut t) = (Bench::new().await?, Transcript::default());
    bench.start("there", "work a hold").await?;
    for path in [
        "/",
        "/v1/nothing",
        "/v1/runs/unknown",
        "/v1/runs/unknown/events",
        "/v1/runs/unknown/work/a/why",
        "/v1/runs/unknown/receipt",
        "/v1/runs/there/work/b/why",
        "/v1/runs/two%20words",
        "/v1/runs/%ff",
        "/v1/runs?limit=0",
        "/v1/runs?limit=many",
        "/v1/runs?status=odd",
        "/v1/runs?running=true&ended=true",
        "/v1/runs?cursor=unknown",
        "/v1/runs?colour=red",
        "/v1/runs/there/events?after=-1",
        "/v1/runs/there/events?after=9007199254740992",
        "/v1/runs/there/events?limit=1001",
    ] {
        t.say(&format!("GET {path}"), &bench.get(path).await?);
    }
    for headers in [
        "accept: text/event-stream\r\nlast-event-id: x\r\n",
        "accept: text/event-stream\r\nlast-event-id: -1\r\n",
    ] {
        let request = format!(
            "GET /v1/runs/there/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
        );
        t.say(headers.trim_end(), &bench.raw(request).await?);
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = format!("{method} /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        t.say(&format!("{method} /v1/runs"), &bench.raw(request).await?);
    }
    for key in ["", "\u{e9}", "a\r\nidempotency-key: b", &"k".repeat(257)] {
        let headers = format!("idempotency-key: {key}\r\n");
        let answer = bench.post_with("/v1/runs/there/pause", &headers, "{}").await?;
        t.say(&format!("idempotency-key: {}", key.escape_debug()), &answer);
    }
    let body = submission("x", "").replace("\"id\":\"x\",", "");
    let answer = bench.post_with("/v1/runs", "idempotency-key: there.7\r\n", &body).await?;
    t.say("a key that is no id", &answer);
    t.check("senseless_requests");
    bench.stop().await
}

#[tokio::test]
async fn bodies_are_told_everything_that_is_wrong_with_them() -> Result {
    let (bench, mut t) = (Bench::new().await?, Transcript::default());
    bench.start("there", "work a hold").await?;
    for body in [
        "",
        "{",
        "{\"plan\": \"\u{1}\"}",
        "[]",
        "\"plan\"",
        "{} {}",
        "{}",
        r#"{"plan":1,"name":null,"directory":[],"environment":"PATH","secrets":{"A":5},"id":{},"color":"red","a/b":1}"#,
        r#"{"plan":"name: p\nbudget: { sessions: 1, duration: 1m }\nwork: { a: { command: [echo] } }","name":"p","directory":"here","secrets":{"KEY":"short"},"id":"a/b"}"#,
        r#"{"plan":"name: p\nbudget: { sessions: 1, duration: 1m }\nwork: { a: { command: [echo] } }","name":"p","directory":"/tmp","id":"there.4"}"#,
        r#"{"plan":"name: p\nbudget: { sessions: 1, duration: 1m }\nwork: { a: { command: [echo] } }","name":"p","directory":"/nowhere/at/all"}"#,
        r#"{"plan":"work:\n  a: { command: [echo], timeout: 5 }\nwrok: {}\nfoo: 1\n","name":"plan.yaml","directory":"/tmp"}"#,
        r#"{"plan":"","name":"plan.yaml","directory":"/tmp"}"#,
        r#"{"plan":"name: p\nbudget: { sessions: 1, duration: 1m }\nwork: { a: { command: [echo] } }","name":"plan.yaml","directory":"/tmp","id":"there"}"#,
    ] {
        t.say(
            &format!("POST /v1/runs  {}", body.escape_debug()),
            &bench.post("/v1/runs", body).await?,
        );
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    t.say("100,000 lists in each other", &bench.post("/v1/runs", &deep).await?);
    for body in [r#"{"reason":5}"#, r#"{"because":"x"}"#, "null"] {
        t.say(&format!("POST cancel  {body}"), &bench.post("/v1/runs/there/cancel", body).await?);
    }
    for body in [
        r#"{"sessions":0}"#,
        r#"{"sessions":-1,"tokens":1.5,"cost":"much","duration_ms":18446744073709551615}"#,
        r#"{"reason":"x"}"#,
    ] {
        t.say(
            &format!("POST continue  {body}"),
            &bench.post("/v1/runs/there/continue", body).await?,
        );
    }
    t.say("POST cancel of nothing", &bench.post("/v1/runs/unknown/cancel", "").await?);
    let form = "POST /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                content-length: 8\r\n\r\nplan=abc";
    t.say("a form", &bench.raw(form).await?);
    let mut bytes =
        b"POST /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n\
                     content-length: 12\r\n\r\n{\"plan\": \""
            .to_vec();
    bytes.extend([0xff, b'"']);
    t.say("a text that is not UTF-8", &bench.raw(bytes).await?);
    t.check("senseless_bodies");
    bench.stop().await
}

#[tokio::test]
async fn what_is_not_http_is_answered_shortly_and_leaves_no_trace() -> Result {
    let (bench, mut t) = (Bench::new().await?, Transcript::default());
    let many: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(64 * 1024));
    let long = "a".repeat(70_000);
    for (what, request) in [
        ("garbage", "\u{0}\u{1}\u{2}\r\n\r\n".to_owned()),
        ("a greeting", "EHLO me\r\n\r\n".to_owned()),
        ("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("an empty name", "GET /v1/health HTTP/1.1\r\n: x\r\n\r\n".to_owned()),
        ("a length that is none", "POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n".to_owned()),
        ("two lengths", "POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".to_owned()),
        ("too many fields", format!("GET /v1/health HTTP/1.1\r\nhost: x\r\n{many}\r\n")),
        ("a field that is too large", format!("GET /v1/health HTTP/1.1\r\nhost: x\r\n{large}\r\n")),
        ("a path that is too long", format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n")),
        (
            "a chunk that is none",
            "POST /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: \
             chunked\r\n\r\nxyz\r\n"
                .to_owned(),
        ),
        ("HTTP/1.0", "GET /v1/runs/unknown HTTP/1.0\r\nhost: x\r\n\r\n".to_owned()),
    ] {
        t.say(what, &bench.raw(request).await?);
    }
    t.check("not_http");
    bench.engine.health().await?;
    assert!(bench.get("/v1/runs").await?.ends_with("\n{\"runs\":[]}\n"));
    bench.stop().await
}

#[tokio::test]
async fn an_id_in_any_letters_goes_through_a_path() -> Result {
    let bench = Bench::new().await?;
    let id = CoordinationId::new("größe:100%_?#&\"'<>")?;
    let answer = bench.submit(id.as_str(), PLAN).await?;
    assert!(
        answer.contains("location: /v1/runs/gr%C3%B6%C3%9Fe%3A100%25_%3F%23%26%22%27%3C%3E\n"),
        "{answer}"
    );
    let client = antiphon_server::Client::connect(&bench.dir).await?;
    assert_eq!(client.status(&id).await?.id, id.as_str());
    bench.stop().await
}

#[tokio::test]
async fn what_the_ledger_refuses_to_record_may_be_asked_again() -> Result {
    let faults = Faults::default();
    let _sound_again = faults.until_dropped();
    let bench = Bench::with(Setting { faults: faults.clone(), ..Setting::default() }).await?;
    let of_a_run = |event: &Recorded| event.stream != StreamName::Ledger;
    faults.set(move |append| append.events.iter().any(of_a_run).then(refused));
    let refused = bench.submit("later", PLAN).await?;
    let expected = "HTTP/1.1 503 Service Unavailable\ncontent-type: application/problem+json\nretry-after: 1\n";
    assert!(refused.starts_with(expected), "{refused}");
    assert!(
        refused.contains("\"code\":\"not_taken\",\"detail\":\"the ledger refused to record this"),
        "{refused}"
    );
    faults.none();
    let taken = bench.submit("later", PLAN).await?;
    assert!(taken.starts_with("HTTP/1.1 201 Created\n"), "{taken}");
    bench.stop().await
}

#[test]
fn what_passes_by_itself_is_told_with_when_to_ask_again() {
    let answered = |problem: Problem| {
        (problem.code.clone(), problem.status, problem.known_code().and_then(Code::retry_after))
    };
    let reason = || "there is no room".to_owned();
    assert_eq!(answered(Rejection::TakingOver.into()), ("taking_over".to_owned(), 503, Some(1)));
    assert_eq!(
        answered(Unavailable::NotTaken { reason: reason() }.into()),
        ("not_taken".to_owned(), 503, Some(1))
    );
    assert_eq!(
        answered(Unavailable::ReadOnly { reason: reason() }.into()),
        ("read_only".to_owned(), 503, Some(1))
    );
    assert_eq!(
        answered(Unavailable::Poisoned { reason: reason() }.into()),
        ("poisoned".to_owned(), 503, None)
    );
}
