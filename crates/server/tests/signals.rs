//! Signals over the socket: sent, followed, looked back at, and refused.

use crate::common::{Bench, Result};
use antiphon::id::CoordinationId;
use antiphon::signals::Signal;
use antiphon_server::{
    Client, Code, FollowAfter, Server, SignalDedup, SignalLine, SignalQuery, SignalRequest,
};
use serde_json::json;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

fn note(from: &str) -> SignalRequest {
    let from = Some(from.to_owned());
    SignalRequest { r#type: "note".to_owned(), from, ..SignalRequest::default() }
}

/// A signal as `version type sender data`.
fn told(signal: &SignalLine) -> String {
    let data = signal.data.as_ref().map_or("-", |data| data.get());
    format!("{} {} {} {data}", signal.version, signal.r#type, signal.from)
}

#[tokio::test]
async fn what_is_sent_is_heard_by_those_who_asked_for_it_also_when_the_server_was_away() -> Result {
    let mut bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let review = SignalRequest {
        r#type: "review.asked".to_owned(),
        from: Some("a".to_owned()),
        to: vec!["b".to_owned()],
        data: Some(RawValue::from_string(
            "{\n \"n\": 100000000000000000001, \"of\": \"x\" }".into(),
        )?),
        ..SignalRequest::default()
    };
    assert_eq!(client.signal(&run, &review, None).await?.version, 2);
    let mut later = client.signals(&run, &SignalQuery::default(), FollowAfter::Now);
    later.begun().await?;
    let dedup = SignalDedup { key: "first".to_owned(), window_ms: Some(60_000), cap: Some(10) };
    let once = SignalRequest { dedup: Some(dedup), failed: true, ..note("b") };
    assert_eq!(client.signal(&run, &once, None).await?.version, 3);
    assert_eq!(client.signal(&run, &once, None).await?.version, 3);
    assert_eq!(client.signal(&run, &note("c"), Some("k")).await?.version, 4);
    assert_eq!(client.signal(&run, &note("c"), Some("k")).await?.version, 4);
    let other = client.signal(&run, &review, Some("k")).await.unwrap_err();
    assert_eq!(other.problem().and_then(|problem| problem.known_code()), Some(Code::KeyUsed));

    let query = |kind: &str| SignalQuery { types: vec![kind.to_owned()], ..SignalQuery::default() };
    let all = client.signal_history(&run, &SignalQuery::default(), 2).await?;
    assert_eq!(all.signals.iter().map(told).collect::<Vec<_>>(), ["4 note c -", "3 note b -"]);
    let of_x = SignalQuery { data: [("of".to_owned(), json!("x"))].into(), ..query("review.*") };
    let found = client.signal_history(&run, &of_x, 10).await?;
    // A number is not one of those that JSON readers know; it comes as it was sent.
    let expected = "2 review.asked a {  \"n\": 100000000000000000001, \"of\": \"x\" }";
    assert_eq!(found.signals.iter().map(told).collect::<Vec<_>>(), [expected]);
    let failed = SignalQuery { failed: Some(true), ..SignalQuery::default() };
    assert_eq!(client.signal_history(&run, &failed, 10).await?.signals.len(), 1);

    let mut notes = client.signals(&run, &query("note"), FollowAfter::Beginning);
    assert_eq!(notes.next().await?.as_ref().map(told).as_deref(), Some("3 note b -"));
    for expected in ["3 note b -", "4 note c -"] {
        assert_eq!(later.next().await?.as_ref().map(told).as_deref(), Some(expected));
    }
    bench.shutdown.cancel();
    (&mut bench.served).await?;
    bench.engine.run("inbox")?.signal(Signal::new("note".parse()?).from("d".parse()?)).await?;
    bench.engine.run("inbox")?.close("done").await?;
    let server = Server::bind(&bench.dir, bench.engine.clone()).await?;
    bench.shutdown = CancellationToken::new();
    bench.served = tokio::spawn(server.serve(bench.shutdown.clone()));
    for expected in [Some("4 note c -"), Some("5 note d -"), None, None] {
        assert_eq!(notes.next().await?.as_ref().map(told).as_deref(), expected);
    }
    for expected in [Some("5 note d -"), None] {
        assert_eq!(later.next().await?.as_ref().map(told).as_deref(), expected);
    }
    let ended = client.signal(&run, &note("c"), None).await.unwrap_err();
    assert_eq!(ended.problem().and_then(|problem| problem.known_code()), Some(Code::RunEnded));
    assert_eq!(client.signal(&run, &note("c"), Some("k")).await?.version, 4);
    let mut nothing = client.signals(&run, &SignalQuery::default(), FollowAfter::Now);
    assert!(nothing.next().await?.is_none());
    bench.stop().await
}

#[tokio::test]
async fn a_signal_of_the_type_end_is_a_signal_and_no_end_of_the_stream() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let end = SignalRequest { r#type: "end".to_owned(), ..note("a") };
    client.signal(&run, &end, None).await?;
    client.signal(&run, &note("b"), None).await?;
    let mut signals = client.signals(&run, &SignalQuery::default(), FollowAfter::Beginning);
    for expected in ["2 end a -", "3 note b -"] {
        assert_eq!(signals.next().await?.as_ref().map(told).as_deref(), Some(expected));
    }
    bench.stop().await
}

#[tokio::test]
async fn what_is_no_signal_and_no_question_is_told_apart_with_every_fault_at_once() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let large = format!("{{\"type\":\"note\",\"data\":\"{}\"}}", "x".repeat(65_536));
    let bodies = [
        ("{}", "invalid_body /type"),
        (
            r#"{"type":"a b","to":[""],"about":7,"failed":1,"dedup":{"window_ms":0,"keys":1},"x":1}"#,
            "invalid_body /about /failed /dedup/key /dedup/window_ms /dedup/keys /type /to/0 /x",
        ),
        (large.as_str(), "invalid_body /data"),
        (r#"{"type":"note","dedup":{"key":""}}"#, "refused"),
        (r#"{"type":"note","dedup":{"key":"k","window_ms":86400001}}"#, "refused"),
    ];
    for (body, expected) in bodies {
        let answer = bench.post("/v1/runs/inbox/signals", body).await?;
        let problem = answer.split_once("\n\n").ok_or("no body")?.1;
        let problem: serde_json::Value = serde_json::from_str(problem)?;
        let mut seen = vec![problem["code"].as_str().unwrap_or_default().to_owned()];
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        seen.extend(errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()));
        seen[1..].sort();
        let mut expected: Vec<_> = expected.split(' ').collect();
        expected[1..].sort_unstable();
        assert_eq!(seen, expected, "{answer}");
    }
    let unknown = bench.post("/v1/runs/none/signals", r#"{"type":"note"}"#).await?;
    assert!(unknown.contains(r#""code":"unknown_run""#), "{unknown}");
    for query in
        ["limit=0", "limit=1001", "type=a%20b", "failed=no", "after=now", "x=1", "from=a&from=b"]
    {
        let answer = bench.get(&format!("/v1/runs/inbox/signals?{query}")).await?;
        assert!(answer.contains(r#""code":"invalid_request""#), "{query}: {answer}");
    }
    assert_eq!(bench.engine.run("inbox")?.status().await?.version.0, 1, "nothing was recorded");
    bench.stop().await
}
