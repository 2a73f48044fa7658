//! Keys over the socket: changed together, read, looked back at, and refused.

use crate::common::{Bench, Result};
use antiphon::id::CoordinationId;
use antiphon_server::{Client, Code, FollowAfter, KeyChangeLine, KeyLine, KeysRequest, Server};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

fn set(values: &[(&str, &str)]) -> KeysRequest {
    let value = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let set = values.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
    KeysRequest { set, ..KeysRequest::default() }
}

fn told(keys: &[KeyLine]) -> Vec<String> {
    keys.iter().map(|key| format!("{} {} {}", key.version, key.key, key.value.get())).collect()
}

fn code(error: &antiphon_server::ClientError) -> Option<Code> {
    error.problem().and_then(|problem| problem.known_code())
}

#[tokio::test]
async fn keys_are_changed_together_and_read_by_prefix_page_by_page() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let first = set(&[("a/1", "1"), ("a/2", "{ \"n\": 100000000000000000001 }"), ("b", "null")]);
    assert_eq!(client.change_keys(&run, &first, Some("k")).await?.version, 2);
    assert_eq!(client.change_keys(&run, &first, Some("k")).await?.version, 2);

    let keys = client.keys(&run, "a/", None, 1).await?;
    assert_eq!((told(&keys.keys), keys.more), (vec!["2 a/1 1".to_owned()], true));
    let keys = client.keys(&run, "a/", Some("a/1"), 10).await?;
    let expected = ["2 a/2 { \"n\": 100000000000000000001 }"];
    assert_eq!((told(&keys.keys), keys.more), (expected.map(str::to_owned).to_vec(), false));

    let mut next = set(&[("a/1", "2")]);
    next.delete.push("b".to_owned());
    next.expected = [("a/1".to_owned(), Some(1)), ("b".to_owned(), Some(2))].into();
    let stale = client.change_keys(&run, &next, None).await.unwrap_err();
    assert_eq!(code(&stale), Some(Code::StaleKey));
    assert_eq!(
        stale.to_string(),
        "key a/1 was set at version 2, and was expected to be as of version 1; read it again"
    );
    next.expected.insert("a/1".to_owned(), Some(2));
    assert_eq!(client.change_keys(&run, &next, None).await?.version, 3);
    let history = client.key_history(&run, "", 2).await?;
    let changes = serde_json::to_value(&history.changes)?;
    assert_eq!(
        [&changes[0]["key"], &changes[0]["value"], &changes[1]["gone"], &changes[1]["by"]],
        [&json!("a/1"), &json!(2), &json!(true), &json!("operator")]
    );
    bench.stop().await
}

#[tokio::test]
async fn what_is_wrong_with_a_change_is_named_with_its_place_and_changes_nothing() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let mut wrong = set(&[("", "1"), ("ok", "1")]);
    wrong.expected.insert("other".to_owned(), None);
    let error = client.change_keys(&run, &wrong, None).await.unwrap_err();
    let problem = error.problem().unwrap();
    let faults: Vec<_> = problem
        .errors
        .iter()
        .map(|fault| format!("{} {}", fault.pointer.as_deref().unwrap(), fault.detail))
        .collect();
    assert_eq!(
        faults,
        [
            "/set/ the key is empty; give it at least one character",
            "/expected/other this key is not changed",
        ]
    );
    let odd = client.change_keys(&run, &set(&[("gate/coverage", "0.8")]), None).await.unwrap_err();
    assert_eq!(code(&odd), Some(Code::Refused));
    let unknown = CoordinationId::new("unknown")?;
    let error = client.keys(&unknown, "", None, 10).await.unwrap_err();
    assert_eq!(code(&error), Some(Code::UnknownRun));
    assert_eq!(client.keys(&run, "", None, 10).await?.keys.len(), 0);
    bench.stop().await
}

/// A change as `version key value`.
fn change(change: KeyChangeLine) -> String {
    let value = change.value.as_ref().map_or("-", |value| value.get());
    let short = value.get(..20).unwrap_or(value);
    format!("{} {} {short}", change.version, change.key)
}

#[tokio::test]
async fn changes_are_followed_until_the_run_ends_also_when_the_server_was_away() -> Result {
    let mut bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let large = format!("\"{}\"", "x".repeat(1_000));
    let first = set(&[("a/1", "1"), ("a/2", &large), ("b", "null")]);
    client.change_keys(&run, &first, None).await?;
    let mut now = client.watch_keys(&run, "", FollowAfter::Now);
    now.begun().await?;
    let mut changes = client.watch_keys(&run, "a/", FollowAfter::Beginning);
    for expected in ["2 a/1 1", "2 a/2 \"xxxxxxxxxxxxxxxxxxx"] {
        assert_eq!(changes.next().await?.map(change).as_deref(), Some(expected));
    }
    assert_eq!(changes.position(), Some(2));
    bench.shutdown.cancel();
    (&mut bench.served).await?;
    let server = Server::bind(&bench.dir, bench.engine.clone()).await?;
    bench.shutdown = CancellationToken::new();
    bench.served = tokio::spawn(server.serve(bench.shutdown.clone()));
    let gone = KeysRequest { delete: vec!["a/1".to_owned()], ..set(&[("b", "2")]) };
    client.change_keys(&run, &gone, None).await?;
    bench.engine.run("inbox")?.close("done").await?;
    for expected in [Some("3 a/1 -"), None, None] {
        assert_eq!(changes.next().await?.map(change).as_deref(), expected);
    }
    for expected in [Some("3 b 2"), Some("3 a/1 -"), None] {
        assert_eq!(now.next().await?.map(change).as_deref(), expected);
    }
    let mut nothing = client.watch_keys(&run, "", FollowAfter::Version(4));
    assert!(nothing.next().await?.is_none());
    for query in ["after=1", "after=-1", "limit=0"] {
        let asked = bench.get(&format!("/v1/runs/inbox/keys/history?{query}")).await?;
        assert!(asked.starts_with("HTTP/1.1 400 "), "{query}: {asked}");
    }
    bench.stop().await
}

/// Answers one request with a stream that breaks off behind `events`. Gives the request.
async fn broken_off(connection: &mut UnixStream, events: &str) -> Result<String> {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).await?;
        request.extend(byte);
    }
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = format!("{head}{:x}\r\n{events}\r\n", events.len());
    connection.write_all(answer.as_bytes()).await?;
    Ok(String::from_utf8(request)?)
}

#[tokio::test]
async fn what_was_set_together_comes_once_where_the_stream_broke_in_the_middle_of_it() -> Result {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("api.sock");
    let listener = UnixListener::bind(&socket)?;
    let change = |id: &str, key: &str| {
        format!(
            "{id}event: key\ndata: {{\"key\":\"{key}\",\"version\":5,\"at\":1,\"wall\":1,\
             \"time\":\"\",\"by\":\"operator\",\"gone\":true}}\n\n"
        )
    };
    let (a, b, c) = (change("", "a"), change("", "b"), change("id: 5\n", "c"));
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for events in [
            format!("id: 4\n\n{a}"),
            format!("id: 4\n\n{a}{b}"),
            format!("id: 4\n\n{a}{b}:\n\n{c}"),
            "id: 5\n\nevent: end\ndata: {}\n\n".to_owned(),
        ] {
            let mut connection = listener.accept().await?.0;
            requests.push(broken_off(&mut connection, &events).await.map_err(|e| e.to_string()));
        }
        Ok::<_, std::io::Error>(requests)
    });
    let run = CoordinationId::new("r")?;
    let mut changes = Client::connect_to(&socket).await?.watch_keys(&run, "", FollowAfter::Now);
    let mut keys = Vec::new();
    while let Some(change) = changes.next().await? {
        keys.push(change.key);
    }
    assert_eq!(keys, ["a", "b", "c"]);
    let places = |request: &std::result::Result<String, String>| {
        let request = request.as_ref().unwrap();
        request.lines().find_map(|line| line.strip_prefix("last-event-id: ")).map(str::to_owned)
    };
    let places: Vec<_> = server.await??.iter().map(places).collect();
    let expected = [None, Some("4"), Some("4"), Some("5")];
    assert_eq!(places, expected.map(|place| place.map(str::to_owned)));
    Ok(())
}
