//! A plan as it is recorded.

use std::collections::BTreeMap;

use antiphon_core::id::GroupName;
use serde::{Deserialize, Serialize};

use crate::coordination::{ConfigError, CoordinationBudget, CoordinationConfig, WorkSpec};
use crate::tagged::{self, Schema, TaggedError};

/// The version of the form that nested plans are written in.
pub const PLAN_SCHEMA: u32 = 1;

/// A plan as it is recorded, so that a nested one can be started after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct PlanSpec {
    /// [`PLAN_SCHEMA`] of the version that wrote it.
    pub schema: u32,
    pub name: String,
    pub budget: CoordinationBudget,
    /// Sessions at a time.
    pub concurrency: u32,
    /// Attempts of items that do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Failures in a row that stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<u32>,
    /// Whether it pauses at a ceiling.
    #[serde(default)]
    pub pausing: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How many cells of a matrix, by its group, run at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub widths: BTreeMap<GroupName, u32>,
    pub work: Vec<WorkSpec>,
}

/// Why recorded bytes are no plan.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PlanSpecError {
    /// They were written by a version that knows more.
    #[error(
        "this nested plan has schema {found}, but this version reads {PLAN_SCHEMA}; use the \
        version that submitted it"
    )]
    Schema { found: u32 },
    /// They are not a plan.
    #[error("this is not a nested plan: {0}")]
    Malformed(serde_json::Error),
}

impl PlanSpec {
    /// The bytes that are recorded.
    ///
    /// # Panics
    /// Never for values that exist: a plan is plain data with text keys.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("BUG: a plan is plain data with text keys")
    }

    /// Reads recorded bytes.
    ///
    /// # Errors
    /// [`PlanSpecError`] if they are no plan, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanSpecError> {
        tagged::read(bytes, |tag: Schema| tag.schema, &PLAN_SCHEMA).map_err(|error| match error {
            TaggedError::Version { found } => PlanSpecError::Schema { found },
            TaggedError::Malformed(error) => PlanSpecError::Malformed(error),
        })
    }

    /// What is started.
    ///
    /// # Errors
    /// [`ConfigError`] if the kernel takes less than the plan holds.
    pub fn config(&self) -> Result<CoordinationConfig, ConfigError> {
        let mut config = CoordinationConfig::of_work(self.work.clone(), self.budget.clone())?
            .with_name(&self.name);
        config = config.with_concurrency(self.concurrency)?;
        if let Some(attempts) = self.attempts {
            config = config.with_max_attempts(attempts)?;
        }
        if let Some(breaker) = self.breaker {
            config = config.with_breaker(breaker)?;
        }
        if self.pausing {
            config = config.pausing_when_exhausted();
        }
        for (name, value) in &self.labels {
            config = config.with_label(name, value);
        }
        for (group, width) in &self.widths {
            config = config.with_width(group.clone(), *width)?;
        }
        Ok(config)
    }
}
