//! A client of a running engine: typed calls, typed refusals, and a stream that resumes where it
//! broke.

use std::path::Path;
use std::time::Duration;

use crate::common::{Bench, PLAN, Result, Setting, until};
use antiphon::id::{CoordinationId, Version};
use antiphon_server::{
    Client, ClientError, ClientLimits, Code, EventStream, ListQuery, RaiseRequest, Server, Steer,
    SubmitRequest,
};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn request(id: &str, plan: &str, directory: &Path) -> SubmitRequest {
    SubmitRequest {
        plan: plan.to_owned(),
        name: "plan.yaml".to_owned(),
        directory: directory.display().to_string(),
        environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        secrets: Default::default(),
        id: Some(id.to_owned()),
    }
}

/// The types of the events that are left, with their versions.
async fn all(stream: &mut EventStream) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    while let Some(event) = stream.next().await? {
        let recorded = event.recorded()?;
        assert_eq!(
            recorded.computed_hash(),
            recorded.hash,
            "what came over the socket is the event itself"
        );
        seen.push(format!(
            "{} {}",
            event.version,
            event.r#type.trim_start_matches("coordination.")
        ));
    }
    Ok(seen)
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "its sessions are processes, which need Linux")]
async fn a_guest_does_all_that_the_api_offers() -> Result {
    let bench = Bench::with(Setting { processes: true, ..Setting::default() }).await?;
    let client = Client::connect(&bench.dir).await?;
    let id = CoordinationId::new("guest")?;
    assert_eq!(client.health().await?.status, "ok");
    let gate = bench.folder.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status()?.success());
    let plan = "name: guest\nbudget: { sessions: 100, duration: 10m }\nwork:\n  a: { command: [cat, gate] }\n  \
                b: { command: [echo, b], needs: [a] }\n";
    let request = request("guest", plan, bench.folder.path());
    let submitted = client.submit(&request, Some("k1")).await?;
    assert_eq!((submitted.id.as_str(), submitted.existing), ("guest", false));
    assert!(client.submit(&request, Some("k1")).await?.existing);
    assert_eq!(client.status(&id).await?.name.as_deref(), Some("guest"));
    let mut started = client.follow(&id, Version(2));
    assert_eq!(started.next().await?.map(|event| event.version), Some(3));
    let running =
        client.list(&ListQuery { running: true, limit: Some(5), ..ListQuery::default() }).await?;
    assert_eq!((running.runs.len(), running.next), (1, None));
    assert_eq!(client.why(&id, "b").await?.reasons[0].reason, "needs_work");
    let paused = client.steer(&id, Steer::Pause, "lunch", Some("k2")).await?;
    assert_eq!(client.steer(&id, Steer::Pause, "lunch", Some("k2")).await?, paused);
    client
        .continue_(&id, &RaiseRequest { sessions: Some(200), ..RaiseRequest::default() }, None)
        .await?;
    let mut stream = client.follow(&id, Version(0));
    tokio::task::spawn_blocking(move || std::fs::write(gate, "")).await??;
    let expected = [
        "1 started",
        "2 work_added",
        "3 session_bound",
        "4 paused",
        "5 budget_raised",
        "6 continued",
        "7 session_unbound",
        "8 session_bound",
        "9 session_unbound",
        "10 completed",
    ];
    assert_eq!(all(&mut stream).await?, expected);
    let page = client.events(&id, Version(8), 1).await?;
    assert_eq!((page.events.len(), page.after, page.more, page.ended), (1, 9, true, true));
    assert_eq!(client.receipt(&id).await?["receipt"]["verdict"], "succeeded");
    assert_eq!(antiphon::ledger::export::verify_export(&client.export(&id).await?).findings, []);
    bench.stop().await
}

#[tokio::test]
async fn a_refusal_comes_with_its_code() -> Result {
    let bench = Bench::new().await?;
    let client = Client::connect(&bench.dir).await?;
    let refused = client
        .submit(&request("bad", PLAN.replace("work", "wrok").as_str(), Path::new("/tmp")), None)
        .await
        .unwrap_err();
    let problem = refused.problem().ok_or("no problem")?;
    assert_eq!(
        (problem.known_code(), problem.errors[1].line, problem.errors[1].column),
        (Some(Code::InvalidPlan), Some(3), Some(1))
    );
    assert_eq!(refused.to_string(), "plan.yaml has 2 problems");
    let unknown = client.status(&CoordinationId::new("none")?).await.unwrap_err();
    assert_eq!(unknown.problem().and_then(|problem| problem.known_code()), Some(Code::UnknownRun));
    bench.stop().await
}

/// Puts another server in the place of one; gives how many connections it has.
async fn again(bench: &mut Bench) -> Result<watch::Receiver<usize>> {
    bench.shutdown.cancel();
    if !bench.served.is_finished() {
        (&mut bench.served).await?;
    }
    let server = Server::bind(&bench.dir, bench.engine.clone()).await?;
    let connections = server.connections();
    bench.shutdown = CancellationToken::new();
    bench.served = tokio::spawn(server.serve(bench.shutdown.clone()));
    Ok(connections)
}

#[tokio::test]
async fn calls_that_follow_each_other_share_a_connection_and_one_that_is_closed_is_replaced()
-> Result {
    let mut bench = Bench::new().await?;
    let mut connections = again(&mut bench).await?;
    let client = Client::connect(&bench.dir).await?;
    connections.wait_for(|connected| *connected == 1).await?;
    for _ in 0..5 {
        client.health().await?;
        client.list(&ListQuery::default()).await?;
        let unknown = client.status(&CoordinationId::new("none")?).await;
        assert!(matches!(unknown, Err(ClientError::Refused(_))));
    }
    assert!(!connections.has_changed()?, "nobody came or went");
    let mut connections = again(&mut bench).await?;
    client.health().await?;
    connections.wait_for(|connected| *connected == 1).await?;
    drop(client);
    connections.wait_for(|connected| *connected == 0).await?;
    bench.stop().await
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_when_the_server_is_back() -> Result {
    let mut bench = Bench::new().await?;
    let client = Client::connect(&bench.dir).await?;
    bench.start("long", "work a hold\nwork b echo a").await?;
    let mut stream = client.follow(&CoordinationId::new("long")?, Version(0));
    for version in 1..=3 {
        assert_eq!(stream.next().await?.map(|event| event.version), Some(version));
    }
    bench.shutdown.cancel();
    (&mut bench.served).await?;
    assert!(matches!(stream.next().await, Err(ClientError::NoEngine { .. })));
    assert_eq!(stream.version(), Version(3));
    again(&mut bench).await?;
    bench.release.cancel();
    assert_eq!(
        all(&mut stream).await?,
        ["4 session_unbound", "5 session_bound", "6 session_unbound", "7 completed"]
    );
    assert!(stream.next().await?.is_none());
    assert_eq!(
        all(&mut client.follow(&CoordinationId::new("long")?, Version(7))).await?,
        Vec::<String>::new()
    );
    bench.stop().await
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_stands() -> Result {
    let limits = ClientLimits { heartbeat: Duration::from_millis(20), ..ClientLimits::default() };
    let bench = Bench::with(Setting { limits, ..Setting::default() }).await?;
    bench.start("long", "work a hold").await?;
    let mut stream = bench.connect().await?;
    stream
        .write_all(b"GET /v1/runs/long/events?after=3 HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        .await?;
    let head = "HTTP/1.1 200 OK\ncontent-type: text/event-stream\ncache-control: no-store\ntransfer-encoding: chunked\n\n";
    assert_eq!(
        until(&mut stream, ":\n\n\r\n3\r\n:\n\n\r\n").await?,
        format!("{head}3\n:\n\n\n3\n:\n\n\n")
    );
    // Comments are no events to a client.
    let client = Client::connect(&bench.dir).await?;
    let mut events = client.follow(&CoordinationId::new("long")?, Version(3));
    bench.release.cancel();
    assert_eq!(all(&mut events).await?, ["4 session_unbound", "5 completed"]);
    bench.stop().await
}
