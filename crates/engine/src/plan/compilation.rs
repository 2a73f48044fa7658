//! A plan as the engine takes it: a configuration, the blobs that its items name, and the secrets
//! that somebody must hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use antiphon_core::digest::Digest;
use antiphon_core::envelope::MAX_PAYLOAD_BYTES;
use antiphon_core::id::GroupName;
use serde::{Deserialize, Serialize};

use super::assembly::{Step, StepCommand, StepEnv, StepWork};
use super::command::{COMMAND_SCHEMA, CommandSpec, CommandText, EnvValue, InputSource};
use super::problem::{DiagnosticCode, Diagnostics, PlanError};
use super::source::Span;
use super::{Plan, assembly};
use crate::coordination::{
    ControllerError, CoordinationBudget, CoordinationConfig, Runner, WorkSpec,
};

/// The version of the form that nested plans are written in.
pub const PLAN_SCHEMA: u32 = 1;

/// Variables of the caller that every session has, if the caller has them.
const ALLOWED: &[&str] = &[
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ",
    "USER",
];

/// Largest input file whose digest is recorded, in bytes.
const MAX_HASHED_BYTES: u64 = 16 << 20;

/// What an item may take in the event that adds it, in bytes; the rest of an event's payload is its
/// frame.
const MAX_ITEM_BYTES: usize = MAX_PAYLOAD_BYTES - 1024;

/// What all blobs of a plan may take, in bytes.
const MAX_BLOB_BYTES: usize = 64 << 20;

/// The environment of whoever submits a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// These variables, and no others.
    Of(BTreeMap<String, String>),
    /// Not known, as when a plan is only checked: nothing is taken from it, nothing is missing, and
    /// no input is hashed.
    Unknown,
}

impl Environment {
    /// That of this process, as far as it is UTF-8.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::Of(std::env::vars_os().filter_map(text).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        match self {
            Self::Of(variables) => variables.get(name).map(String::as_str),
            Self::Unknown => None,
        }
    }
}

/// What a plan comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// What is started.
    pub config: CoordinationConfig,
    /// The same as data, to be sent or recorded.
    pub spec: PlanSpec,
    /// The blobs that items name: descriptions of commands, and nested plans. Each once.
    pub blobs: Vec<Vec<u8>>,
    /// The configurations of nested plans, by the digests of their blobs, which items give as their
    /// input.
    pub nested: Vec<(Digest, CoordinationConfig)>,
    /// The secrets that sessions ask for, by name.
    pub secrets: Vec<SecretSource>,
    /// The variables that were taken from the environment: with these alone, the same comes out
    /// again.
    pub environment: BTreeMap<String, String>,
}

/// A secret, and where whoever submits takes its value from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// The name that descriptions of commands give.
    pub name: String,
    /// Where the value is.
    pub from: SecretFrom,
}

/// Where the value of a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// In the variable of the same name.
    Variable,
    /// In what a command prints.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The directory that it runs in.
        dir: PathBuf,
    },
}

/// A plan as it is recorded, so that a nested one can be started after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSpec {
    /// [`PLAN_SCHEMA`] of the version that wrote it.
    pub schema: u32,
    /// Its name.
    pub name: String,
    /// Its ceilings.
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
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How many cells of a matrix, by its group, run at a time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub widths: BTreeMap<GroupName, u32>,
    /// Its items.
    pub work: Vec<WorkSpec>,
}

/// Why recorded bytes are no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanSpecError {
    /// They were written by a version that knows more.
    #[error(
        "this nested plan has schema {found}, and this version reads {PLAN_SCHEMA}; use the version that submitted it"
    )]
    Schema {
        /// The schema found.
        found: u32,
    },
    /// They are not a plan.
    #[error("this is not a nested plan: {0}")]
    Malformed(#[from] serde_json::Error),
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
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let Version { schema } = serde_json::from_slice(bytes)?;
        if schema != PLAN_SCHEMA {
            return Err(PlanSpecError::Schema { found: schema });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// What is started.
    ///
    /// # Errors
    /// [`ControllerError`] if the kernel takes less than the plan holds.
    pub fn config(&self) -> Result<CoordinationConfig, ControllerError> {
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

impl Plan {
    /// What the plan comes to, submitted from this environment.
    ///
    /// # Errors
    /// [`PlanError`] names the variables that are missing, secrets of one name from two sources, and
    /// what the kernel does not take.
    pub fn compile(&self, environment: &Environment) -> Result<Compiled, PlanError> {
        let mut compilation = Compilation {
            environment,
            blobs: BTreeMap::new(),
            nested: BTreeMap::new(),
            hashed: BTreeMap::new(),
            secrets: Vec::new(),
            taken: BTreeMap::new(),
        };
        let (spec, config) = compilation.plan(self, None)?;
        Ok(Compiled {
            config,
            spec,
            blobs: compilation.blobs.into_values().collect(),
            nested: compilation.nested.into_iter().collect(),
            secrets: compilation.secrets,
            environment: compilation.taken,
        })
    }
}

struct Compilation<'a> {
    environment: &'a Environment,
    blobs: BTreeMap<Digest, Vec<u8>>,
    nested: BTreeMap<Digest, CoordinationConfig>,
    /// Digests of input files, each of which is read once.
    hashed: BTreeMap<PathBuf, Option<Digest>>,
    secrets: Vec<SecretSource>,
    taken: BTreeMap<String, String>,
}

impl Compilation<'_> {
    /// A variable of the environment; that it was asked for is noted.
    fn variable(&mut self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        self.taken.insert(name.to_owned(), value.to_owned());
        Some(value.to_owned())
    }

    fn plan(
        &mut self,
        plan: &Plan,
        pausing: Option<bool>,
    ) -> Result<(PlanSpec, CoordinationConfig), PlanError> {
        let mut diagnostics = Diagnostics::new(&plan.source);
        let mut inside: Option<PlanError> = None;
        let mut work = Vec::new();
        for step in &plan.assembled.steps {
            let (runner, blob) = match &step.work {
                StepWork::Command(command) => {
                    let spec = self.command(command, plan, &mut diagnostics);
                    (process_runner(&spec), self.keep(spec.to_bytes()))
                }
                StepWork::Plan { path, pausing } => {
                    let Some(below) = plan.nested.get(&path.value) else {
                        let message = "this plan was not read from its file, so the plans in it are not known";
                        diagnostics.error(DiagnosticCode::MissingFile, path.span, message);
                        continue;
                    };
                    match self.plan(below, *pausing) {
                        Ok((spec, config)) => {
                            let digest = self.keep(spec.to_bytes());
                            let sessions = config.budget().max_episodes();
                            self.nested.insert(digest, config);
                            (Runner::Nested { sessions }, digest)
                        }
                        Err(problems) => {
                            match &mut inside {
                                Some(inside) => inside.join(problems),
                                None => inside = Some(problems),
                            }
                            continue;
                        }
                    }
                }
            };
            let spec = item(step, runner, blob);
            let bytes = serde_json::to_vec(&spec).map_or(0, |bytes| bytes.len());
            if bytes > MAX_ITEM_BYTES {
                let message = format!(
                    "what is recorded of `{}` takes {bytes} bytes; at most {MAX_ITEM_BYTES} are allowed",
                    step.id
                );
                diagnostics
                    .error(DiagnosticCode::TooLarge, step.span, message)
                    .hint("need a group or a whole matrix, which is one need");
            }
            work.push(spec);
        }
        let bytes: usize = self.blobs.values().map(Vec::len).sum();
        if bytes > MAX_BLOB_BYTES {
            let message = format!(
                "what is recorded of this plan takes more than {} MiB",
                MAX_BLOB_BYTES >> 20
            );
            diagnostics
                .error(DiagnosticCode::TooLarge, Span::default(), message)
                .hint("put long texts into files, and name these as inputs");
        }
        diagnostics.finish()?;
        if let Some(problems) = inside {
            return Err(problems);
        }
        let assembled = &plan.assembled;
        let spec = PlanSpec {
            schema: PLAN_SCHEMA,
            name: assembled.name.clone(),
            budget: assembled.budget.clone(),
            concurrency: assembled.concurrency,
            attempts: assembled.attempts,
            breaker: assembled.breaker,
            pausing: pausing.unwrap_or(assembled.pausing),
            labels: assembled.labels.clone(),
            widths: assembled.widths.clone(),
            work,
        };
        // What the kernel refuses was refused before, with its place; this is for what only the
        // kernel knows.
        let refused = |error: ControllerError| {
            PlanError::of_file(DiagnosticCode::BadValue, plan.source.path(), error.to_string())
        };
        let config = spec.config().map_err(refused)?;
        Ok((spec, config))
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.entry(digest).or_insert(bytes);
        digest
    }

    fn command(
        &mut self,
        command: &StepCommand,
        plan: &Plan,
        diagnostics: &mut Diagnostics<'_>,
    ) -> CommandSpec {
        let mut env: BTreeMap<String, EnvValue> = BTreeMap::new();
        for name in ALLOWED {
            if let Some(value) = self.variable(name) {
                env.insert((*name).to_owned(), EnvValue::Text(CommandText::known(value)));
            }
        }
        for (variable, value) in &command.env {
            let value = match value {
                StepEnv::Text(text) => EnvValue::Text(text.clone()),
                StepEnv::From { name, default } => {
                    let found = self.variable(&name.value).or_else(|| default.clone());
                    if found.is_none() && *self.environment != Environment::Unknown {
                        let message =
                            format!("there is no variable `{}` in this environment", name.value);
                        let told =
                            diagnostics.error(DiagnosticCode::MissingVariable, name.span, message);
                        told.hint(format!(
                            "set it, or give a default: {{ from: {}, default: .. }}",
                            name.value
                        ));
                    }
                    EnvValue::Text(CommandText::known(found.unwrap_or_default()))
                }
                StepEnv::Secret { name, command, span } => {
                    let from = match command {
                        None => SecretFrom::Variable,
                        Some(argv) => {
                            SecretFrom::Command { argv: argv.clone(), dir: plan.dir.clone() }
                        }
                    };
                    match self.secrets.iter().find(|known| known.name == *name) {
                        None => self.secrets.push(SecretSource { name: name.clone(), from }),
                        Some(known) if known.from == from => {}
                        Some(_) => {
                            let message = format!("the secret `{name}` is taken from two places");
                            diagnostics
                                .error(DiagnosticCode::Conflict, *span, message)
                                .hint("give one of the variables another name");
                        }
                    }
                    EnvValue::Secret(name.clone())
                }
            };
            env.insert(variable.clone(), value);
        }
        let inputs = command.inputs.iter().map(|(name, (input, _))| {
            let input = match input {
                InputSource::File { path, .. } => InputSource::File {
                    digest: path.as_known().and_then(|known| self.hash(Path::new(known))),
                    path: path.clone(),
                },
                InputSource::Value(value) => InputSource::Value(value.clone()),
            };
            (name.clone(), input)
        });
        CommandSpec {
            schema: COMMAND_SCHEMA,
            run: command.run.clone(),
            dir: plan.dir.clone(),
            env,
            stdin: command.stdin.clone(),
            limits: command.limits,
            grace: command.grace,
            check: command.check.clone(),
            usage: command.usage,
            inputs: inputs.collect(),
            outputs: command.outputs.clone(),
        }
    }

    /// The digest of an input file, if it is there and not too large.
    fn hash(&mut self, path: &Path) -> Option<Digest> {
        if *self.environment == Environment::Unknown {
            return None;
        }
        *self.hashed.entry(path.to_owned()).or_insert_with(|| {
            let found = fs::metadata(path).ok()?;
            (found.is_file() && found.len() <= MAX_HASHED_BYTES)
                .then(|| fs::read(path).ok())?
                .map(|bytes| Digest::of(&bytes))
        })
    }
}

/// What the kernel has to know of a command.
fn process_runner(spec: &CommandSpec) -> Runner {
    let reports = spec.usage.reports();
    let secrets = spec.env.values().any(|value| matches!(value, EnvValue::Secret(_)));
    Runner::Process { reports_tokens: reports, reports_cost: reports, secrets }
}

fn item(step: &Step, runner: Runner, input: Digest) -> WorkSpec {
    WorkSpec {
        agent: step.agent.clone(),
        needs: step.needs.clone(),
        group: step.group.clone(),
        priority: step.priority,
        critical: step.critical,
        attempts: step.attempts,
        backoff: step.backoff,
        timeout_ticks: step.timeout.map(|timeout| timeout.0 * assembly::TICK_RATE_HZ / 1_000),
        max_tokens: step.tokens,
        max_cost: step.cost,
        on_failure: step.on_failure,
        input: Some(input),
        ..WorkSpec::new(step.id.clone(), runner)
    }
}
