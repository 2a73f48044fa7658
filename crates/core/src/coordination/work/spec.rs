//! A work item as it was submitted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thin_vec::ThinVec;

use super::capable::CapableRunners;
use super::need::Need;
use crate::coordination::key::gate_key;
use crate::coordination::limits::{MAX_LENT_KEYS, MAX_ROUTES, MAX_SCORES};
use crate::coordination::reused::Reused;
use crate::digest::Digest;
use crate::id::{AgentId, GroupName, KeyName, RunnerName, WorkId};
use crate::json_text::JsonText;
use crate::routing::Name;

/// How sessions of an item are carried out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Runner {
    /// By a function registered under this name.
    Function(RunnerName),
    /// By a nested coordination whose configuration is registered under this name.
    Plan(RunnerName),
    /// By a nested coordination whose configuration is the item's input.
    Nested {
        /// Its ceiling of sessions, which it is granted as far as they are left.
        sessions: u32,
    },
    /// By a process, as the item's input describes it.
    Process {
        /// Whether its usage can be read: only then is it granted tokens.
        #[serde(default, skip_serializing_if = "is_default")]
        reports_tokens: bool,
        /// Whether its cost can be read: only then is it granted some.
        #[serde(default, skip_serializing_if = "is_default")]
        reports_cost: bool,
        /// Whether it needs secrets, which are never stored: they come with the submission and are
        /// gone with the engine.
        #[serde(default, skip_serializing_if = "is_default")]
        secrets: bool,
    },
    /// By the program that drives the coordination, by hand or through a
    /// [`SessionSpawner`](crate::coordination::SessionSpawner).
    Caller,
}

impl Runner {
    /// Whether it starts only where the coordination's secrets are.
    #[must_use]
    pub fn needs_secrets(&self) -> bool {
        matches!(self, Self::Process { secrets: true, .. })
    }

    /// The same, which needs secrets where the other does, too.
    #[must_use]
    pub fn with_secrets_of(self, other: &Self) -> Self {
        match self {
            Self::Process { reports_tokens, reports_cost, secrets } => {
                let secrets = secrets || other.needs_secrets();
                Self::Process { reports_tokens, reports_cost, secrets }
            }
            other => other,
        }
    }

    /// Whether its sessions are coordinations.
    #[must_use]
    pub fn is_plan(&self) -> bool {
        matches!(self, Self::Plan(_) | Self::Nested { .. })
    }
}

/// What becomes of the others when an item fails for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
#[non_exhaustive]
pub enum FailurePolicy {
    /// What needs it is skipped.
    #[default]
    SkipDependents,
    /// What needs it continues as if it had succeeded.
    Continue,
    Abort,
}

/// How long to wait between attempts: `initial x factor^(attempts - 1)`, at most `cap`, up to
/// `jitter` of it left out at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// Wait after the first failed attempt, in nanoseconds.
    pub initial_ns: u64,
    /// By how much each further wait is longer.
    pub factor: u32,
    /// Longest wait, in nanoseconds.
    pub cap_ns: u64,
    /// How much of the wait is left to chance, in millionths: 0 none, 1,000,000 all.
    pub jitter_ppm: u32,
}

impl Backoff {
    /// A first wait, by how much each further one is longer, and the longest; without chance.
    #[must_use]
    pub fn new(initial: Duration, factor: u32, cap: Duration) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self { initial_ns: nanos(initial), factor, cap_ns: nanos(cap), jitter_ppm: 0 }
    }

    /// The same with so much of each wait left to chance, in millionths.
    #[must_use]
    pub fn with_jitter(self, jitter_ppm: u32) -> Self {
        Self { jitter_ppm, ..self }
    }

    /// The wait after so many failed attempts, in nanoseconds; `chance` is any random number.
    #[must_use]
    pub fn wait_ns(&self, attempts: u32, chance: u64) -> u64 {
        let growth = u64::from(self.factor.max(1)).saturating_pow(attempts.saturating_sub(1));
        let full = self.initial_ns.saturating_mul(growth).min(self.cap_ns);
        let open = u128::from(full) * u128::from(self.jitter_ppm.min(1_000_000)) / 1_000_000;
        // The random part is scaled from the whole 64-bit range onto [0, open].
        let left_out = (open * u128::from(chance)) >> 64;
        full - u64::try_from(left_out).unwrap_or(full)
    }
}

/// One thing to be done, as it was submitted.
///
/// ```
/// use antiphon_core::coordination::{Need, WorkSpec};
/// let test = WorkSpec::function("test", "cargo_test")?.needs_work("build")?.with_priority(5);
/// assert_eq!(test.needs, [Need::Work("build".parse()?)]);
/// # Ok::<(), antiphon_core::id::IdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct WorkSpec {
    /// Its id, unique within the coordination.
    pub id: WorkId,
    /// How its sessions are carried out.
    pub runner: Runner,
    /// The name it speaks under, if not its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// For how long its needs are waited for, by their places among them, in nanoseconds of ledger
    /// time in which the run is carried out and not paused. Came with schema 4, as signals and keys
    /// that are needed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub need_timeouts: BTreeMap<u32, u64>,
    /// The group it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// Whether the coordination has failed if it does not succeed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub critical: bool,
    /// Attempts it may take; the coordination's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Box<Backoff>>,
    /// Longest a session may take, in ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ticks: Option<u64>,
    /// Most tokens a session is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Most cost a session is granted, in millionths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<u64>,
    /// What becomes of the others when it fails for good.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: FailurePolicy,
    /// Condition under which it runs at all. Reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What undoes it. Reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<RunnerName>,
    /// The command that decides its outcome. Reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Digest of its input blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Digest>,
    /// Where it succeeded before: it is taken over and never runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<Box<Reused>>,
    /// Keys that all share and that its sessions may change. Came with schema 6.
    #[serde(
        default,
        skip_serializing_if = "ThinVec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_LENT_KEYS, _, _>"
    )]
    pub shared: ThinVec<KeyName>,
    /// Keys of the gates that its sessions may score, and that its result scores. Came with schema 7.
    #[serde(
        default,
        skip_serializing_if = "ThinVec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_SCORES, _, _>"
    )]
    pub scores: ThinVec<KeyName>,
    /// Items that what is decided of its attempts may route to. Came with schema 7.
    #[serde(
        default,
        skip_serializing_if = "ThinVec::is_empty",
        deserialize_with = "crate::bounded::list::<MAX_ROUTES, _, _>"
    )]
    pub routes_to: ThinVec<WorkId>,
    /// How often it may be carried out as others route to it, the first time included. Came with schema 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visits: Option<u32>,
    /// What its sessions are given to go by, unless the key `context/<agent>` says something else. Came
    /// with schema 7.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::json_text::present"
    )]
    pub context: Option<JsonText>,
    /// The runners that have what it wants, of which each session is given to the least loaded; what that
    /// one runs is its input then. Came with schema 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capable: Option<Box<CapableRunners>>,
    /// Why a retry carries it out, in words. Nothing follows from it. Has schema 3 of `work_added`
    /// since, and was written in lower ones before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl WorkSpec {
    /// Whether its names may be given to something new.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) names the first that may not.
    pub(crate) fn check_new(&self) -> Result<(), crate::id::IdError> {
        self.id.check_new()?;
        self.agent.as_ref().map_or(Ok(()), crate::id::AgentId::check_new)?;
        self.group.as_ref().map_or(Ok(()), GroupName::check_new)
    }

    /// Whether a signal, a key or a time-out decides when it may start.
    pub(in crate::coordination) fn waits_for_more_than_items(&self) -> bool {
        !self.need_timeouts.is_empty() || self.needs.iter().any(|need| !need.is_of_items())
    }

    /// Whether keys that all runs share may meet needs of it.
    #[must_use]
    pub fn looks_at_shared(&self) -> bool {
        self.needs.iter().any(Need::looks_at_shared)
    }

    /// Whether a person's answer or a route decides when it may start, it scores or routes, or its
    /// sessions are given something to go by.
    pub(in crate::coordination) fn waits_for_people_or_routes(&self) -> bool {
        let is_new = |need: &Need| matches!(need, Need::Approval(_) | Need::Routed);
        !self.scores.is_empty()
            || !self.routes_to.is_empty()
            || self.visits.is_some()
            || self.context.is_some()
            || self.needs.iter().any(is_new)
    }

    /// The name that its sessions speak under.
    #[must_use]
    pub fn speaks_as(&self) -> AgentId {
        self.agent.clone().unwrap_or_else(|| AgentId::from(&self.id))
    }

    /// An item carried out in the given way, without needs.
    #[must_use]
    pub fn new(id: WorkId, runner: Runner) -> Self {
        Self {
            id,
            runner,
            agent: None,
            capable: None,
            needs: Vec::new(),
            need_timeouts: BTreeMap::new(),
            group: None,
            priority: 0,
            critical: false,
            attempts: None,
            backoff: None,
            timeout_ticks: None,
            max_tokens: None,
            max_cost: None,
            on_failure: FailurePolicy::default(),
            when: None,
            undo: None,
            check: None,
            input: None,
            reused: None,
            shared: ThinVec::new(),
            scores: ThinVec::new(),
            routes_to: ThinVec::new(),
            visits: None,
            context: None,
            again: None,
        }
    }

    /// An item carried out by a registered function.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if one of the names is not a valid identifier.
    pub fn function(
        id: impl AsRef<str>,
        function: impl AsRef<str>,
    ) -> Result<Self, crate::id::IdError> {
        Ok(Self::new(WorkId::new(id)?, Runner::Function(RunnerName::new(function)?)))
    }

    /// An item carried out by a nested coordination.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if one of the names is not a valid identifier.
    pub fn plan(id: impl AsRef<str>, plan: impl AsRef<str>) -> Result<Self, crate::id::IdError> {
        Ok(Self::new(WorkId::new(id)?, Runner::Plan(RunnerName::new(plan)?)))
    }

    /// The same, waiting for another item.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if the id is not a valid identifier.
    pub fn needs_work(mut self, id: impl AsRef<str>) -> Result<Self, crate::id::IdError> {
        self.needs.push(Need::Work(WorkId::new(id)?));
        Ok(self)
    }

    /// The same, waiting for a whole group.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if the name is not a valid identifier.
    pub fn needs_group(mut self, group: impl AsRef<str>) -> Result<Self, crate::id::IdError> {
        self.needs.push(Need::Group(GroupName::new(group)?));
        Ok(self)
    }

    /// The same, waiting for something else, too.
    #[must_use]
    pub fn with_need(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// The same, skipped if the need that was named last is not met in this time. It runs from when
    /// the items and groups that it needs are done; of a need on such, from the addition of this one.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        if let Some(last) =
            self.needs.len().checked_sub(1).and_then(|last| u32::try_from(last).ok())
        {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.need_timeouts.insert(last, ns);
        }
        self
    }

    /// The same, in a group.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if the name is not a valid identifier.
    pub fn in_group(mut self, group: impl AsRef<str>) -> Result<Self, crate::id::IdError> {
        self.group = Some(GroupName::new(group)?);
        Ok(self)
    }

    /// The same with an input: the digest of bytes that are handed in with the work.
    #[must_use]
    pub fn with_input(self, input: Digest) -> Self {
        Self { input: Some(input), ..self }
    }

    /// Has each session given to the least loaded of the runners that have what it wants.
    #[must_use]
    pub fn with_capable(self, capable: CapableRunners) -> Self {
        Self { capable: Some(Box::new(capable)), ..self }
    }

    /// The same with other inputs in place of those that it names.
    #[must_use]
    pub fn with_inputs(mut self, mut now: impl FnMut(Digest) -> Digest) -> Self {
        self.input = self.input.map(&mut now);
        let capable = self.capable.iter_mut().flat_map(|capable| capable.inputs.values_mut());
        capable.for_each(|input| *input = now(*input));
        self
    }

    /// The inputs that its sessions may be given.
    pub fn inputs(&self) -> impl Iterator<Item = Digest> + '_ {
        let capable = self.capable.iter().flat_map(|capable| capable.inputs.values());
        self.input.into_iter().chain(capable.copied())
    }

    /// The same as a session gets it that was given to this runner.
    #[must_use]
    pub fn given_to(self, runner: Option<&Name>) -> Self {
        let capable = self.capable.as_ref();
        let input = capable.zip(runner).and_then(|(capable, name)| capable.inputs.get(name));
        let input = input.copied().or(self.input);
        Self { input, ..self }
    }

    /// The same carried out as another item is, with the inputs of that one.
    #[must_use]
    pub fn described_as(self, other: &Self) -> Self {
        let (runner, capable) = (other.runner.clone(), other.capable.clone());
        Self { runner, capable, input: other.input, ..self }
    }

    /// The same taken over from where it succeeded before.
    #[must_use]
    pub fn reused(self, reused: Reused) -> Self {
        Self { reused: Some(Box::new(reused)), ..self }
    }

    /// The same carried out by a retry, for this reason.
    #[must_use]
    pub fn again(self, reason: impl Into<String>) -> Self {
        Self { again: Some(reason.into()), ..self }
    }

    /// The same as its plan describes it, without what a retry has made of it.
    #[must_use]
    pub fn planned(self) -> Self {
        Self { reused: None, again: None, ..self }
    }

    /// The same, with sessions that may change a key of those that all share.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if the text is no name of a key.
    pub fn may_set_shared(mut self, key: impl AsRef<str>) -> Result<Self, crate::id::IdError> {
        self.shared.push(KeyName::new(key)?);
        Ok(self)
    }

    /// The same, with sessions that may score a gate, and a result whose score of that name is the
    /// gate's.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if `gate/` and the text are no name of a key.
    pub fn may_score(mut self, gate: impl AsRef<str>) -> Result<Self, crate::id::IdError> {
        self.scores.push(gate_key(gate.as_ref())?);
        Ok(self)
    }

    /// The same, with sessions that are given this to go by, unless the key `context/<agent>` says
    /// something else.
    #[must_use]
    pub fn with_context(self, context: JsonText) -> Self {
        Self { context: Some(context), ..self }
    }

    /// The same, starting only once an item routes to it.
    #[must_use]
    pub fn when_routed(self) -> Self {
        self.with_need(Need::Routed)
    }

    /// The same, with attempts of which it may be decided that this item goes on: one that is
    /// [routed](Self::when_routed) or may be [visited](Self::with_visits) again.
    ///
    /// # Errors
    /// [`IdError`](crate::id::IdError) if the id is not a valid identifier.
    pub fn may_route_to(mut self, id: impl AsRef<str>) -> Result<Self, crate::id::IdError> {
        self.routes_to.push(WorkId::new(id)?);
        Ok(self)
    }

    /// The same, carried out at most so often as others route to it, the first time included.
    #[must_use]
    pub fn with_visits(self, visits: u32) -> Self {
        Self { visits: Some(visits), ..self }
    }

    /// Whether others may route to it.
    pub(super) fn can_be_routed_to(&self) -> bool {
        self.visits.is_some() || self.needs.contains(&Need::Routed)
    }

    /// What another visit of it is: the same under another id, without needs but that of the route to
    /// it. It speaks under the same name.
    pub(super) fn visited_as(self, id: WorkId) -> Self {
        Self {
            agent: Some(self.speaks_as()),
            id,
            needs: vec![Need::Routed],
            need_timeouts: BTreeMap::new(),
            group: None,
            reused: None,
            again: None,
            ..self
        }
    }

    /// The same with another priority; higher goes first.
    #[must_use]
    pub fn with_priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// The same with so many attempts.
    #[must_use]
    pub fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts: Some(attempts), ..self }
    }

    /// The same with a wait between attempts.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff: Some(Box::new(backoff)), ..self }
    }

    /// The same with a limit on each session, in ticks.
    #[must_use]
    pub fn with_timeout_ticks(self, ticks: u64) -> Self {
        Self { timeout_ticks: Some(ticks), ..self }
    }

    /// The same, with the coordination failing if this does not succeed.
    #[must_use]
    pub fn critical(self) -> Self {
        Self { critical: true, ..self }
    }

    /// The same with another failure policy.
    #[must_use]
    pub fn on_failure(self, on_failure: FailurePolicy) -> Self {
        Self { on_failure, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_cap_and_jitter_only_shortens_it() {
        let backoff = Backoff { initial_ns: 1000, factor: 2, cap_ns: 5000, jitter_ppm: 500_000 };
        let longest: Vec<u64> = (1..=5).map(|attempts| backoff.wait_ns(attempts, 0)).collect();
        assert_eq!(longest, [1000, 2000, 4000, 5000, 5000]);
        let shortest: Vec<u64> =
            (1..=5).map(|attempts| backoff.wait_ns(attempts, u64::MAX)).collect();
        assert_eq!(shortest, [501, 1001, 2001, 2501, 2501]);
    }
}
