//! Usage as agent programs print it, on lines of the shapes that users have reported.

use antiphon::coordination::Report;
use antiphon::time::Wall;
use antiphon::usage::{Reading, Said, claude, claude_stream};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Wall = Wall(1_795_237_200_000_000_000);

const INIT: &str = r#"{"type":"system","subtype":"init","cwd":"/home/user/myproject","session_id":"s","tools":["Bash"],"claude_code_version":"2.1.83"}"#;
const ASSISTANT: &str = r#"{"type":"assistant","message":{"id":"m","usage":{"input_tokens":3,"cache_creation_input_tokens":2783,"cache_read_input_tokens":14707,"output_tokens":2}}}"#;
const ALLOWED: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","resetsAt":1774447200,"rateLimitType":"five_hour","overageStatus":"rejected","overageDisabledReason":"org_level_disabled","isUsingOverage":false}}"#;
const WARNED: &str =
    r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed_warning","resetsAt":1774447200,"utilization":0.76}}"#;
const REJECTED: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795240800,"rateLimitType":"five_hour","overageStatus":"rejected","isUsingOverage":false}}"#;

fn result(change: impl Fn(&mut Value)) -> String {
    let mut line = json!({
        "type": "result", "subtype": "success", "is_error": false, "duration_ms": 4086, "num_turns": 1, "result": "done",
        "session_id": "s", "total_cost_usd": 0.024, "usage": {"input_tokens": 3, "output_tokens": 27, "cache_read_input_tokens": 100},
        "modelUsage": {
            "claude-opus": {"inputTokens": 10, "outputTokens": 50, "cacheReadInputTokens": 400, "cacheCreationInputTokens": 30, "costUSD": 0.02},
            "claude-haiku": {"inputTokens": 7, "outputTokens": 50, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0, "costUSD": 0.004}
        }
    });
    change(&mut line);
    line.to_string()
}

fn stream(lines: &[&str]) -> Reading {
    claude_stream(lines.join("\n").as_bytes(), NOW)
}

fn reading(tokens: u64, cache_tokens: u64, cost: u64) -> Reading {
    let report = Report { tokens, cache_tokens, cost, ..Report::default() };
    Reading { report: Some(report), said: Said::Succeeded, output: Some(json!("done")), ..Reading::default() }
}

#[test]
fn usage_by_model_counts_sub_agents_and_leaves_cache_reads_apart() {
    let expected = reading(147, 400, 24_000);
    assert_eq!(stream(&[INIT, ASSISTANT, ALLOWED, &result(|_| ())]), expected);
    assert_eq!(claude(result(|_| ()).as_bytes(), NOW), expected);
    // `--verbose` makes an array of it.
    let array = format!("[{INIT},{ASSISTANT},{}]", result(|_| ()));
    assert_eq!(claude(array.as_bytes(), NOW), expected);
}

#[test]
fn cumulative_figures_of_several_results_are_not_added_up() {
    let first = result(|line| line["total_cost_usd"] = 0.01.into());
    assert_eq!(stream(&[INIT, &first, &result(|_| ())]), reading(147, 400, 24_000));
}

#[test]
fn figures_since_the_last_result_are_added_up() {
    let since = |tokens: u64| result(move |line| line["model_usage_since_last_result"] = json!({"m": {"inputTokens": tokens}}));
    assert_eq!(stream(&[&since(5), &since(6)]), reading(11, 0, 24_000));
}

#[test]
fn without_usage_by_model_the_figures_are_an_estimate_and_it_is_told() {
    let read = stream(&[&result(|line| line["modelUsage"] = Value::Null)]);
    assert_eq!(read.report, Some(Report { tokens: 30, cache_tokens: 100, cost: 24_000, estimated: true, ..Report::default() }));
    assert_eq!(read.degraded.as_deref(), Some("usage by model is missing, so what sub-agents used is not counted"));
}

#[test]
fn an_error_in_the_result_is_a_failure_though_the_subtype_says_success() {
    let read = stream(&[&result(|line| line["is_error"] = true.into())]);
    assert_eq!(read.said, Said::Failed("done".to_owned()));
    let spent = result(|line| {
        line["subtype"] = "error_max_budget_usd".into();
        line["result"] = Value::Null;
    });
    assert_eq!(stream(&[&spent]).said, Said::Failed("error_max_budget_usd".to_owned()));
}

#[test]
fn only_a_rejected_limit_defers_and_it_names_the_moment() {
    let failed = result(|line| {
        line["is_error"] = true.into();
        line["result"] = "You've hit your limit · resets 6am (UTC)".into();
    });
    let text = "You've hit your limit · resets 6am (UTC)".to_owned();
    let until = Some(Wall(1_795_240_800_000_000_000));
    assert_eq!(stream(&[REJECTED, &failed]).said, Said::Deferred { until, text: text.clone() });
    // The same text without the event still names the moment.
    assert_eq!(stream(&[WARNED, &failed]).said, Said::Deferred { until, text });
    assert_eq!(stream(&[ALLOWED, WARNED, &result(|_| ())]).said, Said::Succeeded);
    let throttled = result(|line| {
        line["is_error"] = true.into();
        line["api_error_status"] = 429.into();
        line["result"] = "API Error".into();
    });
    assert_eq!(stream(&[&throttled]).said, Said::Deferred { until: None, text: "API Error".to_owned() });
}

#[test]
fn a_run_that_was_cut_off_reports_nothing_and_says_so() {
    let cut_off = &result(|_| ())[..40];
    let expected =
        Reading { degraded: Some("1 lines could not be read; no result line was found".to_owned()), ..Reading::default() };
    assert_eq!(stream(&[INIT, ASSISTANT, cut_off]), expected);
    assert_eq!(claude(b"", NOW).degraded.as_deref(), Some("it printed nothing: EOF while parsing a value at line 1 column 0"));
}

#[test]
fn a_structured_output_is_the_output() {
    let read = stream(&[&result(|line| line["structured_output"] = json!({"files": 3}))]);
    assert_eq!(read.output, Some(json!({"files": 3})));
}

proptest! {
    #[test]
    fn whatever_is_printed_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..600_usize, byte: u8) {
        let _ = (claude(&bytes, NOW), claude_stream(&bytes, NOW), antiphon::usage::result_file(&bytes));
        let mut line = [REJECTED, &result(|_| ())].join("\n").into_bytes();
        let at = at % line.len();
        line[at] = byte;
        let _ = (claude(&line, NOW), claude_stream(&line, NOW), antiphon::usage::result_file(&line));
    }
}
