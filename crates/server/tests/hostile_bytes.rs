//! Whatever bytes arrive, the server answers or hangs up, and keeps serving.

use std::time::Duration;

use crate::common::{Bench, PLAN, Setting, submission};
use antiphon_server::ClientLimits;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

const FAR_TOO_LONG: Duration = Duration::from_secs(20);

/// A request that makes sense, to be spoilt.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let posts = ["", "/there/cancel", "/there/continue", "/there/pause", "/%00/close"];
    let gets = [
        "",
        "/there",
        "/there/events",
        "/there/events?after=3&limit=5",
        "/there/work/a/why",
        "/there/receipt?evidence=true",
    ];
    let body = prop_oneof![
        Just(submission("there", PLAN)),
        Just(r#"{"sessions":5,"tokens":1}"#.to_owned()),
        "\\PC{0,200}",
        any::<f64>().prop_map(|number| format!("{{\"sessions\":{number}}}")),
    ];
    prop_oneof![
        (0..posts.len(), body).prop_map(move |(path, body)| {
            let (path, length) = (posts[path], body.len());
            format!(
                "POST /v1/runs{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: \
                 {length}\r\n\r\n{body}"
            )
            .into_bytes()
        }),
        (0..gets.len()).prop_map(move |path| {
            format!("GET /v1/runs{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", gets[path]).into_bytes()
        }),
    ]
}

/// Some bytes of it are others, some are gone, some are there again.
fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let spoils = vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6);
    prop_oneof![
        4 => (sound(), spoils).prop_map(|(mut bytes, spoils)| {
            for (index, byte, how) in spoils {
                let at = index.index(bytes.len().max(1));
                match how {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    2 => bytes.truncate(at),
                    _ => bytes.extend_from_within(at.min(bytes.len())..),
                }
            }
            bytes
        }),
        1 => vec(any::<u8>(), 0..2_000),
    ]
}

#[test]
fn spoilt_requests_are_answered_or_hung_up_on() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let short = Duration::from_millis(30);
    let limits = ClientLimits { header_time: short, body_time: short, ..ClientLimits::default() };
    let bench = runtime.block_on(async {
        let bench = Bench::with(Setting { limits, ..Setting::default() }).await.unwrap();
        bench.start("there", "work a hold").await.unwrap();
        bench
    });
    proptest!(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }, |(bytes in spoilt())| {
        runtime.block_on(async {
            let mut stream = bench.connect().await.unwrap();
            // The server may hang up in the middle.
            let _written = stream.write_all(&bytes).await;
            let mut answer = Vec::new();
            let read = timeout(FAR_TOO_LONG, rest_of(&mut stream, &mut answer)).await;
            prop_assert!(read.is_ok(), "no end");
            let first = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let status = String::from_utf8_lossy(first).into_owned();
            prop_assert!(answer.is_empty() || status.starts_with("HTTP/1."), "{status}");
            prop_assert!(!status.contains(" 500 "), "{}", String::from_utf8_lossy(&answer));
            Ok(())
        })?;
    });
    runtime.block_on(async {
        assert!(bench.get("/v1/health").await.unwrap().starts_with("HTTP/1.1 200 OK\n"));
        bench.stop().await.unwrap();
    });
}

async fn rest_of(stream: &mut tokio::net::UnixStream, answer: &mut Vec<u8>) {
    let _hung_up = tokio::io::AsyncReadExt::read_to_end(stream, answer).await;
}
