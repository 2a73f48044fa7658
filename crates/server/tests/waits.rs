//! Waiting over the socket: met, timed out, ended, refused, and given up.

use crate::common::{Bench, Result, Setting, until};
use antiphon::id::CoordinationId;
use antiphon::keys::{JsonText, KeyWrite};
use antiphon_server::{
    Client, ClientError, ClientLimits, Code, NeedRequest, WaitAnswer, WaitEnd, WaitRequest,
};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

fn signal(kind: &str) -> NeedRequest {
    NeedRequest { signal: Some(kind.to_owned()), ..NeedRequest::default() }
}

fn item(id: &str) -> NeedRequest {
    NeedRequest { item: Some(id.to_owned()), ..NeedRequest::default() }
}

fn gate(name: &str, at_least: &str) -> NeedRequest {
    let (gate, at_least) = (Some(name.to_owned()), Some(at_least.to_owned()));
    NeedRequest { gate, at_least, ..NeedRequest::default() }
}

fn all(needs: &[NeedRequest], timeout_ms: Option<u64>) -> WaitRequest {
    WaitRequest { needs: needs.to_vec(), timeout_ms }
}

fn told(answer: &WaitAnswer) -> String {
    serde_json::to_string(answer).unwrap()
}

fn code(error: &ClientError) -> Option<Code> {
    error.problem().and_then(|problem| problem.known_code())
}

async fn score(bench: &Bench, gate: &str, score: i64) -> Result {
    let key = format!("gate/{gate}").parse()?;
    let write = KeyWrite::set(key, JsonText::new(score.to_string())?)?;
    bench.engine.run("run")?.set_keys([write]).await?;
    Ok(())
}

#[tokio::test]
async fn a_wait_is_answered_once_it_is_met_its_time_is_over_or_the_run_has_ended() -> Result {
    let bench = Bench::new().await?;
    bench.start("run", "open\nwork a fail").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("run")?);
    let timed_out = client.wait_for(&run, &all(&[signal("built")], Some(5))).await?;
    assert_eq!(told(&timed_out), r#"{"run":"run","waited":"timed_out","unmet":["signal built"]}"#);

    let wanted = all(&[item("a"), gate("coverage", "0.8")], None);
    let waits = tokio::spawn({
        let (client, run) = (client.clone(), run.clone());
        async move { client.wait_for(&run, &wanted).await }
    });
    score(&bench, "coverage", 700_000).await?;
    score(&bench, "coverage", 800_000).await?;
    let met: serde_json::Value = serde_json::to_value(waits.await??)?;
    assert_eq!(met["waited"], "met");
    assert_eq!(met["met"][0], json!({ "need": "a", "outcome": "failed" }));
    assert_eq!(met["met"][1]["need"], "gate coverage of at least 0.8");
    assert!(met["met"][1]["version"].as_u64().is_some(), "{met}");

    let ends = tokio::spawn({
        let (client, run) = (client.clone(), run.clone());
        async move { client.wait_for(&run, &all(&[signal("built")], None)).await }
    });
    bench.engine.run("run")?.cancel("enough").await?;
    let ended = ends.await??;
    assert_eq!((ended.waited, ended.unmet), (WaitEnd::RunEnded, vec!["signal built".to_owned()]));
    let late = client.wait_for(&run, &all(&[gate("coverage", "0.8")], None)).await?;
    assert_eq!(late.waited, WaitEnd::Met, "as the run left it");

    let none = client.wait_for(&CoordinationId::new("other")?, &all(&[item("a")], None)).await;
    assert_eq!(code(&none.unwrap_err()), Some(Code::UnknownRun));
    bench.stop().await
}

#[tokio::test]
async fn what_is_wrong_with_a_wait_is_named_with_its_place() -> Result {
    let bench = Bench::new().await?;
    bench.start("run", "work a hold").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("run")?);
    let both = NeedRequest { item: Some("a".to_owned()), ..signal("built") };
    let agents =
        NeedRequest { about: Some("a".to_owned()), from: Some("b".to_owned()), ..signal("built") };
    let wrong = [both, agents, gate("coverage", "0.8000001"), NeedRequest::default(), signal("")];
    let error = client.wait_for(&run, &all(&wrong, None)).await.unwrap_err();
    let problem = error.problem().unwrap();
    let at: Vec<_> = problem.errors.iter().map(|fault| fault.pointer.clone().unwrap()).collect();
    assert_eq!(at, ["/needs/0", "/needs/1", "/needs/2/at_least", "/needs/3", "/needs/4/signal"]);
    let answer = bench.post("/v1/runs/run/waits", r#"{"needs": [1], "odd": 2}"#).await?;
    assert!(answer.contains("every one of `needs` must be an object"), "{answer}");
    assert!(answer.contains("\"/odd\""), "{answer}");
    for (needs, expected) in [
        (vec![], Code::InvalidBody),
        (vec![signal("x"); 101], Code::InvalidBody),
        (vec![item("later")], Code::UnknownWork),
    ] {
        let error = client.wait_for(&run, &all(&needs, None)).await.unwrap_err();
        assert_eq!(code(&error), Some(expected), "{error}");
    }
    bench.stop().await
}

#[tokio::test]
async fn a_caller_that_hangs_up_gives_its_place_free_and_a_stop_ends_the_others() -> Result {
    let limits = ClientLimits { connections: 2, ..ClientLimits::default() };
    let bench = Bench::with(Setting { limits, ..Setting::default() }).await?;
    bench.start("run", "open").await?;
    let body = r#"{"needs":[{"signal":"never"}]}"#;
    let request = format!(
        "POST /v1/runs/run/waits HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // A place that was not given back would be missing after the second round.
    for _ in 0..4 {
        let mut waits = bench.connect().await?;
        waits.write_all(request.as_bytes()).await?;
        drop(waits);
        while bench.get("/v1/health").await?.contains("too_many_connections") {
            tokio::task::yield_now().await;
        }
    }
    let mut waits = bench.connect().await?;
    waits.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    until(&mut waits, "}").await?;
    waits.write_all(request.as_bytes()).await?;
    // One that came after it has been answered, so that it has been read.
    bench.get("/v1/health").await?;
    bench.shutdown.cancel();
    let answer = until(&mut waits, "}").await?;
    assert!(answer.contains("\"code\":\"stopping\""), "{answer}");
    bench.stop().await
}
