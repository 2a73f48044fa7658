//! What a coordination is started with.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::budget::CoordinationBudget;
use super::error::{ConfigError, ControllerError};
use super::event::{Mode, OnExhausted, OnTripped, Policies, Started};
use super::fault::CoordinationError;
use super::limits::{
    CIRCUIT_BREAKER_THRESHOLD, DEFAULT_MAX_ATTEMPTS_PER_WORK, MAX_WORK_QUEUE_SIZE,
};
use super::planner::EfeWeights;
use super::reused::Forerunner;
use super::started::Setting;
use super::work::{Runner, WorkSpec, admit, check_reused};
use crate::digest::Digest;
use crate::id::{CoordinationId, Epoch, GroupName, SessionId, WorkId};

/// Everything that a coordination is started with. Serial, closed and retried up to a limit unless
/// it says otherwise.
///
/// ```
/// use antiphon_core::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
/// let budget = CoordinationBudget::new(20, 600_000, 1_000, None)?;
/// let work = vec![WorkSpec::function("build", "cargo_build")?, WorkSpec::function("test", "cargo_test")?.needs_work("build")?];
/// let config = CoordinationConfig::of_work(work, budget)?.with_id("nightly")?.with_concurrency(2)?;
/// assert_eq!(config.work().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct CoordinationConfig {
    id: Option<CoordinationId>,
    name: Option<String>,
    mode: Mode,
    // It is read whole: its limit, which the configuration itself names, stands behind it, and the
    // order of the members is in the digest. Whoever takes one from a stranger bounds its bytes.
    work: Vec<WorkSpec>,
    budget: CoordinationBudget,
    concurrency: u32,
    max_attempts_per_work: u32,
    max_work_queue_size: usize,
    breaker: u32,
    on_exhausted: OnExhausted,
    #[serde(default, skip_serializing_if = "OnTripped::is_default")]
    on_tripped: OnTripped,
    planner: Option<EfeWeights>,
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    widths: BTreeMap<GroupName, u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forerunner: Option<Forerunner>,
    // Not in the digest: where a run was started does not make it another one.
    #[serde(skip)]
    origin: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_end: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal_schemas: Option<Digest>,
}

impl CoordinationConfig {
    /// Work that the caller carries out, one item after the other, as the seed has it.
    ///
    /// # Errors
    /// [`ControllerError::EmptyWorkQueue`], [`ControllerError::Id`], or the [`ConfigError`] that
    /// says what else is wrong.
    pub fn new(
        work_ids: Vec<String>,
        budget: CoordinationBudget,
        max_attempts_per_work: u32,
    ) -> Result<Self, ControllerError> {
        Self::with_max_queue_size(work_ids, budget, max_attempts_per_work, MAX_WORK_QUEUE_SIZE)
    }

    /// The same with another limit on the number of items.
    ///
    /// # Errors
    /// As [`CoordinationConfig::new`].
    pub fn with_max_queue_size(
        work_ids: Vec<String>,
        budget: CoordinationBudget,
        max_attempts_per_work: u32,
        max_work_queue_size: usize,
    ) -> Result<Self, ControllerError> {
        if work_ids.is_empty() {
            return Err(ControllerError::EmptyWorkQueue);
        }
        Setting::MaxAttempts.check(max_attempts_per_work)?;
        queue_size(work_ids.len(), max_work_queue_size)?;
        let work = work_ids.iter().map(|id| Ok(WorkSpec::new(WorkId::new(id)?, Runner::Caller)));
        let work = work.collect::<Result<Vec<_>, ConfigError>>()?;
        let config =
            Self { max_attempts_per_work, max_work_queue_size, ..Self::blank(work, budget) };
        let _order = admit(None, &BTreeMap::new(), &config.work)?;
        Ok(config)
    }

    /// Described work, with needs, priorities, runners and so on. Takes as many items as there are.
    ///
    /// # Errors
    /// [`ConfigError::EmptyWorkQueue`], or what is wrong with the items.
    pub fn of_work(work: Vec<WorkSpec>, budget: CoordinationBudget) -> Result<Self, ConfigError> {
        if work.is_empty() {
            return Err(ConfigError::EmptyWorkQueue);
        }
        let _order = admit(None, &BTreeMap::new(), &work)?;
        Ok(Self { max_work_queue_size: usize::MAX, ..Self::blank(work, budget) })
    }

    /// A coordination that work may come to and go from, with what there is now, which may be
    /// nothing.
    ///
    /// # Errors
    /// A [`ConfigError`] says what is wrong with the items.
    pub fn open(work: Vec<WorkSpec>, budget: CoordinationBudget) -> Result<Self, ConfigError> {
        let _order = admit(None, &BTreeMap::new(), &work)?;
        Ok(Self { mode: Mode::Open, max_work_queue_size: usize::MAX, ..Self::blank(work, budget) })
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.work.is_empty() && self.mode == Mode::Closed {
            return Err(ConfigError::EmptyWorkQueue);
        }
        Setting::MaxAttempts.check(self.max_attempts_per_work)?;
        Setting::Concurrency.check(self.concurrency)?;
        Setting::Breaker.check(self.breaker)?;
        for width in self.widths.values() {
            Setting::Width.check(*width)?;
        }
        queue_size(self.work.len(), self.max_work_queue_size)?;
        self.check_reused()?;
        admit(None, &BTreeMap::new(), &self.work).map(|_| ())
    }

    fn blank(work: Vec<WorkSpec>, budget: CoordinationBudget) -> Self {
        Self {
            id: None,
            name: None,
            mode: Mode::Closed,
            work,
            budget,
            concurrency: 1,
            max_attempts_per_work: DEFAULT_MAX_ATTEMPTS_PER_WORK,
            max_work_queue_size: MAX_WORK_QUEUE_SIZE,
            breaker: CIRCUIT_BREAKER_THRESHOLD,
            on_exhausted: OnExhausted::Stop,
            on_tripped: OnTripped::Stop,
            planner: None,
            labels: BTreeMap::new(),
            widths: BTreeMap::new(),
            forerunner: None,
            origin: None,
            on_end: None,
            signal_schemas: None,
        }
    }

    /// Whether what is taken over is from the run that is retried.
    ///
    /// # Errors
    /// [`ConfigError::NotFromForerunner`].
    pub(super) fn check_reused(&self) -> Result<(), ConfigError> {
        check_reused(&self.work, self.forerunner.as_ref())
    }

    /// The same under an id that the user chose; starting it again finds the first.
    ///
    /// # Errors
    /// [`ConfigError::Id`] says what is wrong with the text.
    pub fn with_id(self, id: impl AsRef<str>) -> Result<Self, ConfigError> {
        Ok(Self { id: Some(CoordinationId::chosen(id)?), ..self })
    }

    /// The same with a name for people.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same with so many sessions at a time.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] unless 1 to [`MAX_CONCURRENCY`](super::MAX_CONCURRENCY).
    pub fn with_concurrency(self, concurrency: u32) -> Result<Self, ConfigError> {
        Setting::Concurrency.check(concurrency)?;
        Ok(Self { concurrency, ..self })
    }

    /// The same with at most so many items of a group running at a time, besides the limit on all.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] unless 1 to [`MAX_CONCURRENCY`](super::MAX_CONCURRENCY).
    pub fn with_width(mut self, group: GroupName, width: u32) -> Result<Self, ConfigError> {
        Setting::Width.check(width)?;
        self.widths.insert(group, width);
        Ok(self)
    }

    /// The same with so many attempts for items that do not say otherwise.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] unless 1 to [`MAX_ATTEMPTS_LIMIT`](super::MAX_ATTEMPTS_LIMIT).
    pub fn with_max_attempts(self, max_attempts_per_work: u32) -> Result<Self, ConfigError> {
        Setting::MaxAttempts.check(max_attempts_per_work)?;
        Ok(Self { max_attempts_per_work, ..self })
    }

    /// The same with a breaker that trips after so many items failed for good in a row.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] for 0.
    pub fn with_breaker(self, breaker: u32) -> Result<Self, ConfigError> {
        Setting::Breaker.check(breaker)?;
        Ok(Self { breaker, ..self })
    }

    /// The same, with what happens when the breaker trips.
    #[must_use]
    pub fn when_tripped(self, on_tripped: OnTripped) -> Self {
        Self { on_tripped, ..self }
    }

    /// The same, pausing instead of ending when a ceiling is reached.
    #[must_use]
    pub fn pausing_when_exhausted(self) -> Self {
        Self { on_exhausted: OnExhausted::Pause, ..self }
    }

    /// The same with the advisory planner on.
    #[must_use]
    pub fn with_planner(self, weights: EfeWeights) -> Self {
        Self { planner: Some(weights), ..self }
    }

    /// The same with a label.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// The same as a retry of an ended run, from which items may be taken over. That the run has
    /// ended so is for the caller to see.
    #[must_use]
    pub fn retrying(self, forerunner: Forerunner) -> Self {
        Self { forerunner: Some(forerunner), ..self }
    }

    /// The same started from where the blob of this digest says. It does not make another
    /// configuration: the same from elsewhere is the same start.
    #[must_use]
    pub fn with_origin(self, origin: Option<Digest>) -> Self {
        Self { origin, ..self }
    }

    /// What a run was started with, but with this work, which is all of it.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong with the items.
    pub fn as_started(started: &Started, work: Vec<WorkSpec>) -> Result<Self, ConfigError> {
        let policies = &started.policies;
        Ok(Self {
            name: started.name.clone(),
            concurrency: started.concurrency,
            max_attempts_per_work: policies.max_attempts,
            breaker: policies.breaker,
            on_exhausted: policies.on_exhausted,
            on_tripped: policies.on_tripped,
            planner: policies.planner,
            labels: started.labels.clone(),
            widths: started.widths.clone(),
            origin: started.origin,
            on_end: started.on_end,
            signal_schemas: started.signal_schemas,
            ..Self::of_work(work, started.budget.clone())?
        })
    }

    /// The same with other work.
    ///
    /// # Errors
    /// [`ConfigError`] says what is wrong with the items.
    pub fn with_work(self, work: Vec<WorkSpec>) -> Result<Self, ConfigError> {
        let config = Self { work, ..self };
        config.check()?;
        Ok(config)
    }

    /// The same with a command that is carried out once the run has ended, however it ended; the
    /// digest is that of its description, which is handed in like an input. Of a nested run it is
    /// not carried out.
    #[must_use]
    pub fn with_on_end(self, description: Digest) -> Self {
        Self { on_end: Some(description), ..self }
    }

    /// The same with schemas that the data of its own types of signals must fit; the digest is that of
    /// the blob with them, which is handed in like an input.
    #[must_use]
    pub fn with_signal_schemas(self, schemas: Digest) -> Self {
        Self { signal_schemas: Some(schemas), ..self }
    }

    /// The same budgeted by what a parent's session was granted.
    ///
    /// # Errors
    /// [`CoordinationError::InvalidBudget`] if the grant's ticks come at no rate.
    pub fn within(
        self,
        grant: &super::Grant,
        grant_rate_hz: u64,
    ) -> Result<Self, CoordinationError> {
        Ok(Self { budget: self.budget.within(grant, grant_rate_hz)?, ..self })
    }

    /// The id that the user chose, if any.
    #[must_use]
    pub fn id(&self) -> Option<&CoordinationId> {
        self.id.as_ref()
    }

    /// The items.
    #[must_use]
    pub fn work(&self) -> &[WorkSpec] {
        &self.work
    }

    /// The run that it retries, if it is a retry.
    #[must_use]
    pub fn forerunner(&self) -> Option<&Forerunner> {
        self.forerunner.as_ref()
    }

    /// Digest of the blob that says where it is started from, if any.
    #[must_use]
    pub fn origin(&self) -> Option<Digest> {
        self.origin
    }

    /// The description of the command for its end, if it has one.
    #[must_use]
    pub fn on_end(&self) -> Option<Digest> {
        self.on_end
    }

    /// Digest of the blob with the schemas of its signals, if it has some.
    #[must_use]
    pub fn signal_schemas(&self) -> Option<Digest> {
        self.signal_schemas
    }

    /// The items' ids, in order.
    pub fn work_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.work.iter().map(|item| item.id.as_str())
    }

    /// The ceilings.
    #[must_use]
    pub fn budget(&self) -> &CoordinationBudget {
        &self.budget
    }

    /// Attempts of items that do not say otherwise.
    #[must_use]
    pub fn max_attempts_per_work(&self) -> u32 {
        self.max_attempts_per_work
    }

    /// Most items that it takes.
    #[must_use]
    pub fn max_work_queue_size(&self) -> usize {
        self.max_work_queue_size
    }

    /// Digest of all of it: what makes two starts the same.
    ///
    /// # Panics
    /// Never for values that exist: a configuration is plain data with text keys.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(
            &serde_json::to_vec(self).expect("BUG: a configuration is plain data with text keys"),
        )
    }

    /// The first event and the items that follow it.
    pub(crate) fn into_start(self, start: StartFacts) -> (Started, Vec<WorkSpec>) {
        let plan = self.digest();
        let started = Started {
            name: self.name,
            plan,
            mode: self.mode,
            budget: self.budget,
            concurrency: self.concurrency,
            policies: Policies {
                max_attempts: self.max_attempts_per_work,
                breaker: self.breaker,
                on_exhausted: self.on_exhausted,
                on_tripped: self.on_tripped,
                planner: self.planner,
            },
            parent: start.parent,
            depth: start.depth,
            minted: start.minted,
            labels: self.labels,
            widths: self.widths,
            items: u32::try_from(self.work.len()).unwrap_or(u32::MAX),
            forerunner: self.forerunner,
            origin: self.origin,
            on_end: self.on_end,
            signal_schemas: self.signal_schemas,
            engine: start.engine,
            epoch: start.epoch,
        };
        (started, self.work)
    }
}

impl Serialize for CoordinationConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// A configuration that was stored is checked like one that is made.
impl<'de> Deserialize<'de> for CoordinationConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config = Self::deserialize(deserializer)?;
        config.check().map_err(serde::de::Error::custom)?;
        Ok(config)
    }
}

/// What a start knows besides its configuration.
pub(crate) struct StartFacts {
    parent: Option<SessionId>,
    depth: u8,
    /// Whether its id was made by the engine.
    minted: bool,
    engine: String,
    epoch: Epoch,
}

impl StartFacts {
    /// A start at the top, under an id that its caller knows.
    pub(crate) fn new(engine: String, epoch: Epoch) -> Self {
        Self { parent: None, depth: 0, minted: false, engine, epoch }
    }

    /// A start below a session, at this depth.
    pub(crate) fn below(self, parent: SessionId, depth: u8) -> Self {
        Self { parent: Some(parent), depth, ..self }
    }

    /// A start under an id that no caller knows.
    pub(crate) fn minted(self) -> Self {
        Self { minted: true, ..self }
    }
}

fn queue_size(actual: usize, max: usize) -> Result<(), ConfigError> {
    if actual <= max { Ok(()) } else { Err(ConfigError::WorkQueueSizeExceeded { actual, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(change: impl Fn(&mut serde_json::Value)) -> Result<CoordinationConfig, String> {
        let budget = CoordinationBudget::new(10, 60_000, 1_000, Some(100))
            .map_err(|error| error.to_string())?;
        let work = vec![WorkSpec::function("a", "f").map_err(|error| error.to_string())?];
        let config =
            CoordinationConfig::of_work(work, budget).map_err(|error| error.to_string())?;
        let mut json = serde_json::to_value(&config).map_err(|error| error.to_string())?;
        change(&mut json);
        let read: CoordinationConfig =
            serde_json::from_value(json).map_err(|error| error.to_string())?;
        assert_eq!((&read, read.digest()), (&config, config.digest()));
        Ok(read)
    }

    #[test]
    fn a_stored_configuration_comes_back_the_same_and_is_checked_like_a_new_one() {
        assert!(stored(|_| ()).is_ok());
        let refused = |key: &str, value: serde_json::Value| {
            stored(|json| json[key] = value.clone()).unwrap_err()
        };
        assert_eq!(
            refused("concurrency", 0.into()),
            "concurrency is 0; it must be between 1 and 10000"
        );
        assert_eq!(
            refused("work", serde_json::json!([])),
            "the work queue is empty; give at least one item, or start an open run"
        );
        assert_eq!(
            refused("extra", 1.into()),
            "unknown field `extra`, expected one of `id`, `name`, `mode`, `work`, `budget`, `concurrency`, `max_attempts_per_work`, `max_work_queue_size`, `breaker`, `on_exhausted`, `on_tripped`, `planner`, `labels`, `widths`, `forerunner`, `on_end`, `signal_schemas`"
        );
    }
}
