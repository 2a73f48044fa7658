//! Usage as agent programs print it, on lines of the shapes that users have reported.

use antiphon::coordination::{Charge, Report};
use antiphon::time::WallTime;
use antiphon::usage::{AgentRun, Charged, ReportedOutcome, SessionReport, result_file};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: WallTime = WallTime(1_795_237_200_000_000_000);

const INIT: &str = r#"{"type":"system","subtype":"init","cwd":"/home/user/myproject","session_id":"s","tools":["Bash"],"claude_code_version":"2.1.83"}"#;
const ASSISTANT: &str = r#"{"type":"assistant","message":{"id":"m","usage":{"input_tokens":3,"cache_creation_input_tokens":2783,"cache_read_input_tokens":14707,"output_tokens":2}}}"#;
const ALLOWED: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","resetsAt":1774447200,"rateLimitType":"five_hour","overageStatus":"rejected","overageDisabledReason":"org_level_disabled","isUsingOverage":false}}"#;
const WARNED: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed_warning","resetsAt":1774447200,"utilization":0.76}}"#;
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

fn claude(stdout: &[u8], now: WallTime) -> SessionReport {
    antiphon::usage::claude(&AgentRun::of(stdout), now)
}

fn stream(lines: &[&str]) -> SessionReport {
    claude(lines.join("\n").as_bytes(), NOW)
}

/// A stream of which something in the middle was left out.
fn cut_stream(head: &str, tail: &str) -> SessionReport {
    antiphon::usage::claude(
        &AgentRun { printed: head.as_bytes(), tail: Some(tail.as_bytes()), ..AgentRun::default() },
        NOW,
    )
}

/// A run that was told to resume another one.
fn resumed(line: &str, charged: Option<&Charged>) -> SessionReport {
    antiphon::usage::claude(
        &AgentRun { printed: line.as_bytes(), resumed: true, charged, ..AgentRun::default() },
        NOW,
    )
}

fn reading(tokens: u64, cache_tokens: u64, cost: u64) -> SessionReport {
    let report = Report { tokens, cache_tokens, cost, ..Report::default() };
    SessionReport {
        report: Some(report),
        outcome: ReportedOutcome::Succeeded,
        output: Some(json!("done")),
        ..SessionReport::default()
    }
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
    let since = |tokens: u64| {
        result(move |line| {
            line["model_usage_since_last_result"] = json!({"m": {"inputTokens": tokens}});
        })
    };
    assert_eq!(stream(&[&since(5), &since(6)]), reading(11, 0, 24_000));
}

#[test]
fn without_usage_by_model_the_figures_are_an_estimate_and_it_is_told() {
    let read = stream(&[&result(|line| line["modelUsage"] = Value::Null)]);
    assert_eq!(
        read.report,
        Some(Report {
            tokens: 30,
            cache_tokens: 100,
            cost: 24_000,
            estimated: true,
            ..Report::default()
        })
    );
    assert_eq!(
        read.degraded.as_deref(),
        Some("usage by model is missing, so usage by sub-agents is not counted")
    );
}

#[test]
fn an_error_in_the_result_is_a_failure_though_the_subtype_says_success() {
    let read = stream(&[&result(|line| line["is_error"] = true.into())]);
    assert_eq!(read.outcome, ReportedOutcome::Failed("done".to_owned()));
    let spent = result(|line| {
        line["subtype"] = "error_max_budget_usd".into();
        line["result"] = Value::Null;
    });
    assert_eq!(
        stream(&[&spent]).outcome,
        ReportedOutcome::Failed("error_max_budget_usd".to_owned())
    );
}

#[test]
fn only_a_rejected_limit_defers_and_it_names_the_moment() {
    let failed = result(|line| {
        line["is_error"] = true.into();
        line["result"] = "You've hit your limit · resets 6am (UTC)".into();
    });
    let text = "You've hit your limit · resets 6am (UTC)".to_owned();
    let until = Some(WallTime(1_795_240_800_000_000_000));
    assert_eq!(
        stream(&[REJECTED, &failed]).outcome,
        ReportedOutcome::Deferred { until, text: text.clone() }
    );
    // The same text without the event still names the moment.
    assert_eq!(stream(&[WARNED, &failed]).outcome, ReportedOutcome::Deferred { until, text });
    assert_eq!(stream(&[ALLOWED, WARNED, &result(|_| ())]).outcome, ReportedOutcome::Succeeded);
    let throttled = result(|line| {
        line["is_error"] = true.into();
        line["api_error_status"] = 429.into();
        line["result"] = "API Error".into();
    });
    assert_eq!(
        stream(&[&throttled]).outcome,
        ReportedOutcome::Deferred { until: None, text: "API Error".to_owned() }
    );
}

#[test]
fn a_run_that_was_cut_off_has_failed_and_is_charged_what_its_messages_told() {
    let cut_off = &result(|_| ())[..40];
    let report = Report {
        tokens: 2_788,
        cache_tokens: 14_707,
        cost_charge: Charge::ByTime,
        estimated: true,
        ..Report::default()
    };
    let unread = ReportedOutcome::Unread("it ended without a result".to_owned());
    let expected = SessionReport {
        report: Some(report),
        outcome: unread.clone(),
        degraded: Some("1 JSON object could not be read".to_owned()),
        ..SessionReport::default()
    };
    // A message is printed again while it grows, and counts once.
    assert_eq!(stream(&[INIT, ASSISTANT, ASSISTANT, cut_off]), expected);
    assert_eq!(claude(b"", NOW), SessionReport { outcome: unread, ..SessionReport::default() });
    let success = result(|_| ());
    assert_eq!(
        stream(&[&success, cut_off]).outcome,
        ReportedOutcome::Unread("its last result could not be read".to_owned())
    );
}

#[test]
fn an_odd_member_loses_itself_alone() {
    let odd = result(|line| {
        line["api_error_status"] = "429".into();
        line["total_cost_usd"] = json!({});
        line["modelUsage"]["claude-opus"]["cacheReadInputTokens"] = Value::Null;
        line["modelUsage"]["claude-haiku"]["costUSD"] = "a lot".into();
        line["is_error"] = true.into();
    });
    let read = stream(&[&odd]);
    let text = "done".to_owned();
    assert_eq!(read.outcome, ReportedOutcome::Deferred { until: None, text });
    let report = read.report.unwrap();
    assert_eq!((report.tokens, report.cost_charge), (147, Charge::AtLeastGrant));
    assert_eq!(
        read.degraded.as_deref(),
        Some("in its result, costUSD, total_cost_usd could not be read")
    );
    for is_error in [Value::Null, "false".into(), 0.into()] {
        let read = stream(&[&result(|line| line["is_error"] = is_error.clone())]);
        let why = "its result does not say whether it succeeded".to_owned();
        assert_eq!(read.outcome, ReportedOutcome::Unread(why), "{is_error}");
    }
}

#[test]
fn a_result_behind_a_cut_is_read() {
    let cut_line = format!("content and content\"}}\n{ALLOWED}\n{}\n", result(|_| ()));
    assert_eq!(
        cut_stream(&format!("{INIT}\n{ASSISTANT}\n{{\"type\":\"user\",\"mess"), &cut_line),
        reading(147, 400, 24_000)
    );
    // A rejected limit before the cut still counts, and nothing is made of a cut that took the
    // result.
    let failed = result(|line| line["is_error"] = true.into());
    let until = Some(WallTime(1_795_240_800_000_000_000));
    assert_eq!(
        cut_stream(&format!("{REJECTED}\n"), &format!("x\n{failed}")).outcome,
        ReportedOutcome::Deferred { until, text: "done".to_owned() }
    );
    assert_eq!(
        cut_stream(&result(|_| ()), "ed\"}").outcome,
        ReportedOutcome::Unread("its last result could not be read".to_owned())
    );
    // As one document only the end of an array can be read.
    let run = |tail: &str| {
        antiphon::usage::claude(
            &AgentRun { printed: b"[{", tail: Some(tail.as_bytes()), ..AgentRun::default() },
            NOW,
        )
    };
    let last = result(|_| ())
        .replacen('{', r#"{"type":"result","#, 1)
        .replace(r#","type":"result"}"#, "}");
    assert_eq!(run(&format!("ntent\"}},{last}]")), reading(147, 400, 24_000));
    assert_eq!(
        run("ntent").outcome,
        ReportedOutcome::Unread("it ended without a result".to_owned())
    );
}

#[test]
fn figures_since_the_last_result_are_not_summed_over_a_cut() {
    let since =
        |line: &mut Value| line["model_usage_since_last_result"] = json!({"m": {"inputTokens": 5}});
    let line = result(since);
    assert_eq!(cut_stream("", &format!("x\n{line}")), reading(147, 400, 24_000));
    let without_total = result(|line| {
        since(line);
        line["modelUsage"] = Value::Null;
    });
    assert_eq!(
        cut_stream("", &format!("x\n{without_total}")).report,
        Some(Report { tokens: 5, cost: 24_000, estimated: true, ..Report::default() })
    );
}

#[test]
fn a_resumed_run_is_charged_what_came_since() {
    let charged = Charged::default();
    let first = resumed(&result(|_| ()), Some(&charged));
    let later = result(|line| {
        line["total_cost_usd"] = 0.03.into();
        line["modelUsage"]["claude-opus"]["outputTokens"] = 90.into();
        line["modelUsage"]["claude-opus"]["cacheReadInputTokens"] = 500.into();
    });
    // Nobody knows what the first had resumed, so it is estimated by its main agent: 30 of 147
    // tokens.
    let estimate =
        Report { tokens: 30, cache_tokens: 100, cost: 4_898, estimated: true, ..Report::default() };
    assert_eq!(first.report, Some(estimate));
    assert_eq!(
        first.degraded.as_deref(),
        Some("it resumed a run whose usage is unknown, so usage by sub-agents is not counted")
    );
    assert_eq!(resumed(&later, Some(&charged)), reading(40, 100, 6_000));
    // Figures that begin anew are taken as they are, and those of another run have nothing to do
    // with it.
    assert_eq!(
        resumed(&result(|line| line["total_cost_usd"] = 0.01.into()), Some(&charged)),
        reading(147, 400, 10_000)
    );
    let run = |line: &str| {
        antiphon::usage::claude(
            &AgentRun { printed: line.as_bytes(), charged: Some(&charged), ..AgentRun::default() },
            NOW,
        )
    };
    assert_eq!(run(&result(|line| line["session_id"] = "other".into())), reading(147, 400, 24_000));
}

#[test]
fn a_resumed_run_that_tells_what_it_used_is_not_estimated() {
    let since = |cost: Option<f64>| {
        result(move |line| {
            line["model_usage_since_last_result"] =
                json!({"m": {"inputTokens": 49, "costUSD": cost}});
        })
    };
    assert_eq!(resumed(&since(Some(0.002)), None), reading(49, 0, 2_000));
    let share = Report { tokens: 49, cost: 8_000, estimated: true, ..Report::default() };
    assert_eq!(resumed(&since(None), None).report, Some(share));
}

#[test]
fn a_structured_output_is_the_output() {
    let read = stream(&[&result(|line| line["structured_output"] = json!({"files": 3}))]);
    assert_eq!(read.output, Some(json!({"files": 3})));
}

proptest! {
    #[test]
    fn whatever_is_printed_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..600_usize, byte: u8) {
        let _ = (claude(&bytes, NOW), result_file(&bytes));
        let mut line = [REJECTED, &result(|_| ())].join("\n").into_bytes();
        let at = at % line.len();
        line[at] = byte;
        let _ = (claude(&line, NOW), result_file(&line));
    }
}
