//! What a caller waits for in a run, and how its wait ended.

use antiphon::Need;
use antiphon::waits::{Met, Waited};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A caller waits until all of this is there.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WaitRequest {
    /// What is waited for.
    pub needs: Vec<NeedRequest>,
    /// For how long; as long as it takes unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// One thing that is waited for, as plans spell it: one of the first six members, with what belongs
/// to it.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct NeedRequest {
    /// The outcome of an item, whichever that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The outcomes of all items of a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A signal of this type, whether it was sent before or comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The score of a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// A key that is there, or as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The answer to this question, which the run asks for its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether a signal that tells of a failure does not count, which it does not unless this is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// A decimal number with at most six digits behind its point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<Box<RawValue>>,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct WaitAnswer {
    pub run: String,
    pub waited: WaitEnd,
    /// What met each need, in their order; empty unless all of them are met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub met: Vec<MetNeed>,
    /// What was not met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
}

/// How a wait ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// All of it is there.
    Met,
    /// The time is over.
    TimedOut,
    /// The run has ended without it.
    RunEnded,
}

/// What met a need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetNeed {
    /// The need, for people.
    pub need: String,
    /// Where in the run's stream the signal is, or where the key was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The outcome of the item: `succeeded`, `failed` or `skipped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The answer to the question: `yes` or `no`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The item of the group that failed, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl WaitAnswer {
    /// How a wait for this ended in a run.
    #[must_use]
    pub fn of(run: impl Into<String>, needs: &[Need], waited: &Waited) -> Self {
        let told = |needs: &[Need]| needs.iter().map(ToString::to_string).collect();
        let (end, met, unmet) = match waited {
            Waited::Met(met) => {
                let met = needs.iter().zip(met).map(|(need, met)| MetNeed::of(need, met));
                (WaitEnd::Met, met.collect(), Vec::new())
            }
            Waited::TimedOut { unmet } => (WaitEnd::TimedOut, Vec::new(), told(unmet)),
            Waited::Ended { unmet } => (WaitEnd::RunEnded, Vec::new(), told(unmet)),
            other => panic!("BUG: nobody tells of {other:?}"),
        };
        Self { run: run.into(), waited: end, met, unmet }
    }
}

impl MetNeed {
    fn of(need: &Need, met: &Met) -> Self {
        let told = Self { need: need.to_string(), ..Self::default() };
        match met {
            Met::Outcome { outcome } => Self { outcome: Some(outcome.as_str().to_owned()), ..told },
            Met::Outcomes { failed } => {
                Self { failed: failed.as_ref().map(ToString::to_string), ..told }
            }
            Met::Signal { version } => Self { version: version.map(|version| version.0), ..told },
            Met::Answer { answer, .. } => Self { answer: Some(answer.as_str().to_owned()), ..told },
            Met::Key { version } => Self { version: Some(version.0), ..told },
            _ => told,
        }
    }
}
