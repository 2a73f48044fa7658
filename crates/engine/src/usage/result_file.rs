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

use antiphon_core::coordination::{Charge, Report};
use antiphon_core::time::WallTime;

use super::members::{Count, Members};
use super::plain_text::PlainText;
use super::{ReportedOutcome, SessionReport, cut};

/// Reads a result file; one that is empty says nothing, and one that is no JSON object is a failure.
#[must_use]
pub fn result_file(bytes: &[u8]) -> SessionReport {
    let mut text = PlainText::default();
    let mut plain = text.push(bytes).into_owned();
    plain.extend(text.finish());
    let text = String::from_utf8_lossy(&plain);
    // The byte order mark of UTF-8, and the one that is left of UTF-16.
    match text.trim_matches(|char: char| char.is_whitespace() || char == '\u{feff}') {
        "" => SessionReport::default(),
        text => Members::of(text).map_or_else(unread, |members| read(&members)),
    }
}

fn unread() -> SessionReport {
    let outcome = ReportedOutcome::Unread("its result file is not a JSON object".to_owned());
    SessionReport { outcome, ..SessionReport::default() }
}

fn read(members: &Members<'_>) -> SessionReport {
    let mut strange: Vec<&str> = Vec::new();
    let mut known = |name, count: Result<Option<Count>, _>| {
        count.unwrap_or_else(|_| {
            strange.push(name);
            None
        })
    };
    let tokens = known("tokens", members.count("tokens"));
    let cache_tokens = known("cache_tokens", members.count("cache_tokens"));
    let cost = known("cost", members.amount("cost"));
    let mut reading = SessionReport::default();
    let figures = [tokens, cache_tokens, cost];
    reading.report =
        figures.iter().any(Option::is_some).then(|| report(tokens, cache_tokens, cost));
    match members.value("output") {
        Ok(output) => reading.output = output,
        Err(_) => strange.push("output"),
    }
    match members.object("scores") {
        Ok(scores) => {
            for (name, score) in scores.iter().flat_map(Members::iter) {
                match serde_json::from_str::<f64>(score).ok().filter(|score| score.abs() < 9e9) {
                    Some(score) => {
                        reading.scores.insert(name.to_owned(), (score * 1e6).round() as i64);
                    }
                    None => strange.push("scores"),
                }
            }
        }
        Err(_) => strange.push("scores"),
    }
    reading.outcome = outcome(members);
    strange.dedup();
    reading.degraded = (!strange.is_empty())
        .then(|| format!("in the result file, {} could not be read", strange.join(", ")));
    reading
}

/// Where tokens or cost are told and the other is not, at least what was granted of that is charged.
fn report(tokens: Option<Count>, cache_tokens: Option<Count>, cost: Option<Count>) -> Report {
    let charge = |figure| match figure {
        Some(Count::Exactly(figure)) => (figure, Charge::AsReported),
        Some(Count::Beyond) | None => (0, Charge::AtLeastGrant),
    };
    let ((tokens, tokens_charge), (cost, cost_charge)) = (charge(tokens), charge(cost));
    let cache_tokens = cache_tokens.map_or(0, Count::saturated);
    Report { tokens, tokens_charge, cache_tokens, cost, cost_charge, ..Report::default() }
}

/// A deferral counts more than an error: that is why it waits.
fn outcome(members: &Members<'_>) -> ReportedOutcome {
    let given = |name| members.get(name).filter(|value| *value != "false");
    if given("deferred").is_some() {
        let deferred = members.object("deferred").ok().flatten().unwrap_or_default();
        let until = deferred.count("until").ok().flatten().map(Count::saturated);
        let until = until.map(|seconds| WallTime(seconds.saturating_mul(1_000_000_000)));
        let reason = deferred.text("reason").ok().flatten();
        let text = reason.map_or_else(
            || "the session asked to be retried later".to_owned(),
            |reason| cut(&reason),
        );
        return ReportedOutcome::Deferred { until, text };
    }
    match given("error") {
        None => ReportedOutcome::Nothing,
        Some(written) => {
            let text = members.text("error").ok().flatten();
            ReportedOutcome::Failed(cut(text.as_deref().unwrap_or(written)))
        }
    }
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
    fn a_figure_that_is_missing_or_beyond_counting_is_charged_at_least_the_grant() {
        let charges = |file: &[u8]| {
            let report = result_file(file).report.unwrap();
            (report.tokens, report.tokens_charge, report.cost, report.cost_charge)
        };
        let beyond = (0, Charge::AtLeastGrant, 0, Charge::AtLeastGrant);
        assert_eq!(charges(br#"{"tokens": 18446744073709551616, "cost": 1e308}"#), beyond);
        assert_eq!(charges(br#"{"tokens": 1}"#), (1, Charge::AsReported, 0, Charge::AtLeastGrant));
    }

    #[test]
    fn a_mark_of_the_byte_order_and_another_encoding_do_not_matter() {
        let text = "\u{feff}{\"output\": \"\u{e4}\"}\r\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes(), &wide] {
            assert_eq!(result_file(bytes).output, Some("\u{e4}".into()), "{bytes:?}");
        }
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
    fn a_member_that_cannot_be_read_is_told_and_the_rest_is_taken() {
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
        let unread = ReportedOutcome::Unread("its result file is not a JSON object".to_owned());
        for file in [&b"[1]"[..], b"{", b"{}{}", br#"{"error": "x""#, b"done"] {
            assert_eq!(result_file(file).outcome, unread, "{file:?}");
        }
    }
}
