//! Whatever a session leaves as its result file or prints as its usage, reading it ends with a
//! bounded answer.

use antiphon::time::WallTime;
use antiphon::usage::{AgentRun, Charged, ReportedOutcome, SessionReport, claude, result_file};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NOW: WallTime = WallTime(1_795_237_200_000_000_000);
const LARGE: usize = 2 << 20;

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
    }
}

/// The same for what takes longer to read.
fn check_large(bytes: &[u8]) {
    for reading in [result_file(bytes), claude(&AgentRun::of(bytes), NOW)] {
        hold(&reading);
    }
}

fn hold(reading: &SessionReport) {
    let text = match &reading.outcome {
        ReportedOutcome::Nothing | ReportedOutcome::Succeeded => "",
        ReportedOutcome::Failed(text)
        | ReportedOutcome::Unread(text)
        | ReportedOutcome::Deferred { text, .. } => text,
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
fn mebibytes_of_anything_are_read_to_their_end() {
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
fn a_member_of_mebibytes_gives_a_bounded_answer() {
    let filling = String::from_utf8_lossy(&large("x")).into_owned();
    for member in ["subtype", "result", "errors", "session_id", "error", "modelUsage"] {
        let document =
            format!("{{\"type\":\"result\",\"is_error\":true,\"{member}\":\"{filling}\"}}");
        check_large(document.as_bytes());
        // What follows a long message is read all the same.
        let last =
            format!("{document}\n{{\"type\":\"result\",\"is_error\":true,\"result\":\"no\"}}");
        let reading = claude(&AgentRun::of(last.as_bytes()), NOW);
        assert_eq!(reading.outcome, ReportedOutcome::Failed("no".to_owned()));
        assert!(reading.degraded.is_some_and(|what| what.ends_with("its result has no usage")));
    }
    let scores = format!("{{\"scores\":{{\"{filling}\":1e999}}}}");
    check_large(scores.as_bytes());
    let long_subtype = format!(
        "{{\"type\":\"result\",\"subtype\":\"{}\",\"result\":\"no\"}}",
        &filling[..100_000]
    );
    check_large(long_subtype.as_bytes());
}

/// A result as agents print it, with its members in a given order.
fn result(is_error: bool, order: &[usize]) -> String {
    let nested = r#"{"type":"result","subtype":"success","is_error":false,"result":"nested"}"#;
    let members = [
        r#""type":"result""#.to_owned(),
        r#""subtype":"success""#.to_owned(),
        format!(r#""is_error":{is_error}"#),
        r#""result":"it said {\"type\":\"result\"} and \"{}\"""#.to_owned(),
        r#""total_cost_usd":0.5"#.to_owned(),
        r#""modelUsage":{"m":{"inputTokens":100,"costUSD":null}}"#.to_owned(),
        format!(r#""permission_denials":[{{"tool_input":{nested}}}]"#),
    ];
    let members: Vec<&str> = order.iter().map(|at| members[*at].as_str()).collect();
    format!("{{{}}}", members.join(","))
}

fn order() -> impl Strategy<Value = Vec<usize>> {
    Just((0..7).collect::<Vec<usize>>()).prop_shuffle()
}

/// Lines that a wrapper or a terminal may put around what an agent prints.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => vec(any::<u8>(), 0..60),
        1 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => select(vec![
            "Now using node v20.11.0",
            "{",
            "}",
            "{\"level\":\"warn\"}",
            "[1, {\"a\":",
            "\u{1b}[2K\u{1b}[1G",
            "\u{1b}]0;title\u{7}",
            "it's \"quoted",
        ])
        .prop_map(|line| line.as_bytes().to_vec()),
    ];
    vec(line, 0..6).prop_map(|lines| lines.join(&b'\n'))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_sound_result_in_noise_is_read_exactly(
        before in noise(),
        after in noise(),
        is_error: bool,
        order in order(),
        coloured: bool,
        crlf: bool,
    ) {
        let result = result(is_error, &order);
        let result = if coloured { format!("\u{1b}[32m{result}\u{1b}[0m") } else { result };
        let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
        let printed = [before.as_slice(), end, result.as_bytes(), end, after.as_slice()].concat();
        // The first two bytes may be the mark of an encoding in which nothing is said.
        prop_assume!(!matches!(printed[..2], [0xff, 0xfe] | [0xfe, 0xff]));
        let reading = claude(&AgentRun::of(&printed), NOW);
        let text = r#"it said {"type":"result"} and "{}""#.to_owned();
        let outcome = match is_error {
            true => ReportedOutcome::Failed(text.clone()),
            false => ReportedOutcome::Succeeded,
        };
        let report = reading.report.unwrap_or_default();
        prop_assert_eq!(
            (reading.outcome, report.tokens, report.cost, reading.output),
            (outcome, 100, 500_000, Some(text.into()))
        );
    }

    #[test]
    fn damage_never_turns_an_error_into_a_success(
        order in order(),
        hits in vec((any::<u16>(), prop_oneof![Just(None), any::<u8>().prop_map(Some)]), 1..6),
        length in 0.0..=1.0_f64,
        split in proptest::option::of(any::<u16>()),
        earlier: bool,
    ) {
        let mut damaged = result(true, &order).into_bytes();
        for (at, byte) in hits {
            let at = usize::from(at) % damaged.len().max(1);
            match byte {
                Some(byte) => damaged[at] = byte,
                None => drop(damaged.remove(at)),
            }
        }
        // What is left of it shows that it was a result.
        let kept = damaged.len() / 2 + (damaged.len() as f64 * length / 2.0) as usize;
        damaged.truncate(kept);
        // A first result that went well says nothing of the last one.
        let first = if earlier { format!("{}\n", result(false, &order)) } else { String::new() };
        let printed = [first.as_bytes(), &damaged].concat();
        let at = split.map(|at| usize::from(at) % printed.len());
        let run = match at {
            None => AgentRun::of(&printed),
            Some(at) => {
                let (head, tail) = printed.split_at(at);
                AgentRun { printed: head, tail: Some(tail), ..AgentRun::default() }
            }
        };
        // A last line that damage left whole is a result of its own, as far as anybody can tell.
        let last_line = damaged.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        prop_assume!(serde_json::from_slice::<serde_json::Value>(last_line).is_err());
        let reading = claude(&run, NOW);
        prop_assert!(
            reading.outcome != ReportedOutcome::Succeeded,
            "{}: {reading:?}",
            String::from_utf8_lossy(&printed)
        );
    }
}

#[test]
fn a_result_that_was_cut_off_anywhere_is_no_success() {
    let order = [0, 1, 2, 3, 4, 5, 6];
    let sound = result(false, &order);
    for length in 0..sound.len() {
        let reading = claude(&AgentRun::of(&sound.as_bytes()[..length]), NOW);
        assert!(matches!(reading.outcome, ReportedOutcome::Unread(_)), "{length}: {reading:?}");
    }
}
