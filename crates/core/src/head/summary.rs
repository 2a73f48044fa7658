//! The summary of a coordination's head row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::append::HeadRow;
use crate::coordination::{BudgetUsage, Coordination, Counts, Ending, StopCondition};
use crate::digest::Digest;
use crate::id::{CoordinationId, SessionId, StreamName, Version};

/// What lists and results need to know of a coordination without its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct RunSummary {
    /// Why it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// The run that it retries, if it is a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forerunner: Option<CoordinationId>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The session that carries it out, if it is nested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SessionId>,
    /// Why it is paused, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// Digest of everything it was started with.
    pub plan: Digest,
    /// Digest of its receipt, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Digest>,
    pub running: u64,
    /// Sessions that ended and items with an outcome, counted.
    pub totals: Counts,
    /// What it has used.
    pub usage: BudgetUsage,
    /// Items that were ever added.
    pub work: u64,
}

/// The summary of a head row is not what this version writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the summary of {stream} is not what this version writes: {message}")]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct UnreadableSummary {
    pub stream: StreamName,
    pub message: String,
}

impl RunSummary {
    pub(super) fn of(state: &Coordination) -> Self {
        let started = state.started();
        Self {
            ending: state.ending(),
            forerunner: started.forerunner.as_ref().map(|named| named.coordination.clone()),
            labels: started.labels.clone(),
            name: started.name.clone(),
            parent: started.parent.clone(),
            paused: state.pause_reason().map(ToOwned::to_owned),
            plan: started.plan,
            receipt: state.receipt_digest(),
            running: state.bindings().len() as u64,
            totals: *state.totals(),
            usage: state.budget_usage().clone(),
            work: state.work_count(),
        }
    }

    /// Why it ended with work left, or is paused, in words for people.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        match &self.ending {
            None => self.paused.clone(),
            Some(Ending::Completed(StopCondition::AllWorkCompleted)) => None,
            Some(Ending::Completed(stop)) => Some(stop.describe()),
            Some(Ending::Aborted(reason)) => Some(reason.describe()),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("BUG: a summary is plain data with text keys")
    }

    pub(super) fn read(head: &HeadRow) -> Result<Self, UnreadableSummary> {
        serde_json::from_str(&head.summary).map_err(|error| UnreadableSummary {
            stream: head.stream.clone(),
            message: error.to_string(),
        })
    }
}

/// The head row of a coordination some of whose payloads are erased, without the texts that may
/// come from them; `None` if it has none.
///
/// It is not read as a [`RunSummary`], so that what a newer version wrote next to them stays.
#[must_use]
pub fn without_erased(head: HeadRow, versions: &[Version]) -> Option<HeadRow> {
    let mut summary: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&head.summary).ok()?;
    // Name and labels are of the first event; which one said why it was paused is not known here.
    if !versions.contains(&Version(1)) && !summary.contains_key("paused") {
        return None;
    }
    let texts = ["name", "labels", "paused"].map(|text| summary.remove(text));
    texts
        .iter()
        .any(Option::is_some)
        .then(|| HeadRow { summary: serde_json::Value::Object(summary).to_string(), ..head })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordination::{
        CoordinationBudget, CoordinationConfig, CoordinationController, WorkSpec,
    };
    use crate::head::Headed as _;

    #[test]
    fn a_summary_is_read_as_it_was_written() {
        let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
        let work = vec![WorkSpec::function("a", "f").unwrap()];
        let config = CoordinationConfig::open(work, budget).unwrap().with_name("nightly");
        let mut controller = CoordinationController::new(config);
        controller.start(1_000).unwrap();
        let state = controller.session().unwrap();
        let head = state.head(controller.tip());
        assert_eq!(head.run_summary(), Ok(RunSummary::of(state)));
        assert_eq!(
            (head.run_summary().unwrap().name.as_deref(), head.run_summary().unwrap().work),
            (Some("nightly"), 1)
        );
        let damaged = HeadRow { summary: "{}".to_owned(), ..head };
        assert_eq!(
            damaged.run_summary().unwrap_err().to_string(),
            format!(
                "the summary of {} is not what this version writes: \
                 missing field `plan` at line 1 column 2",
                damaged.stream
            )
        );
    }
}
