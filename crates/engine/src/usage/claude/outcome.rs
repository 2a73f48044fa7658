//! How a run says that it went, and what it reports in all.

use antiphon_core::time::WallTime;

use super::heard::{Ended, Heard};
use crate::usage::{AgentRun, ReportedOutcome, SessionReport, cut, limit};

impl Heard {
    /// What a run reports.
    pub(super) fn session_report(mut self, run: &AgentRun<'_>, now: WallTime) -> SessionReport {
        let mut notes: Vec<String> = Vec::new();
        match self.damaged {
            0 => {}
            1 => notes.push("1 JSON object could not be read".to_owned()),
            objects => notes.push(format!("{objects} JSON objects could not be read")),
        }
        if !self.odd.is_empty() {
            let names: Vec<&str> = self.odd.iter().copied().collect();
            notes.push(format!("in its result, {} could not be read", names.join(", ")));
        }
        let report = self.charge(run, &mut notes);
        let outcome = self.outcome(now);
        let output = self.last.take().and_then(|ended| ended.output);
        let degraded = (!notes.is_empty()).then(|| notes.join("; "));
        SessionReport { report, outcome, output, scores: Default::default(), degraded }
    }

    fn outcome(&self, now: WallTime) -> ReportedOutcome {
        match (&self.last, self.rejected) {
            (Some(ended), rejected) if !self.is_last_uncertain => ended.outcome(rejected, now),
            (_, Some(until)) => {
                ReportedOutcome::Deferred { until, text: "a limit was reached".to_owned() }
            }
            (Some(_), None) => {
                ReportedOutcome::Unread("its last result could not be read".to_owned())
            }
            (None, None) => ReportedOutcome::Unread("it ended without a result".to_owned()),
        }
    }
}

impl Ended {
    /// A success says so in two members; anything else is none.
    fn outcome(&self, rejected: Option<Option<WallTime>>, now: WallTime) -> ReportedOutcome {
        let subtype = self.subtype.as_deref().unwrap_or("");
        if self.is_error == Some(false) && subtype == "success" {
            return ReportedOutcome::Succeeded;
        }
        let text = match self.text.as_deref() {
            Some(text) => cut(text),
            None => cut(subtype),
        };
        if let Some(until) = rejected {
            return ReportedOutcome::Deferred {
                until: until.or_else(|| limit::reset(&text, now)),
                text,
            };
        }
        if self.api_error_status == Some(429) || limit::is_reached(&text) {
            return ReportedOutcome::Deferred { until: limit::reset(&text, now), text };
        }
        match (self.is_error, subtype) {
            (None, "success") | (Some(false), "") => {
                ReportedOutcome::Unread("its result does not say whether it succeeded".to_owned())
            }
            (_, "success" | "") => ReportedOutcome::Failed(text),
            (_, subtype) if text == subtype => ReportedOutcome::Failed(text),
            (_, subtype) => ReportedOutcome::Failed(cut(&format!("{subtype}: {text}"))),
        }
    }
}
