//! A plan as the engine takes it: a configuration, the blobs that its items name, and the secrets
//! that the caller must provide.
//!
//! Everything about the text was reported before; what is left is what the environment lacks and
//! what the recorded form is too large for.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use antiphon_core::digest::Digest;
use antiphon_core::envelope::MAX_PAYLOAD_BYTES;

use super::caller::{CallerValues, Environment, SecretSource};
use super::load::Plan;
use super::objects::{PlanSpec, StepWork};
use super::origin::Origin;
use super::text::{DiagnosticCode, Diagnostics, PlanError, Span};
use super::wanted::Wanted;
use crate::coordination::{ConfigError, CoordinationConfig, Runner, WorkSpec};
use crate::keys::KeyName;

/// What an item may take in the event that adds it, in bytes; the rest of an event's payload is its
/// frame.
const MAX_ITEM_BYTES: usize = MAX_PAYLOAD_BYTES - 1024;

/// What all blobs of a plan may take, in bytes.
const MAX_BLOB_BYTES: usize = 64 << 20;

/// What a plan compiles to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Compiled {
    pub config: CoordinationConfig,
    /// The same as data, as a nested plan is recorded: without a command for its end.
    pub spec: PlanSpec,
    /// The blobs that items and the configuration name: descriptions of commands, nested plans, and
    /// the origin. Each once.
    pub blobs: Vec<Vec<u8>>,
    /// The configurations of nested plans, by the digests of their blobs, which items give as their
    /// input.
    pub nested: Vec<(Digest, CoordinationConfig)>,
    /// The secrets that sessions ask for, by name.
    pub secrets: Vec<SecretSource>,
    /// Where it is started from. It is among the blobs, and the configuration names it.
    pub origin: Origin,
}

/// What items that are added to a run compile to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct CompiledWork {
    pub items: Vec<WorkSpec>,
    /// The blobs that they name, each once.
    pub blobs: Vec<Vec<u8>>,
}

impl Plan {
    /// Compiles the plan, submitted from this environment.
    ///
    /// # Errors
    /// [`PlanError`] names the variables that are missing, secrets of one name from two sources,
    /// and what the kernel does not take.
    pub fn compile(&self, environment: &Environment) -> Result<Compiled, PlanError> {
        self.compile_while(environment, &Wanted::default())
    }

    /// The same, as long as it is wanted.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_while(
        &self,
        environment: &Environment,
        wanted: &Wanted,
    ) -> Result<Compiled, PlanError> {
        let mut compilation = Compilation::new(environment, wanted);
        let (spec, mut config) = compilation.plan(self, None)?;
        if let Some(description) = compilation.on_end(self)? {
            config = config.with_on_end(description);
        }
        let Compilation { caller, blobs, nested, .. } = compilation;
        let origin = Origin::of(self, caller);
        let recorded = origin.to_bytes();
        Ok(Compiled {
            config: config.with_origin(Some(Digest::of(&recorded))),
            spec,
            blobs: blobs.into_values().chain([recorded]).collect(),
            nested: nested.into_iter().collect(),
            secrets: origin.secrets.clone(),
            origin,
        })
    }
}

impl Plan {
    /// Compiles items that are added to a run.
    pub(super) fn compile_work(
        &self,
        environment: &Environment,
        wanted: &Wanted,
    ) -> Result<CompiledWork, PlanError> {
        let mut compilation = Compilation::new(environment, wanted);
        let items = compilation.work(self)?;
        let Compilation { caller, blobs, .. } = compilation;
        let (secrets, _) = caller.into_parts();
        if let Some(secret) = secrets.first() {
            let message = format!(
                "items that are added cannot have secrets, but these name {}; a run gives its secrets to \
                 the items that it began with",
                secret.name
            );
            let path = self.source().path();
            return Err(PlanError::of_file(DiagnosticCode::Conflict, path, message));
        }
        Ok(CompiledWork { items, blobs: blobs.into_values().collect() })
    }
}

fn bytes_of(spec: &WorkSpec) -> usize {
    serde_json::to_vec(spec).map_or(0, |bytes| bytes.len())
}

struct Compilation<'a> {
    /// Whether somebody waits for it.
    wanted: &'a Wanted,
    caller: CallerValues<'a>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    nested: BTreeMap<Digest, CoordinationConfig>,
    /// What each nested plan came to; thousands of cells may run the same one.
    below: BTreeMap<Below, Option<Rc<Nested>>>,
}

/// A nested plan as an item names it.
struct Nested {
    digest: Digest,
    /// As many as its budget has.
    sessions: u32,
    /// Keys that all share and that items in it may change.
    shared: Vec<KeyName>,
}

/// A nested plan, by where it is in memory, and what it does at a ceiling.
type Below = (*const Plan, Option<bool>);

impl<'a> Compilation<'a> {
    fn new(environment: &'a Environment, wanted: &'a Wanted) -> Self {
        Self {
            wanted,
            caller: CallerValues::new(environment, wanted.clone()),
            blobs: BTreeMap::new(),
            nested: BTreeMap::new(),
            below: BTreeMap::new(),
        }
    }

    fn plan(
        &mut self,
        plan: &Plan,
        pausing: Option<bool>,
    ) -> Result<(PlanSpec, CoordinationConfig), PlanError> {
        let work = self.work(plan)?;
        let schemas = plan.resolved().signal_schemas().map(|bytes| self.keep(bytes));
        let spec = plan.resolved().record(work, pausing, schemas);
        // What the kernel refuses was refused before, with its place; this is for what only the
        // kernel knows.
        let refused = |error: ConfigError| {
            PlanError::of_file(DiagnosticCode::BadValue, plan.source().path(), error.to_string())
        };
        let config = spec.config().map_err(refused)?;
        Ok((spec, config))
    }

    /// The items of a plan as the engine takes them.
    fn work(&mut self, plan: &Plan) -> Result<Vec<WorkSpec>, PlanError> {
        self.wanted.check(plan.source().path())?;
        let mut diagnostics = Diagnostics::new(plan.source());
        let mut inside: Option<PlanError> = None;
        let mut work = Vec::new();
        for step in plan.resolved().steps() {
            let mut nested = None;
            let (runner, blob, capable) = match &step.work {
                StepWork::Command(command) => {
                    let spec = command.record(plan.dir(), &mut self.caller, &mut diagnostics);
                    let (mut runner, blob) = (spec.runner(), self.keep(spec.to_bytes()));
                    let mut blobs = vec![blob];
                    for other in step.commands().skip(1) {
                        let other = other.record(plan.dir(), &mut self.caller, &mut diagnostics);
                        runner = runner.with_secrets_of(&other.runner());
                        blobs.push(self.keep(other.to_bytes()));
                    }
                    (runner, blob, step.capable(&blobs))
                }
                StepWork::Plan { path, pausing } => {
                    let Some(below) = plan.nested(&path.value) else {
                        let message =
                            "this plan was not read from a file, so its nested plans are not known";
                        diagnostics.error(DiagnosticCode::MissingFile, path.span, message);
                        continue;
                    };
                    let compiled =
                        self.below(below, *pausing).map_err(|problems| match &mut inside {
                            Some(inside) => inside.join(problems),
                            None => inside = Some(problems),
                        });
                    let Ok(Some(below)) = compiled else { continue };
                    let runner = Runner::Nested { sessions: below.sessions };
                    (runner, nested.insert(below).digest, None)
                }
            };
            let mut spec = step.record(runner, blob, capable);
            if let Some(nested) = nested {
                // So that who adds it is held to what the items in it are given.
                spec.shared = nested.shared.iter().cloned().collect();
            }
            if bytes_of(&spec) > MAX_ITEM_BYTES {
                spec = step.record_without_members(spec);
            }
            let bytes = bytes_of(&spec);
            if bytes > MAX_ITEM_BYTES {
                let message = format!(
                    "the record of `{}` takes {bytes} bytes; at most {MAX_ITEM_BYTES} are allowed",
                    step.id
                );
                diagnostics.error(DiagnosticCode::TooLarge, step.span, message).hint(
                    "use a group, or a whole matrix that is in no group, which counts as one need",
                );
            }
            work.push(spec);
        }
        // What was not wanted any more was not read.
        self.wanted.check(plan.source().path())?;
        let bytes: usize = self.blobs.values().map(Vec::len).sum();
        if bytes > MAX_BLOB_BYTES {
            let message =
                format!("the record of this plan is larger than {} MiB", MAX_BLOB_BYTES >> 20);
            diagnostics
                .error(DiagnosticCode::TooLarge, Span::default(), message)
                .hint("put long text in files and list them as inputs");
        }
        diagnostics.finish()?;
        if let Some(problems) = inside {
            return Err(problems);
        }
        Ok(work)
    }

    /// The description of the command for the end of the outermost plan.
    fn on_end(&mut self, plan: &Plan) -> Result<Option<Digest>, PlanError> {
        let Some(command) = plan.resolved().on_end() else { return Ok(None) };
        let mut diagnostics = Diagnostics::new(plan.source());
        let spec = command.record(plan.dir(), &mut self.caller, &mut diagnostics);
        diagnostics.finish()?;
        Ok(Some(self.keep(spec.to_bytes())))
    }

    /// A nested plan as an item names it; `None` if it was refused before, for another item.
    fn below(
        &mut self,
        plan: &Plan,
        pausing: Option<bool>,
    ) -> Result<Option<Rc<Nested>>, PlanError> {
        let key: Below = (std::ptr::from_ref(plan), pausing);
        if let Some(known) = self.below.get(&key) {
            return Ok(known.clone());
        }
        let compiled = self.plan(plan, pausing).map(|(spec, config)| {
            let digest = self.keep(spec.to_bytes());
            let sessions = config.budget().max_episodes();
            self.nested.insert(digest, config);
            let shared: BTreeSet<KeyName> =
                spec.work.into_iter().flat_map(|item| item.shared).collect();
            Rc::new(Nested { digest, sessions, shared: shared.into_iter().collect() })
        });
        self.below.insert(key, compiled.as_ref().ok().cloned());
        compiled.map(Some)
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.blobs.entry(digest).or_insert(bytes);
        digest
    }
}
