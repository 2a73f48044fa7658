//! The limit on heads is what the document says, however they arrive, and a head that does not mean
//! one thing is refused.

use crate::common::{Bench, Result, rest, until};
use antiphon_server::ClientLimits;
use tokio::io::AsyncWriteExt as _;

/// A head of so many bytes; the connection ends with it.
fn head_of(bytes: usize) -> String {
    let start = "GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: ";
    format!("{start}{}\r\n\r\n", "y".repeat(bytes - start.len() - 4))
}

/// The status of an answer, with what it says is wrong.
fn verdict(answer: &str) -> (&str, &str) {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let detail = answer.split_once("\"detail\":\"").map_or("", |(_, rest)| rest);
    (status, detail.split_once("\"}").map_or("", |(detail, _)| detail))
}

#[tokio::test]
async fn a_head_as_large_as_the_limit_passes_and_one_byte_more_is_refused() -> Result {
    let bench = Bench::new().await?;
    let limit = ClientLimits::default().header_bytes;
    for before in [
        "",
        "GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /v1/runs HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        for (bytes, expected) in [
            (limit - 1, "200"),
            (limit, "200"),
            (limit + 1, "431"),
            (limit + 8_000, "431"),
            (limit * 3, "431"),
        ] {
            for piece in [usize::MAX, 30_000, 1_000] {
                let mut stream = bench.connect().await?;
                let head = format!("{before}{}", head_of(bytes));
                for piece in head.as_bytes().chunks(piece.min(head.len())) {
                    // What is refused may be hung up on before it was all sent.
                    if stream.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let answer = rest(&mut stream).await?;
                let last = answer.rfind("HTTP/1.1 ").map_or("", |at| &answer[at..]);
                let detail = match expected {
                    "200" => "",
                    _ => {
                        "the head of the request is larger than 32768 bytes, the most that is allowed"
                    }
                };
                assert_eq!(
                    verdict(last),
                    (expected, detail),
                    "{bytes} bytes after {before:?} in pieces of {piece}"
                );
                assert_eq!(
                    answer.matches("HTTP/1.1 ").count(),
                    1 + usize::from(!before.is_empty())
                );
            }
        }
    }
    bench.stop().await
}

#[tokio::test]
async fn a_head_that_does_not_mean_one_thing_is_told_so_and_nothing_after_it_is_heard() -> Result {
    let bench = Bench::new().await?;
    bench.start("there", "work a hold").await?;
    let pause = "POST /v1/runs/there/pause HTTP/1.1\r\nhost: x\r\n\r\n";
    for (fields, expected) in [
        ("", "the request has no `Host`; send one, such as `Host: localhost`"),
        ("host: x\r\nhost: x\r\n", "the request has more than one `Host`; send one"),
        (
            "host: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n",
            "the request has both `Content-Length` and `Transfer-Encoding`; send one of them",
        ),
        (
            "host: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
            "the request has both `Content-Length` and `Transfer-Encoding`; send one of them",
        ),
        (
            "host: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
            "the request has more than one `Content-Length`; send one",
        ),
        (
            "host: x\r\ntransfer-encoding: gzip\r\n",
            "`Transfer-Encoding` must be `chunked`, once, in a request of HTTP/1.1",
        ),
        (
            "host: x\r\na: b\r\n c\r\n",
            "this is no request of HTTP/1.1: a line begins with a space; write the value of a field on one line",
        ),
        (
            "host: x\n",
            "this is no request of HTTP/1.1: each line must end with CR LF, and not with LF alone",
        ),
    ] {
        let answer =
            bench.raw(format!("POST /v1/runs HTTP/1.1\r\n{fields}\r\n0\r\n\r\n{pause}")).await?;
        assert_eq!(verdict(&answer), ("400", expected));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    assert!(bench.get("/v1/runs/there").await?.contains("\"status\":\"running\""));
    bench.stop().await
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection_with_bodies_of_either_kind() -> Result {
    let bench = Bench::new().await?;
    bench.start("there", "work a hold").await?;
    let with_length = "POST /v1/runs/there/pause HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{\"reason\":\"lunch\"}";
    let in_chunks = "POST /v1/runs/there/continue HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
                     1\r\n{\r\n11;x=y\r\n\"sessions\": 1000}\r\n0\r\na: b\r\n\r\n";
    let last = "GET /v1/runs/there HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    // One after the other.
    let mut stream = bench.connect().await?;
    for (request, answer) in [(with_length, "\"version\":4}"), (in_chunks, "\"version\":5}")] {
        stream.write_all(request.as_bytes()).await?;
        until(&mut stream, answer).await?;
    }
    stream.write_all(last.as_bytes()).await?;
    let answer = rest(&mut stream).await?;
    assert!(
        answer.contains("\"status\":\"running\"") && answer.contains("\"version\":6,"),
        "{answer}"
    );
    // All at once.
    let answer = bench.raw(format!("{with_length}\r\n{in_chunks}{last}")).await?;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert!(answer.ends_with("}\n") && answer.contains("\"status\":\"running\""), "{answer}");
    bench.stop().await
}
