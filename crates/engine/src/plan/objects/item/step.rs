//! One cell of an item, resolved: every name in it is known, and only outputs and what the caller
//! gives are open.

use std::collections::BTreeMap;
use std::path::Path;

use antiphon_core::digest::Digest;

use super::ItemAst;
use super::command_spec::{COMMAND_SCHEMA, CommandSpec};
use super::how::How;
use crate::coordination::{Backoff, CapableRunners, FailurePolicy, Need, Runner, WorkSpec};
use crate::id::{AgentId, GroupName, WorkId};
use crate::keys::{JsonText, KeyName};
use crate::plan::caller::CallerValues;
use crate::plan::objects::budget::{BudgetAst, TICK_RATE_HZ};
use crate::plan::objects::check::CheckSpec;
use crate::plan::objects::command::Invocation;
use crate::plan::objects::env::{EnvAst, EnvValue, ResolvedEnv, record_all};
use crate::plan::objects::input::{self, InputSource};
use crate::plan::objects::limits::{LimitsAst, SessionLimits};
use crate::plan::objects::output::OutputSource;
use crate::plan::objects::retry::RetryAst;
use crate::plan::objects::route::{RouteRules, Routes};
use crate::plan::objects::runner::{RunnerAst, RunnerAsts};
use crate::plan::objects::settings::SettingsAst;
use crate::plan::objects::stdin::ResolvedStdin;
use crate::plan::objects::usage::UsageReader;
use crate::plan::resolve::{CellResolver, CommandText, TextScope, Wait};
use crate::plan::text::{DiagnosticCode, Diagnostics, Millis, Span, Spanned, shorten};
use crate::routing::{Capabilities, Name};

/// How long a session that was asked to end has, unless the plan says otherwise.
const DEFAULT_GRACE: Millis = Millis(10_000);

/// What the plan says for all of its items.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan::objects) struct ItemDefaults<'p> {
    env: &'p BTreeMap<String, EnvAst>,
    retry: &'p RetryAst,
    budget: &'p BudgetAst,
    runners: &'p RunnerAsts,
    /// The gates that each item scores.
    scored: &'p BTreeMap<WorkId, Vec<KeyName>>,
    /// Who routes to whom.
    routes: &'p Routes,
}

impl<'p> ItemDefaults<'p> {
    pub(in crate::plan::objects) fn new(
        env: &'p BTreeMap<String, EnvAst>,
        retry: &'p RetryAst,
        budget: &'p BudgetAst,
        runners: &'p RunnerAsts,
        scored: &'p BTreeMap<WorkId, Vec<KeyName>>,
        routes: &'p Routes,
    ) -> Self {
        Self { env, retry, budget, runners, scored, routes }
    }
}

/// An item, or a cell of one.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Step {
    pub(in crate::plan) id: WorkId,
    /// Where the item that it comes from is named.
    pub(in crate::plan) span: Span,
    /// The id of the item that it comes from: its own, unless it is a cell.
    pub(in crate::plan) item: String,
    /// What it runs, to be shown.
    pub(in crate::plan) label: String,
    agent: Option<AgentId>,
    pub(in crate::plan) group: Option<GroupName>,
    pub(in crate::plan) needs: Vec<Need>,
    /// How long each of them is waited for that is not waited for without end, in nanoseconds.
    need_timeouts: BTreeMap<u32, u64>,
    /// How many of these, the last ones, say no more than that a group is needed.
    members: usize,
    priority: i32,
    pub(in crate::plan) critical: bool,
    attempts: Option<u32>,
    backoff: Option<Backoff>,
    timeout: Option<Millis>,
    tokens: Option<u64>,
    cost_millionths: Option<u64>,
    on_failure: FailurePolicy,
    shared: Vec<KeyName>,
    /// The gates that it scores.
    scores: Vec<KeyName>,
    pub(in crate::plan) routes_to: Vec<WorkId>,
    visits: Option<u32>,
    context: Option<JsonText>,
    pub(in crate::plan) work: StepWork,
    /// The runners that may carry it out, where it says what it wants of one.
    capable: Option<StepRunners>,
}

/// The runners that have what an item wants, with what each runs.
#[derive(Debug, Clone)]
struct StepRunners {
    wanted: Capabilities,
    commands: Vec<(Name, StepCommand)>,
}

/// How a step is executed.
#[derive(Debug, Clone)]
pub(in crate::plan) enum StepWork {
    Command(Box<StepCommand>),
    /// A nested plan, by its path as it is written; what it does at a ceiling, if that is said
    /// here.
    Plan {
        path: Spanned<String>,
        pausing: Option<bool>,
    },
}

/// A command before the environment of the caller is known.
#[derive(Debug, Clone)]
pub(in crate::plan) struct StepCommand {
    run: Invocation,
    env: BTreeMap<String, ResolvedEnv>,
    stdin: Option<ResolvedStdin>,
    limits: SessionLimits,
    grace: Millis,
    check: Option<CheckSpec>,
    usage: UsageReader,
    route: RouteRules,
    inputs: BTreeMap<String, (InputSource, Span)>,
    outputs: BTreeMap<String, OutputSource>,
}

impl ItemAst {
    /// What a cell waits for, and the step if there is one: an item that cannot be executed may
    /// be in a cycle all the same.
    pub(in crate::plan::objects) fn resolve<'p>(
        &'p self,
        id: &WorkId,
        group: Option<GroupName>,
        defaults: ItemDefaults<'_>,
        mut resolver: CellResolver<'_, '_, 'p>,
    ) -> (Wait, Option<Step>) {
        let runner = self.how.runners().first().and_then(|name| defaults.runners.get(&name.value));
        let shared = runner.map(RunnerAst::settings);
        let (limits, usage) = (self.limits(shared), self.usage(shared));
        resolver.needs(&self.needs);
        if let Some(span) = self.routed {
            resolver.wait_for_route(defaults.routes.sources(&self.id.value), span);
        }
        let work = if resolver.is_spent() {
            None
        } else if let How::Plan(plan) = &self.how {
            let path = resolver.name(&plan.value);
            let path = path.map(|path| Spanned::new(path, plan.span));
            path.map(|path| StepWork::Plan { path, pausing: self.pausing })
        } else {
            let command = self.command(runner, defaults.env, &mut resolver);
            command.map(|command| StepWork::Command(Box::new(command)))
        };
        let capable = work.as_ref().and_then(|_| self.capable(&defaults, &mut resolver));
        let agent = self.agent(&mut resolver);
        let reports_usage = matches!(self.how, How::Plan(_)) || usage.reports();
        limits.check(defaults.budget, reports_usage, resolver.diagnostics());
        let (members, need_timeouts) = (resolver.members(), resolver.need_timeouts());
        let wait = Wait::new(id.clone(), group.clone(), resolver.into_needs());
        let step = work.map(|work| Step {
            id: id.clone(),
            span: self.id.span,
            item: self.id.value.clone(),
            label: self.how.label(),
            agent,
            group,
            needs: wait.needs().cloned().collect(),
            need_timeouts,
            members,
            priority: self.priority,
            critical: self.critical,
            attempts: self.retry.as_ref().and_then(RetryAst::attempts),
            backoff: self.retry.as_ref().unwrap_or(defaults.retry).backoff(),
            timeout: self.timeout(shared),
            tokens: limits.tokens(),
            cost_millionths: limits.cost_millionths(),
            on_failure: self.on_failure,
            shared: self.shared.clone(),
            scores: defaults.scored.get(id).cloned().unwrap_or_default(),
            routes_to: defaults.routes.targets(&self.id.value).to_vec(),
            visits: self.visits,
            context: self.context.clone(),
            work,
            capable,
        });
        (wait, step)
    }

    /// The limits of its sessions: its own, or those of the runner.
    fn limits(&self, of_runner: Option<&SettingsAst>) -> LimitsAst {
        match of_runner {
            Some(shared) => self.settings.limits.or(&shared.limits),
            None => self.settings.limits.clone(),
        }
    }

    fn usage(&self, of_runner: Option<&SettingsAst>) -> UsageReader {
        self.settings.usage.or(of_runner.and_then(|shared| shared.usage)).unwrap_or_default()
    }

    fn timeout(&self, of_runner: Option<&SettingsAst>) -> Option<Millis> {
        self.settings.timeout.or(of_runner.and_then(|shared| shared.timeout))
    }

    /// What it wants, with what each runner runs that has it; `None` if it names a runner itself.
    fn capable<'p>(
        &'p self,
        defaults: &ItemDefaults<'_>,
        resolver: &mut CellResolver<'_, '_, 'p>,
    ) -> Option<StepRunners> {
        let How::Capable(wanted) = &self.how else { return None };
        let mut commands = Vec::new();
        let mut first: Option<(&str, &RunnerAst)> = None;
        for name in &wanted.runners {
            let runner = defaults.runners.get(&name.value)?;
            let (first_name, first) = *first.get_or_insert((&name.value, runner));
            if let Some(differs) = self.differs(first.settings(), runner.settings()) {
                let message = format!(
                    "`{}` may be given to `{}` and to `{}`, but they differ in `{differs}`",
                    shorten(&self.id.value),
                    shorten(first_name),
                    shorten(&name.value)
                );
                let reported =
                    resolver.diagnostics().error(DiagnosticCode::Conflict, name.span, message);
                reported.hint(format!("set `{differs}` on the item"));
            }
            resolver.write_for(&name.value);
            commands.push((
                Name::new(&name.value).ok()?,
                self.command(Some(runner), defaults.env, resolver)?,
            ));
        }
        Some(StepRunners { wanted: wanted.capabilities.clone(), commands })
    }

    /// The setting that the engine itself goes by and in which two runners differ.
    fn differs(&self, one: &SettingsAst, other: &SettingsAst) -> Option<&'static str> {
        let (one, other) = (Some(one), Some(other));
        let (ours, theirs) = (self.limits(one), self.limits(other));
        if self.timeout(one) != self.timeout(other) {
            Some("timeout")
        } else if ours.tokens() != theirs.tokens()
            || ours.cost_millionths() != theirs.cost_millionths()
        {
            Some("limits")
        } else if self.usage(one).reports() != self.usage(other).reports() {
            Some("usage")
        } else {
            None
        }
    }

    fn agent(&self, resolver: &mut CellResolver<'_, '_, '_>) -> Option<AgentId> {
        let agent = self.agent.as_ref()?;
        match AgentId::new(resolver.name(&agent.value)?) {
            Ok(agent) => Some(agent),
            Err(error) => {
                let diagnostics = resolver.diagnostics();
                diagnostics.error(DiagnosticCode::BadId, agent.span, error.to_string());
                None
            }
        }
    }

    /// `None` if it is broken, or the plan has grown too large; either was reported.
    fn command(
        &self,
        runner: Option<&RunnerAst>,
        env_of_plan: &BTreeMap<String, EnvAst>,
        resolver: &mut CellResolver<'_, '_, '_>,
    ) -> Option<StepCommand> {
        let (command, scope) = match (&self.how, runner) {
            (How::Own(command), _) => (command, TextScope::Item),
            (How::Runner(_) | How::Capable(_), Some(runner)) => {
                (runner.command()?, TextScope::Runner)
            }
            _ => return None,
        };
        let shared = runner.map(RunnerAst::settings);
        let run = command.resolve(scope, resolver);
        let env = self.env(env_of_plan, shared, resolver)?;
        let stdin = match (&self.settings.stdin, shared.and_then(|shared| shared.stdin.as_ref())) {
            (Some(own), _) => Some(own.resolve(TextScope::Item, resolver)),
            (None, Some(shared)) => Some(shared.resolve(TextScope::Runner, resolver)),
            (None, None) => None,
        };
        let read = stdin.as_ref().map(ResolvedStdin::source);
        command.refuse_injection(&run, read, resolver.diagnostics());
        let check = self.check.as_ref().map(|check| check.resolve(resolver));
        let inputs = input::resolve_all(&self.input, resolver)?;
        let outputs = self.output.resolve(resolver)?;
        let grace = self.settings.grace.or(shared.and_then(|shared| shared.grace));
        let (limits, usage) = (self.limits(shared).of_session(), self.usage(shared));
        let grace = grace.unwrap_or(DEFAULT_GRACE);
        let route = self.route.iter().map(|rule| rule.resolve(resolver)).collect();
        let route = RouteRules::new(route);
        Some(StepCommand { run, env, stdin, limits, grace, check, usage, route, inputs, outputs })
    }

    /// The plan's variables, then the runner's, then its own.
    fn env(
        &self,
        of_plan: &BTreeMap<String, EnvAst>,
        shared: Option<&SettingsAst>,
        resolver: &mut CellResolver<'_, '_, '_>,
    ) -> Option<BTreeMap<String, ResolvedEnv>> {
        let mut env = BTreeMap::new();
        for (scope, variables) in [
            (TextScope::Item, Some(of_plan)),
            (TextScope::Runner, shared.map(|shared| &shared.env)),
            (TextScope::Item, Some(&self.settings.env)),
        ] {
            for (name, value) in variables.into_iter().flatten() {
                if !resolver.weigh(name.len()) {
                    return None;
                }
                env.insert(name.clone(), value.resolve(scope, resolver));
            }
        }
        Some(env)
    }
}

impl Step {
    /// The commands that its sessions run: one, or one for each runner that may carry it out.
    pub(in crate::plan) fn commands(&self) -> impl Iterator<Item = &StepCommand> {
        let own = match &self.work {
            StepWork::Command(command) => Some(&**command),
            StepWork::Plan { .. } => None,
        };
        // The first of them is that of the step.
        let others = self.capable.iter().flat_map(|capable| capable.commands.iter().skip(1));
        own.into_iter().chain(others.map(|(_, command)| command))
    }

    /// The runners that have what it wants, with the inputs of their commands, in their order.
    pub(in crate::plan) fn capable(&self, inputs: &[Digest]) -> Option<CapableRunners> {
        let StepRunners { wanted, commands } = self.capable.as_ref()?;
        let names = commands.iter().map(|(name, _)| name.clone());
        let inputs = names.zip(inputs.iter().copied()).collect();
        Some(CapableRunners { wanted: wanted.clone(), inputs })
    }

    /// The item as the engine takes it.
    pub(in crate::plan) fn record(
        &self,
        runner: Runner,
        input: Digest,
        capable: Option<CapableRunners>,
    ) -> WorkSpec {
        WorkSpec {
            agent: self.agent.clone(),
            needs: self.needs.clone(),
            need_timeouts: self.need_timeouts.clone(),
            group: self.group.clone(),
            priority: self.priority,
            critical: self.critical,
            attempts: self.attempts,
            backoff: self.backoff.map(Box::new),
            timeout_ticks: self.timeout.map(|timeout| timeout.0 * TICK_RATE_HZ / 1_000),
            max_tokens: self.tokens,
            max_cost: self.cost_millionths,
            on_failure: self.on_failure,
            shared: self.shared.iter().cloned().collect(),
            scores: self.scores.iter().cloned().collect(),
            routes_to: self.routes_to.iter().cloned().collect(),
            visits: self.visits,
            context: self.context.clone(),
            capable: capable.map(Box::new),
            input: Some(input),
            ..WorkSpec::new(self.id.clone(), runner)
        }
    }
}

impl Step {
    /// The same without the members of groups that it needs too; sessions find their outputs in
    /// the record.
    pub(in crate::plan) fn record_without_members(&self, recorded: WorkSpec) -> WorkSpec {
        let needs = self.needs[..self.needs.len() - self.members].to_vec();
        WorkSpec { needs, ..recorded }
    }
}

impl StepCommand {
    /// Whether its sessions report what they use.
    pub(in crate::plan) fn reports_usage(&self) -> bool {
        self.usage.reports()
    }

    /// What follows its attempts.
    pub(in crate::plan) fn route(&self) -> &RouteRules {
        &self.route
    }

    /// The paths of the files that it makes.
    pub(in crate::plan) fn made_files(&self) -> impl Iterator<Item = &Path> {
        self.outputs.values().filter_map(OutputSource::file)
    }

    /// The paths of the files that it reads, each with where it is written.
    pub(in crate::plan) fn read_files(&self) -> impl Iterator<Item = (&CommandText, Span)> {
        let inputs = self.inputs.values().filter_map(|(input, span)| Some((input.file()?, *span)));
        let stdin = self.stdin.iter().filter_map(ResolvedStdin::file);
        inputs.chain(stdin)
    }

    /// What the plan sets in the environment of its sessions; the commands of secrets run in `dir`.
    pub(in crate::plan) fn environment(
        &self,
        dir: &Path,
        caller: &mut CallerValues<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> BTreeMap<String, EnvValue> {
        record_all(&self.env, dir, caller, diagnostics)
    }

    /// The description that is recorded; sessions run in `dir`.
    pub(in crate::plan) fn record(
        &self,
        dir: &Path,
        caller: &mut CallerValues<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> CommandSpec {
        let env = self.environment(dir, caller, diagnostics);
        let inputs = self
            .inputs
            .iter()
            .map(|(name, (input, span))| (name.clone(), input.record(*span, caller, diagnostics)));
        let inputs = inputs.collect();
        let stdin = self.stdin.as_ref().map(|stdin| stdin.record(dir, caller, diagnostics));
        let spec = CommandSpec {
            schema: COMMAND_SCHEMA,
            run: self.run.clone(),
            dir: dir.to_owned(),
            env,
            stdin,
            limits: self.limits,
            grace: self.grace,
            check: self.check.clone(),
            usage: self.usage,
            route: self.route.clone(),
            inputs,
            outputs: self.outputs.clone(),
        };
        spec.in_lowest_schema()
    }
}
