//! The result file: what a session writes to the path in `ANTIPHON_RESULT`, if it has anything to
//! say.
//!
//! ```json
//! { "output": {"path": "models.py"}, "scores": {"coverage": 0.93}, "tokens": 1200, "cache_tokens":
//! 300, "cost": 0.02,
//!   "error": "why it failed", "deferred": {"until": 1778565600, "reason": "quota"} }
//! ```
//!
//! Every member may be left out; `until` is in seconds since 1970. Unknown members are ignored.

use antiphon_core::coordination::Report;
use antiphon_core::time::WallTime;
use serde_json::{Map, Value};

use super::{ReportedOutcome, SessionReport, cut, millionths};

/// Reads a result file; one that is empty says nothing.
#[must_use]
pub fn result_file(bytes: &[u8]) -> SessionReport {
    if bytes.trim_ascii().is_empty() {
        return SessionReport::default();
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(members)) => read(&members),
        Ok(_) => degraded("the result file is not a JSON object".to_owned()),
        Err(error) => degraded(format!("the result file is not JSON: {error}")),
    }
}

fn degraded(what: String) -> SessionReport {
    SessionReport { degraded: Some(what), ..SessionReport::default() }
}

fn read(members: &Map<String, Value>) -> SessionReport {
    let mut strange: Vec<&str> = Vec::new();
    let mut reading = SessionReport {
        output: members.get("output").filter(|output| !output.is_null()).cloned(),
        ..SessionReport::default()
    };
    let mut report = Report::default();
    let mut reported = false;
    for (name, count) in
        [("tokens", &mut report.tokens), ("cache_tokens", &mut report.cache_tokens)]
    {
        match members.get(name) {
            None => {}
            Some(value) => match value.as_u64() {
                Some(read) => {
                    *count = read;
                    reported = true;
                }
                None => strange.push(name),
            },
        }
    }
    if let Some(cost) = members.get("cost") {
        match cost.as_f64().and_then(millionths) {
            Some(read) => {
                report.cost = read;
                reported = true;
            }
            None => strange.push("cost"),
        }
    }
    reading.report = reported.then_some(report);
    match members.get("scores") {
        None => {}
        Some(Value::Object(scores)) => {
            for (name, score) in scores {
                match score.as_f64().filter(|score| score.abs() < 9e9) {
                    Some(score) => {
                        reading.scores.insert(name.clone(), (score * 1e6).round() as i64);
                    }
                    None => strange.push("scores"),
                }
            }
        }
        Some(_) => strange.push("scores"),
    }
    match members.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::String(text)) => reading.outcome = ReportedOutcome::Failed(cut(text)),
        Some(other) => reading.outcome = ReportedOutcome::Failed(cut(&other.to_string())),
    }
    match members.get("deferred") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(deferred) => {
            let until = deferred
                .get("until")
                .and_then(Value::as_u64)
                .map(|seconds| WallTime(seconds.saturating_mul(1_000_000_000)));
            let text = deferred
                .get("reason")
                .and_then(Value::as_str)
                .unwrap_or("the session asked to be retried later");
            reading.outcome = ReportedOutcome::Deferred { until, text: cut(text) };
        }
    }
    strange.dedup();
    reading.degraded = (!strange.is_empty())
        .then(|| format!("in the result file, {} could not be read", strange.join(", ")));
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_may_be_left_out_and_unknown_ones_do_not_matter() {
        assert_eq!(result_file(b" \n"), SessionReport::default());
        assert_eq!(result_file(br#"{"colour": "red"}"#), SessionReport::default());
        let full = br#"{"output": {"path": "a"}, "scores": {"coverage": 0.93, "bugs": -2}, "tokens": 12, "cache_tokens": 3, "cost": 0.02}"#;
        let expected = SessionReport {
            report: Some(Report { tokens: 12, cache_tokens: 3, cost: 20_000, ..Report::default() }),
            output: Some(serde_json::json!({"path": "a"})),
            scores: [("bugs".to_owned(), -2_000_000), ("coverage".to_owned(), 930_000)].into(),
            ..SessionReport::default()
        };
        assert_eq!(result_file(full), expected);
    }

    #[test]
    fn an_error_is_a_failure_and_a_deferral_waits() {
        assert_eq!(
            result_file(br#"{"error": "no tests ran"}"#).outcome,
            ReportedOutcome::Failed("no tests ran".to_owned())
        );
        assert_eq!(result_file(br#"{"error": null}"#).outcome, ReportedOutcome::Nothing);
        let until = Some(WallTime(1_778_565_600_000_000_000));
        let deferred =
            result_file(br#"{"deferred": {"until": 1778565600, "reason": "quota"}}"#).outcome;
        assert_eq!(deferred, ReportedOutcome::Deferred { until, text: "quota".to_owned() });
    }

    #[test]
    fn what_cannot_be_read_has_word_and_the_rest_is_taken() {
        let read = result_file(
            br#"{"tokens": "many", "cost": -1, "scores": {"a": "b", "c": 1}, "output": 7}"#,
        );
        assert_eq!(
            read.degraded.as_deref(),
            Some("in the result file, tokens, cost, scores could not be read")
        );
        assert_eq!(
            (read.report, read.output, read.scores),
            (None, Some(7.into()), [("c".to_owned(), 1_000_000)].into())
        );
        assert_eq!(
            result_file(b"[1]").degraded.as_deref(),
            Some("the result file is not a JSON object")
        );
        assert!(
            result_file(b"{")
                .degraded
                .is_some_and(|collected| collected.starts_with("the result file is not JSON: "))
        );
    }
}
