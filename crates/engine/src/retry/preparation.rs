//! A retry that is ready to be submitted: what it starts with, and what it does with each item.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::{ConfigError, CoordinationConfig, Reused, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::id::{CoordinationId, WorkId};

use super::asked::alike;
use super::recorded::RecordedPlan;
use super::{Asked, Composed, Decision, Reason, Retried, Retry};
use crate::plan::{Compiled, Environment};

/// What somebody wants of a retry.
#[derive(Debug, Clone, Copy, Default)]
pub struct RetryRequest<'a> {
    /// The plan as it is now; the recorded one if absent.
    pub plan: Option<&'a Compiled>,
    /// Where the recorded plan is started from now, if that is known.
    pub environment: Option<&'a Environment>,
    /// Names of items, groups and matrices that run again whatever became of them; of an item of a
    /// nested plan, behind the item that runs it and a slash.
    pub items: &'a [String],
    /// Whether only what did not succeed runs, with what needs it and what is new: what succeeded is
    /// taken over as it was, whether it has changed or not.
    pub only_failed: bool,
}

/// A retry that is ready to be submitted.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What it starts with, but for its id.
    pub config: CoordinationConfig,
    /// The blobs that its items name, as far as they may not be recorded yet.
    pub inputs: Vec<Vec<u8>>,
    /// How many items are taken over, those of nested plans among them.
    pub reused: u64,
    /// How many of these have changed since.
    pub changed: u64,
    /// How many of them an earlier run than the one that is retried had carried out, by that run.
    pub carried_out: BTreeMap<CoordinationId, u64>,
    /// What runs again, in the order of the plan. A nested plan that is gone into is not named, but
    /// its items are.
    pub runs: Vec<RunsAgain>,
}

/// An item that runs again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsAgain {
    /// Its id, behind those of the items whose nested plans it is in, each with a slash.
    pub item: String,
    #[expect(missing_docs, reason = "its name says it")]
    pub reason: Reason,
}

/// Why there is nothing to be submitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub enum RetryError {
    /// A name stands for nothing in the plan.
    #[error("there is no item {name} in the plan of {run}{}", did_you_mean(.near))]
    UnknownItem {
        run: CoordinationId,
        name: String,
        /// Names that may have been meant.
        near: Vec<String>,
    },
    /// All items succeeded, and none of them has changed, unless that does not count.
    #[error(
        "there is nothing to run again: every item of {run} succeeded{}",
        unless_changed(*.changed)
    )]
    NothingToRun {
        run: CoordinationId,
        /// How many have changed.
        changed: u64,
    },
    /// The plan allows fewer sessions than items run.
    #[error(
        "{} cannot be enough for the {items} items that run again, each of which takes at least one; \
         raise `sessions` in the plan",
        if *sessions == 1 { "1 session".to_owned() } else { format!("{sessions} sessions") }
    )]
    TooFewSessions { sessions: u32, items: u64 },
    /// The kernel does not take it.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}

fn unless_changed(changed: u64) -> String {
    match changed {
        0 => " and is unchanged; name items that are to run all the same".to_owned(),
        1 => "; 1 has changed since, but only what failed was asked for".to_owned(),
        changed => format!("; {changed} have changed since, but only what failed was asked for"),
    }
}

impl Retried {
    /// Decides what runs again, and puts together what the retry starts with.
    ///
    /// # Errors
    /// [`RetryError`] if a name stands for nothing, or nothing is to run.
    pub fn prepare(&self, request: &RetryRequest<'_>) -> Result<Prepared, RetryError> {
        let run = &self.run.forerunner.coordination;
        let Planned { config, mut inputs } = match request.plan {
            Some(compiled) => {
                Planned { config: compiled.config.clone(), inputs: compiled.blobs.clone() }
            }
            None => self.recorded(request.environment)?,
        };
        let work = config.work();
        let now: BTreeMap<Digest, &[u8]> =
            inputs.iter().map(|bytes| (Digest::of(bytes), bytes.as_slice())).collect();
        let blob = |digest: &Digest| {
            now.get(digest).copied().or_else(|| self.blobs.get(digest).map(Vec::as_slice))
        };
        let mut asked = Asked::default();
        for name in request.items {
            if !asked.add(name, work, &blob) {
                let near = alike(name, work, &blob);
                return Err(RetryError::UnknownItem { run: run.clone(), name: name.clone(), near });
            }
        }
        let (earlier, asked, only_failed) = (&self.run, &asked, request.only_failed);
        let retry = Retry { earlier, work, asked, only_failed, blob: &blob };
        let composed = retry.compose();
        let mut told = Told::default();
        told.take(None, &composed);
        if told.runs.is_empty() {
            return Err(RetryError::NothingToRun { run: run.clone(), changed: told.changed });
        }
        let sessions = config.budget().max_episodes();
        if u64::from(sessions) < told.sessions {
            return Err(RetryError::TooFewSessions { sessions, items: told.sessions });
        }
        let config = config.retrying(self.run.forerunner.clone()).with_work(composed.work)?;
        inputs.extend(composed.blobs);
        let Told { reused, changed, carried_out, runs, .. } = told;
        Ok(Prepared { config, inputs, reused, changed, carried_out, runs })
    }
}

/// A plan before it is decided what runs of it.
struct Planned {
    config: CoordinationConfig,
    inputs: Vec<Vec<u8>>,
}

impl Retried {
    /// The plan as it is recorded, with the files that it names as they are now.
    fn recorded(&self, environment: Option<&Environment>) -> Result<Planned, ConfigError> {
        let mut recorded = RecordedPlan::new(&self.blobs);
        // Further visits are no items of the plan: what routes to them decides about them anew.
        let ids: BTreeSet<&str> = self.run.items.iter().map(|item| item.spec.id.as_str()).collect();
        let is_visit = |id: &WorkId| id.first_visit().is_some_and(|first| ids.contains(first));
        let planned = self.run.items.iter().filter(|item| !is_visit(&item.spec.id));
        let work = recorded.items(planned.map(|item| &item.spec));
        let mut inputs = recorded.into_blobs();
        let mut config = CoordinationConfig::as_started(&self.started, work)?;
        if let (Some(origin), Some(environment)) = (&self.origin, environment) {
            let origin = origin.clone().inheriting(environment).to_bytes();
            config = config.with_origin(Some(Digest::of(&origin)));
            inputs.push(origin);
        }
        Ok(Planned { config, inputs })
    }
}

/// What is done with the items of a plan and of those in it.
#[derive(Default)]
struct Told {
    reused: u64,
    changed: u64,
    carried_out: BTreeMap<CoordinationId, u64>,
    runs: Vec<RunsAgain>,
    /// Sessions that are taken if none fails, as far as it is known here.
    sessions: u64,
}

impl Told {
    fn take(&mut self, above: Option<&str>, composed: &Composed) {
        for (item, decision) in composed.work.iter().zip(&composed.decisions) {
            let reason = match decision {
                Decision::TakeOver { changed, .. } => {
                    self.reused += 1;
                    self.changed += u64::from(changed.is_some());
                    let earlier = item.reused.as_deref().and_then(Reused::earlier_run);
                    if let Some(run) = earlier {
                        *self.carried_out.entry(run.clone()).or_default() += 1;
                    }
                    continue;
                }
                Decision::Run(reason) => reason.clone(),
            };
            self.sessions += 1;
            let path = path(above, item);
            match composed.below.get(&item.id) {
                Some(below) => self.take(Some(&path), below),
                None => self.runs.push(RunsAgain { item: path, reason }),
            }
        }
    }
}

fn path(above: Option<&str>, item: &WorkSpec) -> String {
    match above {
        Some(above) => format!("{above}/{}", item.id),
        None => item.id.to_string(),
    }
}
