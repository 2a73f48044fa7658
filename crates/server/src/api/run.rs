//! Runs at a glance, one or a page of them.

use std::collections::BTreeSet;

use antiphon::append::HeadRow;
use antiphon::coordination::{Blocked, Stage};
use antiphon::head::UnreadableSummary;
use antiphon::id::{CoordinationId, StreamName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pause::Pause;
use super::utc::utc;

/// A run at a glance, as `antiphon list --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct RunLine {
    pub id: String,
    /// Its name, if the plan gives one.
    pub name: Option<String>,
    /// Where it is in its life, such as `running` or `succeeded`.
    pub status: String,
    /// Whether it has ended.
    pub ended: bool,
    /// The version of its last event.
    pub version: u64,
    /// The hash of its last event.
    pub hash: String,
    /// When it began, in UTC.
    pub started: String,
    /// When it last changed, in UTC.
    pub changed: String,
    /// Why it ended with work left, is paused, or waits, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What continues it, if it is paused. Only the answer about one run has this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Its head row's summary: totals, usage, receipt and so on.
    pub summary: Value,
}

impl RunLine {
    /// The same, if it only waits for secrets that its engine does not have, which no head row says.
    pub(crate) fn waiting_for_secrets(self, waiting: &BTreeSet<CoordinationId>) -> Self {
        let is_running = self.status == Stage::Running.as_str();
        if !is_running || !waiting.iter().any(|id| *id == *self.id) {
            return self;
        }
        let why = Some(Blocked::NoSecrets.to_string());
        Self { status: Stage::Waiting.as_str().to_owned(), why, ..self }
    }
}

impl TryFrom<&HeadRow> for RunLine {
    type Error = UnreadableSummary;

    fn try_from(head: &HeadRow) -> Result<Self, UnreadableSummary> {
        let read = head.run_summary()?;
        let (name, why) = (read.name.clone(), read.why());
        // As it stands there: a newer version may say more.
        let summary = serde_json::from_str(&head.summary).expect("BUG: it was read before");
        Ok(Self {
            id: match &head.stream {
                StreamName::Coordination(id) => id.to_string(),
                other => other.to_string(),
            },
            name,
            status: head.status.clone(),
            ended: head.ended,
            version: head.tip.version.0,
            hash: head.tip.hash.to_string(),
            started: utc(head.started),
            changed: utc(head.changed.1),
            why,
            pause: None,
            summary,
        })
    }
}

/// A page of runs, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct ListPage {
    pub runs: Vec<RunLine>,
    /// The cursor of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which runs a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only those with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only those that have not ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
    /// Only those that have ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// How many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// [`ListPage::next`] of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon::coordination::{Budget, CoordinationConfig, CoordinationController, WorkSpec};
    use antiphon::envelope::StreamTip;
    use antiphon::head::Headed as _;

    use super::*;
    use crate::api::{Code, Problem};

    #[test]
    fn a_head_row_that_cannot_be_read_is_an_error_and_not_a_run_without_a_name() {
        let work = vec![WorkSpec::function("a", "a").unwrap()];
        let budget = Budget::sessions(1).within(Duration::from_secs(1)).build().unwrap();
        let config = CoordinationConfig::of_work(work, budget).unwrap().with_id("nightly").unwrap();
        let mut controller = CoordinationController::new(config);
        let begun = controller.start(1_000).unwrap().event;
        let tip = StreamTip { version: begun.version, hash: begun.hash };
        let head = controller.session().unwrap().head(tip);
        assert_eq!(RunLine::try_from(&head).unwrap().id, "nightly");
        let damaged = HeadRow { summary: "{}".to_owned(), ..head };
        let problem = Problem::from(RunLine::try_from(&damaged).unwrap_err());
        assert_eq!(problem.known_code(), Some(Code::Damaged));
    }
}
