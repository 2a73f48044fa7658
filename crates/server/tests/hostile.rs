//! Clients that are slow, greedy or silent: each meets a limit, and neither the engine nor its end
//! waits for them.

use std::time::Duration;

use crate::common::{Bench, PLAN, Result, Setting, rest, until};
use antiphon::id::{CoordinationId, Version};
use antiphon::ledger::failing::{Faults, unsynced};
use antiphon_server::ClientLimits;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

/// What a test that would otherwise hang may take.
const FAR_TOO_LONG: Duration = Duration::from_secs(20);

const SHORT: Duration = Duration::from_millis(100);

async fn bench(limits: ClientLimits) -> Result<Bench> {
    Bench::with(Setting { limits, ..Setting::default() }).await
}

/// Items whose events are more than the system keeps between two ends of a socket.
fn many_items() -> String {
    let items: Vec<String> =
        (0..300).map(|n| format!("work item-{n}-{} echo", "x".repeat(200))).collect();
    items.join("\n")
}

fn code(answer: &str) -> Option<&str> {
    answer.split_once("\"code\":\"")?.1.split('"').next()
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() -> Result {
    let bench = bench(ClientLimits { header_time: SHORT, ..ClientLimits::default() }).await?;
    let mut silent = bench.connect().await?;
    let mut slow = bench.connect().await?;
    slow.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\nx-slow").await?;
    let mut idle = bench.connect().await?;
    idle.write_all(b"GET /v1/runs/none HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    assert_eq!(timeout(FAR_TOO_LONG, rest(&mut silent)).await??, "");
    assert_eq!(timeout(FAR_TOO_LONG, rest(&mut slow)).await??, "");
    assert_eq!(code(&timeout(FAR_TOO_LONG, rest(&mut idle)).await??), Some("unknown_run"));
    bench.stop().await
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() -> Result {
    let bench = bench(ClientLimits { body_time: SHORT, ..ClientLimits::default() }).await?;
    let mut slow = bench.connect().await?;
    slow.write_all(
        b"POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"plan",
    )
    .await?;
    let answer = timeout(FAR_TOO_LONG, rest(&mut slow)).await??;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\n"), "{answer}");
    assert_eq!(code(&answer), Some("body_timeout"));
    bench.stop().await
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() -> Result {
    let bench = bench(ClientLimits { body_bytes: 1_000, ..ClientLimits::default() }).await?;
    let declared = bench.post("/v1/runs", &"x".repeat(1_001)).await?;
    assert!(declared.starts_with("HTTP/1.1 413 Payload Too Large\n"), "{declared}");
    assert_eq!(code(&declared), Some("body_too_large"));
    let head = "POST /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: \
                chunked\r\n\r\n";
    let chunks = format!("3e8\r\n{}\r\n", "x".repeat(1_000)).repeat(3);
    let chunked = bench.raw(format!("{head}{chunks}0\r\n\r\n")).await?;
    assert_eq!(code(&chunked), Some("body_too_large"));
    let fits = bench.post("/v1/runs", &format!("{:1000}", "{}")).await?;
    assert_eq!(code(&fits), Some("invalid_body"));
    bench.stop().await
}

/// A folder with a plan whose reading takes far longer than any client waits: hundreds of files, each
/// as large as one may be.
fn endless_plan(dir: &std::path::Path) -> Result<String> {
    let mut inner = "name: p\nbudget: { sessions: 40000, duration: 10m }\nwork:\n".to_owned();
    while inner.len() < 1_000_000 {
        inner +=
            &format!("  item-{:05}: {{ command: [echo, {}] }}\n", inner.len(), "x".repeat(200));
    }
    std::fs::write(dir.join("0.yaml"), inner)?;
    let mut plan =
        "name: p\nbudget: { sessions: 4000000, duration: 10m }\nwork:\n  a0: { plan: 0.yaml }\n"
            .to_owned();
    for n in 1..250 {
        std::fs::hard_link(dir.join("0.yaml"), dir.join(format!("{n}.yaml")))?;
        plan += &format!("  a{n}: {{ plan: {n}.yaml }}\n");
    }
    Ok(plan)
}

#[tokio::test]
async fn a_plan_whose_client_hung_up_makes_room_for_others_and_small_ones_need_not_wait() -> Result
{
    let bench = Bench::new().await?;
    let dir = tempfile::tempdir()?;
    let plan = endless_plan(dir.path())?;
    let padding = format!("# {}\n", "x".repeat(100_000));
    let body = serde_json::json!({
        "plan": plan + &padding, "name": "p.yaml", "directory": dir.path(), "environment": {}
    });
    let mut gone = Vec::new();
    for _ in 0..8 {
        gone.push(bench.connect().await?);
        let body = body.to_string();
        let head = "POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        gone.last_mut().ok_or("none")?.write_all(request.as_bytes()).await?;
    }
    let small = timeout(FAR_TOO_LONG, bench.submit("small", PLAN)).await??;
    assert!(small.starts_with("HTTP/1.1 201"), "{small}");
    drop(gone);
    let large = format!("{PLAN}{padding}");
    let large = timeout(FAR_TOO_LONG, bench.submit("large", &large)).await??;
    assert!(large.starts_with("HTTP/1.1 201"), "{large}");
    bench.stop().await
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_at_once() -> Result {
    let bench = bench(ClientLimits { connections: 2, ..ClientLimits::default() }).await?;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = bench.connect().await?;
        stream.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        until(&mut stream, "\"ok\"").await?;
        held.push(stream);
    }
    let expected = "HTTP/1.1 503 Service Unavailable\ncontent-type: application/problem+json\nretry-after: 1\nconnection: \
                    close\ncontent-length: 209\n\n{\"type\":\"urn:antiphon:error:too_many_connections\",\"title\":\"There are too many \
                    connections\",\"status\":503,\"code\":\"too_many_connections\",\"detail\":\"too many clients are connected; repeat the \
                    request in a moment\"}\n";
    let mut third = bench.connect().await?;
    assert_eq!(rest(&mut third).await?, expected);
    drop(held);
    timeout(FAR_TOO_LONG, free_places(&bench)).await??;
    bench.stop().await
}

/// Waits until the server has both places free again; how soon it sees that a client is gone is its
/// own affair.
async fn free_places(bench: &Bench) -> Result {
    loop {
        let mut first = bench.connect().await?;
        first.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        if until(&mut first, "}\n").await?.starts_with("HTTP/1.1 200")
            && bench.get("/v1/health").await?.starts_with("HTTP/1.1 200")
        {
            return Ok(());
        }
        drop(first);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_delays_nobody_and_is_cut_off() -> Result {
    let bench =
        bench(ClientLimits { write_time: SHORT, connections: 2, ..ClientLimits::default() })
            .await?;
    let items = many_items();
    bench.start("large", &format!("open\nsessions 10000\n{items}")).await?;
    let id = CoordinationId::new("large")?;
    let mut stream = bench.connect().await?;
    stream
        .write_all(
            b"GET /v1/runs/large/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n",
        )
        .await?;
    bench.post("/v1/runs/large/close", "").await?;
    timeout(FAR_TOO_LONG, bench.engine.run(&id)?.wait()).await??;
    let last = bench.engine.run(&id)?.status().await?.version;
    assert!(last > Version(600), "{last}");
    // Once the server has given the client up its place is free, and what was on its way is all
    // that comes.
    timeout(FAR_TOO_LONG, free_places(&bench)).await??;
    let seen = timeout(FAR_TOO_LONG, rest(&mut stream)).await??;
    assert!(
        seen.contains("event: coordination.started")
            && !seen.contains("event: coordination.completed"),
        "cut off in between"
    );
    bench.stop().await
}

#[tokio::test]
async fn open_streams_do_not_hold_up_the_end() -> Result {
    let bench = bench(ClientLimits { drain: FAR_TOO_LONG * 2, ..ClientLimits::default() }).await?;
    bench.start("long", "work a hold").await?;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = bench.connect().await?;
        stream.write_all(b"GET /v1/runs/long/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n").await?;
        until(&mut stream, "event: coordination.session_bound").await?;
        streams.push(stream);
    }
    bench.shutdown.cancel();
    let mut ends = Vec::new();
    for stream in &mut streams {
        ends.push(timeout(FAR_TOO_LONG, rest(stream)).await??);
    }
    assert!(
        ends.iter().all(|end| end.ends_with("0\n\n")),
        "each stream is whole to its end: {:?}",
        ends.first()
    );
    timeout(FAR_TOO_LONG, bench.stop()).await?
}

#[tokio::test]
async fn clients_that_neither_read_nor_write_hold_up_the_end_for_the_drain_alone() -> Result {
    let bench = bench(ClientLimits { drain: SHORT, ..ClientLimits::default() }).await?;
    let items = many_items();
    bench.start("large", &format!("sessions 10000\n{items}")).await?;
    bench.engine.run(&CoordinationId::new("large")?)?.wait().await?;
    let mut stalled = bench.connect().await?;
    stalled
        .write_all(
            b"GET /v1/runs/large/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n",
        )
        .await?;
    until(&mut stalled, "coordination.started").await?;
    let mut slow = bench.connect().await?;
    slow.write_all(b"POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
        .await?;
    timeout(FAR_TOO_LONG, bench.stop()).await?
}

#[tokio::test]
async fn a_full_mailbox_is_an_answer_and_reading_goes_on() -> Result {
    let faults = Faults::default();
    let limits = ClientLimits { answer_time: SHORT, ..ClientLimits::default() };
    let bench =
        Bench::with(Setting { limits, faults: faults.clone(), ..Setting::default() }).await?;
    bench.start("long", "work a hold").await?;
    let _reset = faults.until_dropped();
    faults.stuck();
    // Commands follow each other to the disk, which takes none of them.
    let late = bench.post("/v1/runs/long/pause", "").await?;
    assert!(late.starts_with("HTTP/1.1 503 Service Unavailable\n"), "{late}");
    assert_eq!(code(&late), Some("no_answer"));
    assert_eq!(code(&bench.submit("other", PLAN).await?), Some("no_answer"));
    let mut waiting = Vec::new();
    while bench.engine.has_room() {
        let run = bench.engine.run("none")?;
        waiting.push(tokio::spawn(async move { run.cancel("").await }));
        tokio::task::yield_now().await;
    }
    let busy = bench.post("/v1/runs/long/cancel", "").await?;
    let expected = "HTTP/1.1 429 Too Many Requests\ncontent-type: application/problem+json\nretry-after: 1\ncontent-length: \
                    195\nconnection: close\n\n{\"type\":\"urn:antiphon:error:busy\",\"title\":\"The engine's mailbox is full\",\"status\":429,\"code\":\"busy\",\"detail\":\"the engine's mailbox is full, so it did not get the \
                    request; repeat it in a moment\"}\n";
    assert_eq!(busy, expected);
    assert_eq!(code(&bench.get("/v1/health").await?), Some("busy"));
    assert!(
        bench.get("/v1/runs").await?.contains("\"id\":\"long\""),
        "reading does not need the mailbox"
    );
    faults.none();
    for command in waiting {
        assert!(command.await?.is_err(), "there is no such run");
    }
    assert!(bench.get("/v1/health").await?.starts_with("HTTP/1.1 200 OK\n"));
    bench.stop().await
}

#[tokio::test]
async fn a_ledger_that_takes_nothing_in_says_so() -> Result {
    let faults = Faults::default();
    let bench = Bench::with(Setting { faults: faults.clone(), ..Setting::default() }).await?;
    bench.start("long", "work a hold").await?;
    faults.full();
    let full = bench.post("/v1/runs/long/pause", "").await?;
    assert!(
        full.starts_with("HTTP/1.1 503 Service Unavailable\ncontent-type: application/problem+json\nretry-after: 1\n"),
        "{full}"
    );
    assert_eq!(code(&full), Some("read_only"));
    assert_eq!(code(&bench.get("/v1/health").await?), Some("read_only"));
    assert_eq!(code(&bench.submit("other", PLAN).await?), Some("read_only"));
    assert!(bench.get("/v1/runs/long").await?.starts_with("HTTP/1.1 200 OK\n"));
    faults.set(|_| Some(unsynced()));
    // The next command that is recorded meets the failing sync.
    let poisoned = timeout(FAR_TOO_LONG, async {
        loop {
            let answer = bench.post("/v1/runs/long/pause", "").await?;
            if code(&answer) == Some("poisoned") {
                return Result::Ok(answer);
            }
        }
    });
    let poisoned = poisoned.await??;
    assert!(
        poisoned.starts_with("HTTP/1.1 503 Service Unavailable\n")
            && !poisoned.contains("retry-after"),
        "{poisoned}"
    );
    assert_eq!(code(&bench.get("/v1/health").await?), Some("poisoned"));
    bench.shutdown.cancel();
    bench.served.await?;
    Ok(())
}
