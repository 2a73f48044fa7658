//! Whatever a session leaves as its result file or prints as its usage, reading it ends with a
//! bounded answer.

use antiphon::time::WallTime;
use antiphon::usage::{
    AgentRun, Charged, ReportedOutcome, SessionReport, claude, claude_stream, result_file,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NOW: WallTime = WallTime(1_795_237_200_000_000_000);
const LARGE: usize = 10 << 20;

/// Longest text that any reading tells.
const MAX_TEXT: usize = 4_096;

/// What is read in every way, with what must hold of any answer.
fn check(bytes: &[u8]) {
    let charged = Charged::default();
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    let whole = AgentRun::of(bytes);
    let cut = AgentRun { printed: head, tail: Some(tail), ..whole };
    let resumed = AgentRun { resumed: true, charged: Some(&charged), ..whole };
    hold(&result_file(bytes));
    for run in [whole, cut, resumed, resumed] {
        hold(&claude(&run, NOW));
        hold(&claude_stream(&run, NOW));
    }
}

/// The same for what takes longer to read.
fn check_large(bytes: &[u8]) {
    for reading in [
        result_file(bytes),
        claude(&AgentRun::of(bytes), NOW),
        claude_stream(&AgentRun::of(bytes), NOW),
    ] {
        hold(&reading);
    }
}

fn hold(reading: &SessionReport) {
    let text = match &reading.outcome {
        ReportedOutcome::Nothing | ReportedOutcome::Succeeded => "",
        ReportedOutcome::Failed(text) | ReportedOutcome::Deferred { text, .. } => text,
    };
    assert!(text.len() <= MAX_TEXT, "{} bytes of text", text.len());
    let collected = reading.degraded.as_deref().unwrap_or_default();
    assert!(collected.len() <= 300, "{collected}");
    assert!(reading.scores.values().all(|score| score.unsigned_abs() <= 9_000_000_000_000_000));
}

/// Values as JSON has them and as it has not.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&[u8]> = vec![
        b"null",
        b"true",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-1e308",
        b"-0",
        b"0.1e-400",
        b"18446744073709551615",
        b"18446744073709551616",
        b"9007199254740993",
        b"-1",
        b"\"\"",
        b"\"\\ud800\"",
        b"\"\\u0000\"",
        b"\"\xff\xfe\"",
        b"\"1\"",
        b"{}",
        b"[]",
        b"[[[[",
        b"]",
        b"\"resets 3pm (UTC)\"",
        b"\"limit reached|9999999999\"",
        b"\"rate limit \\u0130\\u0130\\u212a reset\\u00e4\"",
        b"\"success\"",
        b"\"result\"",
        b"\"rate_limit_event\"",
        b"\"rejected\"",
        b"429",
        b"{\"m\":{\"inputTokens\":18446744073709551615,\"costUSD\":1e300}}",
        b"{\"input_tokens\":1,\"output_tokens\":18446744073709551615}",
        b"{\"status\":\"rejected\",\"resetsAt\":18446744073709551615}",
        b"{\"until\":18446744073709551615,\"reason\":\"\"}",
        b"{\"a\":1e9,\"b\":-9e300,\"c\":null}",
    ];
    prop_oneof![
        8 => select(fixed).prop_map(<[u8]>::to_vec),
        1 => any::<f64>().prop_map(|number| number.to_string().into_bytes()),
        1 => any::<String>().prop_map(|text| serde_json::to_vec(&text).unwrap_or_default()),
        1 => (0..300_usize).prop_map(|depth| [vec![b'['; depth], vec![b']'; depth]].concat()),
    ]
}

/// Objects with the members that are read, in any order, missing, repeated and of any shape.
fn document() -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "type",
        "subtype",
        "is_error",
        "result",
        "errors",
        "structured_output",
        "api_error_status",
        "total_cost_usd",
        "usage",
        "modelUsage",
        "model_usage_since_last_result",
        "modelUsageSinceLastResult",
        "session_id",
        "rate_limit_info",
        "output",
        "scores",
        "tokens",
        "cache_tokens",
        "cost",
        "error",
        "deferred",
        "other",
    ];
    let kind = select(vec![r#""type":"result""#, r#""type":"rate_limit_event""#, r#""x":0"#]);
    (kind, vec((select(names.to_vec()), value()), 0..8)).prop_map(|(kind, members)| {
        let mut bytes = format!("{{{kind}").into_bytes();
        for (name, value) in members {
            bytes.extend(format!(",\"{name}\":").into_bytes());
            bytes.extend(value);
        }
        bytes.push(b'}');
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in vec(any::<u8>(), 0..2_000)) {
        check(&bytes);
    }

    #[test]
    fn any_document_is_read_to_its_end(document in document()) {
        check(&document);
    }

    #[test]
    fn any_stream_and_any_array_are_read_to_their_end(documents in vec(document(), 0..6), bits in any::<u64>(), byte in any::<u8>()) {
        check(&documents.join(&b'\n'));
        let mut array = [&b"["[..], &documents.join(&b','), b"]"].concat();
        check(&array);
        let at = usize::try_from(bits % array.len() as u64).unwrap_or(0);
        array[at] = byte;
        check(&array);
    }
}

/// A text over and over, as long as large outputs are.
fn large(text: &str) -> Vec<u8> {
    text.as_bytes().iter().copied().cycle().take(LARGE).collect()
}

#[test]
fn ten_mebibytes_of_anything_are_read_to_their_end() {
    for text in [
        "[",
        "{\"a\":",
        "[0,",
        "\"",
        "\\",
        "\u{130}reset ",
        "{\"type\":\"result\"}\n",
        "{\"type\":\"result\",\"subtype\":\"limit reached|\"},",
        "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\"}}\n",
    ] {
        check_large(&large(text));
    }
    check_large(&[b"[", &*large("{\"type\":\"result\",\"is_error\":true}, "), b"0]"].concat());
}

#[test]
fn a_member_of_ten_mebibytes_gives_a_bounded_answer() {
    let filling = String::from_utf8_lossy(&large("x")).into_owned();
    for member in ["subtype", "result", "errors", "session_id", "error", "modelUsage"] {
        let document =
            format!("{{\"type\":\"result\",\"is_error\":true,\"{member}\":\"{filling}\"}}");
        check_large(document.as_bytes());
        // What follows a message that is too large is read all the same.
        let last =
            format!("{document}\n{{\"type\":\"result\",\"is_error\":true,\"result\":\"no\"}}");
        let reading = claude_stream(&AgentRun::of(last.as_bytes()), NOW);
        assert_eq!(reading.outcome, ReportedOutcome::Failed("no".to_owned()));
        assert_eq!(
            reading.degraded.as_deref(),
            Some("1 line could not be read; the result line has no usage")
        );
    }
    let scores = format!("{{\"scores\":{{\"{filling}\":1e999}}}}");
    check_large(scores.as_bytes());
    let long_subtype = format!(
        "{{\"type\":\"result\",\"subtype\":\"{}\",\"result\":\"no\"}}",
        &filling[..100_000]
    );
    check_large(long_subtype.as_bytes());
}
