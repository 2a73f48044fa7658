//! A plan as it is recorded.

use std::collections::BTreeMap;

use antiphon_core::digest::Digest;
use antiphon_core::id::GroupName;
use serde::{Deserialize, Serialize};

use crate::coordination::{
    ConfigError, CoordinationBudget, CoordinationConfig, Forerunner, WorkSpec,
};
use crate::event::OnTripped;
use crate::tagged::{self, Schema, TaggedError};

/// The highest version of the form that nested plans are written in. Each is written in the lowest
/// one that can say it.
pub const PLAN_SCHEMA: u32 = 5;

/// The version that names a run that is retried.
const RETRY_SCHEMA: u32 = 2;

/// The version that says that the breaker does not end it.
const BREAKER_SCHEMA: u32 = 3;

/// The version that names the sessions which carried out what is taken over.
const SESSION_SCHEMA: u32 = 4;

/// The version that names schemas of signals.
const SIGNALS_SCHEMA: u32 = 5;

/// A plan as it is recorded, so that a nested one can be started after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct PlanSpec {
    /// The lowest version of the form that can say it: 1, 2 if it retries a run, 3 if its breaker
    /// does not end it, 4 if it names the sessions that carried out what is taken over, 5 if it names schemas
    /// of signals.
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
    /// What happens when the breaker trips.
    #[serde(default, skip_serializing_if = "OnTripped::is_default")]
    pub on_tripped: OnTripped,
    /// Whether it pauses at a ceiling.
    #[serde(default)]
    pub pausing: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How many cells of a matrix, by its group, run at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub widths: BTreeMap<GroupName, u32>,
    pub work: Vec<WorkSpec>,
    /// The run that it retries, which an earlier run of the plan above had started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forerunner: Option<Forerunner>,
    /// Digest of the blob with the schemas of its signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_schemas: Option<Digest>,
}

/// Why recorded bytes are no plan.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PlanSpecError {
    /// They were written by a version that knows more.
    #[error(
        "this nested plan has schema {found}, but this version reads up to {PLAN_SCHEMA}; use the \
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
        let known = 1..=PLAN_SCHEMA;
        let newer = |tag: Schema| Some(tag.schema).filter(|schema| !known.contains(schema));
        let read = tagged::read(bytes, newer, &None).map_err(|error| match error {
            TaggedError::Version { found } => {
                PlanSpecError::Schema { found: found.unwrap_or_default() }
            }
            TaggedError::Malformed(error) => PlanSpecError::Malformed(error),
        });
        read.and_then(|spec: Self| {
            let needed = spec.lowest();
            if spec.schema < needed {
                let message = format!("it says what only schema {needed} can");
                return Err(PlanSpecError::Malformed(serde::de::Error::custom(message)));
            }
            Ok(spec)
        })
    }

    /// The lowest version that can say it.
    fn lowest(&self) -> u32 {
        let mut reused = self.work.iter().filter_map(|item| item.reused.as_ref());
        match self.forerunner {
            _ if self.signal_schemas.is_some() => SIGNALS_SCHEMA,
            _ if reused.any(|reused| reused.session.is_some()) => SESSION_SCHEMA,
            _ if !self.on_tripped.is_default() => BREAKER_SCHEMA,
            Some(_) => RETRY_SCHEMA,
            None => 1,
        }
    }

    /// The same in the lowest version that can say it.
    #[must_use]
    pub(in crate::plan) fn in_lowest_schema(self) -> Self {
        Self { schema: self.lowest(), ..self }
    }

    /// The same as a retry of an earlier run of it, from which these items may be taken over.
    #[must_use]
    pub fn retrying(self, forerunner: Forerunner, work: Vec<WorkSpec>) -> Self {
        Self { work, forerunner: Some(forerunner), ..self }.in_lowest_schema()
    }

    /// The same without the run that it retries, and with these items, none of which is taken over.
    #[must_use]
    pub(crate) fn planned(self, work: Vec<WorkSpec>) -> Self {
        Self { work, forerunner: None, ..self }.in_lowest_schema()
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
        config = config.when_tripped(self.on_tripped);
        if self.pausing {
            config = config.pausing_when_exhausted();
        }
        if let Some(forerunner) = &self.forerunner {
            config = config.retrying(forerunner.clone());
        }
        if let Some(schemas) = self.signal_schemas {
            config = config.with_signal_schemas(schemas);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_retry_made_of_a_plan_is_taken_back_and_the_rest_stays_what_it_says() {
        let budget = CoordinationBudget::new(9, 60_000, 1_000, None).unwrap();
        let plan = PlanSpec {
            schema: BREAKER_SCHEMA,
            name: "inner".to_owned(),
            budget,
            concurrency: 1,
            attempts: None,
            breaker: Some(2),
            on_tripped: OnTripped::Pause,
            pausing: false,
            labels: BTreeMap::new(),
            widths: BTreeMap::new(),
            work: vec![WorkSpec::function("a", "work").unwrap()],
            forerunner: None,
            signal_schemas: None,
        };
        let forerunner = Forerunner {
            coordination: "x.1".parse().unwrap(),
            receipt: crate::Digest::of(b"receipt"),
            version: crate::Version(9),
            hash: crate::Digest::of(b"head"),
        };
        let retry = plan.clone().retrying(forerunner, plan.work.clone());
        assert_eq!(PlanSpec::from_bytes(&retry.to_bytes()).unwrap(), retry);
        let planned = retry.planned(plan.work.clone());
        assert_eq!(PlanSpec::from_bytes(&planned.to_bytes()).unwrap(), plan);
    }
}
