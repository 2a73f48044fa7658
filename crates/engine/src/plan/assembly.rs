//! Putting a draft together: matrices into cells, names into needs, placeholders into values; then
//! it is a plan that can be carried out.

mod filling_in;
mod names;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::command::{
    CheckSpec, CommandText, InputSource, Invocation, OutputSource, SessionLimits, StdinSource,
    UsageReader,
};
use super::draft::{
    Draft, EnvDraft, How, InputDraft, ItemDraft, OutputDraft, RetryDraft, RunDraft, StdinDraft,
};
use super::problem::{DiagnosticCode, Diagnostics};
use super::source::{Span, Spanned};
use super::template::{Piece, Template};
use super::units::Millis;
use crate::coordination::{Backoff, CoordinationBudget, FailurePolicy, Need};
use crate::id::{AgentId, GroupName, WorkId};
use filling_in::{Cell, Filling, Scope};
use names::Names;
use waiting::Wait;

/// Most items of a plan, the cells of matrices among them.
pub(super) const MAX_STEPS: usize = 10_000;

/// Most needs of all items together: each cell of a matrix may need each of another.
const MAX_NEEDS: usize = 100_000;

/// What all texts of all cells may weigh, in bytes.
const MAX_WEIGHT: usize = 16 << 20;

/// What a piece of a text weighs besides its bytes.
const PIECE_WEIGHT: usize = 32;

/// How often the engine counts time, in a second: durations are whole milliseconds.
pub(super) const TICK_RATE_HZ: u64 = 1_000;

/// Longest wait between attempts, unless the plan says otherwise.
const DEFAULT_CAP: Millis = Millis(600_000);

/// How much longer each further wait is.
const BACKOFF_FACTOR: u32 = 2;

/// How long a session that was asked to end has, unless the plan says otherwise.
const DEFAULT_GRACE: Millis = Millis(10_000);

/// What is to be carried out: a plan in which every name is known.
#[derive(Debug, Clone)]
pub(super) struct Assembled {
    pub(super) name: String,
    pub(super) budget: CoordinationBudget,
    /// Where its sessions are limited.
    pub(super) sessions_span: Span,
    pub(super) concurrency: u32,
    pub(super) attempts: Option<u32>,
    pub(super) breaker: Option<u32>,
    pub(super) pausing: bool,
    pub(super) labels: BTreeMap<String, String>,
    /// How many cells of these groups run at a time.
    pub(super) widths: BTreeMap<GroupName, u32>,
    pub(super) steps: Vec<Step>,
}

/// An item, or a cell of one.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) id: WorkId,
    /// Where the item that it comes from is named.
    pub(super) span: Span,
    /// The id of the item that it comes from: its own, unless it is a cell.
    pub(super) item: String,
    /// What it runs, for people.
    pub(super) label: String,
    pub(super) agent: Option<AgentId>,
    pub(super) group: Option<GroupName>,
    pub(super) needs: Vec<Need>,
    pub(super) priority: i32,
    pub(super) critical: bool,
    pub(super) attempts: Option<u32>,
    pub(super) backoff: Option<Backoff>,
    pub(super) timeout: Option<Millis>,
    pub(super) tokens: Option<u64>,
    pub(super) cost: Option<u64>,
    pub(super) on_failure: FailurePolicy,
    pub(super) work: StepWork,
}

/// How a step is carried out.
#[derive(Debug, Clone)]
pub(super) enum StepWork {
    Command(Box<StepCommand>),
    /// A nested plan, by its path as it is written; what it does at a ceiling, if that is said
    /// here.
    Plan {
        path: Spanned<String>,
        pausing: Option<bool>,
    },
}

/// A command before the environment of whoever submits it is known.
#[derive(Debug, Clone)]
pub(super) struct StepCommand {
    pub(super) run: Invocation,
    pub(super) env: BTreeMap<String, StepEnv>,
    pub(super) stdin: Option<StdinSource>,
    /// Where standard input is said.
    pub(super) stdin_span: Span,
    pub(super) limits: SessionLimits,
    pub(super) grace: Millis,
    pub(super) check: Option<CheckSpec>,
    pub(super) usage: UsageReader,
    pub(super) inputs: BTreeMap<String, (InputSource, Span)>,
    pub(super) outputs: BTreeMap<String, OutputSource>,
}

#[derive(Debug, Clone)]
pub(super) enum StepEnv {
    Text(CommandText),
    From { name: Spanned<String>, default: Option<String> },
    Secret { name: String, command: Option<Vec<String>>, span: Span },
}

/// Puts a draft together; `dir` is the absolute directory that relative paths start from. `None` if
/// that makes no sense.
pub(super) fn assemble(
    draft: &Draft,
    dir: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Assembled> {
    let names = Names::of(draft, diagnostics);
    let mut assembly = Assembly {
        draft,
        names: &names,
        dir,
        diagnostics,
        needs_left: Some(MAX_NEEDS),
        weight_left: Some(MAX_WEIGHT),
    };
    let (mut steps, mut waits) = (Vec::new(), Vec::new());
    for (item, cells) in draft.items.iter().zip(names.cells()) {
        let mut used = BTreeSet::new();
        for cell in cells {
            let (wait, step) = assembly.step(item, cell, &mut used);
            waits.push(wait);
            steps.extend(step);
            if assembly.is_spent() {
                return None;
            }
        }
        if !cells.is_empty() && !matches!(item.how, How::Broken) {
            assembly.unused(item, &used);
        }
    }
    waiting::refuse_cycles(&waits, diagnostics);
    let budget = budget(draft, waits.len(), diagnostics);
    let widths = draft
        .items
        .iter()
        .filter_map(|item| Some((GroupName::new(&item.id.value).ok()?, item.width?)));
    Some(Assembled {
        name: draft.name.clone(),
        budget,
        sessions_span: draft
            .budget
            .sessions
            .as_ref()
            .map_or(Span::default(), |sessions| sessions.span),
        concurrency: draft.concurrency.unwrap_or(1),
        attempts: draft.retry.attempts,
        breaker: draft.breaker,
        pausing: draft.pausing.unwrap_or_default(),
        labels: draft.labels.clone(),
        widths: widths.collect(),
        steps,
    })
}

struct Assembly<'a, 'b, 'd> {
    draft: &'d Draft,
    names: &'b Names<'d>,
    dir: &'b Path,
    diagnostics: &'b mut Diagnostics<'a>,
    /// `None` once there were too many, and that was told.
    needs_left: Option<usize>,
    weight_left: Option<usize>,
}

impl<'d> Assembly<'_, '_, 'd> {
    /// Whether the plan grew beyond what is looked at.
    fn is_spent(&self) -> bool {
        self.needs_left.is_none() || self.weight_left.is_none()
    }

    /// Takes a piece of text from what all of them may weigh.
    fn weigh(&mut self, bytes: usize, item: &ItemDraft) -> bool {
        let Some(left) = self.weight_left else { return false };
        self.weight_left = left.checked_sub(bytes + PIECE_WEIGHT);
        if self.weight_left.is_none() {
            let message = format!(
                "with everything filled in, the texts of this plan have more than {} MiB",
                MAX_WEIGHT >> 20
            );
            let told = self.diagnostics.error(DiagnosticCode::TooLarge, item.id.span, message);
            told.hint("put long texts into files, and name these as inputs");
        }
        self.weight_left.is_some()
    }

    fn need(&mut self, need: Need, filling: &mut Filling<'d, '_>) -> bool {
        if !filling.needed.insert(need.clone()) {
            return false;
        }
        let Some(left) = self.needs_left else { return false };
        self.needs_left = left.checked_sub(1);
        if self.needs_left.is_none() {
            let message = format!("with this item there are more than {MAX_NEEDS} needs");
            let told =
                self.diagnostics.error(DiagnosticCode::TooLarge, filling.item.id.span, message);
            told.hint("need a group or a whole matrix, which is one need");
        }
        filling.needs.push(need);
        true
    }

    /// What a cell waits for, and the step if there is one: an item that cannot be carried out may
    /// be in a circle all the same.
    fn step(
        &mut self,
        item: &'d ItemDraft,
        cell: &Cell,
        used: &mut BTreeSet<String>,
    ) -> (Wait, Option<Step>) {
        let mut filling =
            Filling { item, cell, needs: Vec::new(), needed: BTreeSet::new(), lost: false, used };
        let mut spans = Vec::new();
        for need in &item.needs {
            let name = self.name(&need.value, &mut filling);
            let found = self.names.need(&name, need.span, self.diagnostics);
            filling.lost |= found.is_empty();
            for found in found {
                if self.need(found, &mut filling) {
                    spans.push(need.span);
                }
            }
        }
        let work = if self.is_spent() { None } else { self.work(&mut filling) };
        let agent =
            item.agent.as_ref().map(|agent| (self.name(&agent.value, &mut filling), agent.span));
        let needs = filling.needs;
        spans.resize(needs.len(), item.id.span);
        let group = self.names.group_of(item);
        let wait = Wait {
            id: cell.id.clone(),
            group: group.clone(),
            needs: needs.iter().cloned().zip(spans).collect(),
        };
        let agent = agent.and_then(|(name, span)| match AgentId::new(name) {
            Ok(agent) => Some(agent),
            Err(error) => {
                self.diagnostics.error(DiagnosticCode::BadId, span, error.to_string());
                None
            }
        });
        let retry = item.retry.as_ref().unwrap_or(&self.draft.retry);
        let runner = self.runner(item);
        let conduct = runner.map(|runner| &runner.conduct);
        let tokens =
            item.conduct.tokens.as_ref().or(conduct.and_then(|conduct| conduct.tokens.as_ref()));
        let cost = item.conduct.cost.as_ref().or(conduct.and_then(|conduct| conduct.cost.as_ref()));
        let reports = matches!(item.how, How::Plan(_)) || self.usage(item).reports();
        self.ceilings(tokens, cost, reports);
        let step = work.map(|work| Step {
            id: cell.id.clone(),
            span: item.id.span,
            item: item.id.value.clone(),
            label: label(item),
            agent,
            group,
            needs,
            priority: item.priority,
            critical: item.critical,
            attempts: item.retry.as_ref().and_then(|retry| retry.attempts),
            backoff: backoff(retry),
            timeout: item.conduct.timeout.or(conduct.and_then(|conduct| conduct.timeout)),
            tokens: tokens.map(|tokens| tokens.value),
            cost: cost.map(|cost| cost.value.millionths),
            on_failure: item.on_failure,
            work,
        });
        (wait, step)
    }

    fn work(&mut self, filling: &mut Filling<'d, '_>) -> Option<StepWork> {
        let item = filling.item;
        if let How::Plan(plan) = &item.how {
            let path = Spanned::new(self.name(&plan.value, filling), plan.span);
            return Some(StepWork::Plan { path, pausing: item.pausing });
        }
        let runner = self.runner(item);
        let (run, scope) = match (&item.how, runner) {
            (How::Own(run), _) => (run, Scope::Item),
            (How::Runner(_), Some(runner)) => (runner.run.as_ref()?, Scope::Runner),
            _ => return None,
        };
        let run = self.run(run, scope, filling);
        let mut env = BTreeMap::new();
        for (scope, variables) in [
            (Scope::Item, Some(&self.draft.env)),
            (Scope::Runner, runner.map(|runner| &runner.conduct.env)),
            (Scope::Item, Some(&item.conduct.env)),
        ] {
            for (name, value) in variables.into_iter().flatten() {
                if !self.weigh(name.len(), item) {
                    return None;
                }
                let value = match value {
                    EnvDraft::Text(text) => StepEnv::Text(self.text(text, scope, filling)),
                    EnvDraft::From { name, default } => {
                        self.weigh(default.as_ref().map_or(0, String::len), item);
                        StepEnv::From { name: name.clone(), default: default.clone() }
                    }
                    EnvDraft::Secret { name, command } => {
                        self.weigh(
                            command.iter().flatten().map(|word| word.len() + PIECE_WEIGHT).sum(),
                            item,
                        );
                        StepEnv::Secret {
                            name: name.value.clone(),
                            command: command.clone(),
                            span: name.span,
                        }
                    }
                };
                env.insert(name.clone(), value);
            }
        }
        let stdin =
            match (&item.conduct.stdin, runner.and_then(|runner| runner.conduct.stdin.as_ref())) {
                (Some(own), _) => Some((own, Scope::Item)),
                (None, Some(runner)) => Some((runner, Scope::Runner)),
                (None, None) => None,
            };
        let stdin_span = stdin.map_or(item.id.span, |(stdin, _)| stdin.span);
        let stdin = stdin.map(|(stdin, scope)| match &stdin.value {
            StdinDraft::Text(text) => StdinSource::Text(self.text(text, scope, filling)),
            StdinDraft::File(path) => StdinSource::File(self.text(path, scope, filling)),
        });
        let check = item.check.as_ref().map(|(run, timeout)| CheckSpec {
            run: self.run(run, Scope::Item, filling),
            timeout: *timeout,
        });
        let mut inputs = BTreeMap::new();
        for (name, (input, span)) in &item.input {
            if !self.weigh(name.len(), item) {
                return None;
            }
            let input = match input {
                InputDraft::File(path) => {
                    InputSource::File { path: self.path(path, filling), digest: None }
                }
                InputDraft::Value(value) => {
                    InputSource::Value(self.text(value, Scope::Input, filling))
                }
            };
            inputs.insert(name.clone(), (input, *span));
        }
        if !self.weigh(item.output.names().map_or(0, |names| names.len() * PIECE_WEIGHT), item) {
            return None;
        }
        let outputs = match &item.output {
            OutputDraft::Any => BTreeMap::new(),
            OutputDraft::Names(names) => {
                names.iter().map(|name| (name.clone(), OutputSource::Result)).collect()
            }
            OutputDraft::Files(files) => {
                let mut outputs = BTreeMap::new();
                for (name, path) in files {
                    let path = self.name(&path.value, filling);
                    outputs.insert(name.clone(), OutputSource::File(self.dir.join(path)));
                }
                outputs
            }
        };
        let conduct = runner.map(|runner| &runner.conduct);
        Some(StepWork::Command(Box::new(StepCommand {
            run,
            env,
            stdin,
            stdin_span,
            limits: item
                .conduct
                .limits
                .or(conduct.map(|conduct| conduct.limits).unwrap_or_default()),
            grace: item
                .conduct
                .grace
                .or(conduct.and_then(|conduct| conduct.grace))
                .unwrap_or(DEFAULT_GRACE),
            check,
            usage: self.usage(item),
            inputs,
            outputs,
        })))
    }

    fn run(&mut self, run: &RunDraft, scope: Scope, filling: &mut Filling<'d, '_>) -> Invocation {
        match run {
            RunDraft::Argv(texts) => {
                Invocation::Argv(texts.iter().map(|text| self.text(text, scope, filling)).collect())
            }
            RunDraft::Shell(script) => {
                self.weigh(script.len(), filling.item);
                Invocation::Shell(script.clone())
            }
        }
    }

    fn runner(&self, item: &ItemDraft) -> Option<&'d super::draft::RunnerDraft> {
        match &item.how {
            How::Runner(name) => self.draft.runners.get(&name.value),
            _ => None,
        }
    }

    fn usage(&self, item: &ItemDraft) -> UsageReader {
        let runner = self.runner(item).and_then(|runner| runner.conduct.usage);
        item.conduct.usage.or(runner).unwrap_or_default()
    }

    /// Tells of ceilings that nobody reports against, or that are above those of the run.
    fn ceilings(
        &mut self,
        tokens: Option<&Spanned<u64>>,
        cost: Option<&Spanned<super::units::Cost>>,
        reports: bool,
    ) {
        let unreported =
            |what: &str| format!("`{what}` cannot be held to: nothing says how usage is read");
        let hint = "say it with `usage`, such as `usage: result`";
        if let Some(tokens) = tokens {
            if !reports {
                self.diagnostics
                    .error(DiagnosticCode::Conflict, tokens.span, unreported("tokens"))
                    .hint(hint);
            }
            if self.draft.budget.tokens.is_some_and(|budget| tokens.value > budget) {
                let message =
                    "one session would be granted more tokens than the budget of the whole run has";
                self.diagnostics.error(DiagnosticCode::BadValue, tokens.span, message);
            }
        }
        if let Some(cost) = cost {
            if !reports {
                self.diagnostics
                    .error(DiagnosticCode::Conflict, cost.span, unreported("cost"))
                    .hint(hint);
            }
            match &self.draft.budget.cost {
                Some(budget) if budget.currency != cost.value.currency => {
                    let message = format!(
                        "the budget counts {}, and this is {}",
                        budget.currency, cost.value.currency
                    );
                    self.diagnostics
                        .error(DiagnosticCode::BadValue, cost.span, message)
                        .hint("a run counts one currency");
                }
                Some(budget) if cost.value.millionths > budget.millionths => {
                    let message = "one session would be granted a higher cost than the budget of the whole run has";
                    self.diagnostics.error(DiagnosticCode::BadValue, cost.span, message);
                }
                _ => {}
            }
        }
    }

    /// Tells of lists of a matrix that no text of the item uses: their cells would all do the same.
    fn unused(&mut self, item: &ItemDraft, used: &BTreeSet<String>) {
        for axis in item.matrix.iter().filter(|axis| !used.contains(&axis.name.value)) {
            let message = format!(
                "`{}` is used nowhere, so its cells would all do the same",
                axis.name.value
            );
            self.diagnostics
                .error(DiagnosticCode::UnusedParameter, axis.name.span, message)
                .hint(format!("write {{{{{}}}}} where its value belongs", axis.name.value));
        }
    }
}

/// What an item runs, in a few words.
fn label(item: &ItemDraft) -> String {
    let first = |template: &Template| match template.pieces.as_slice() {
        [Piece::Text(text)] => text.clone(),
        _ => "..".to_owned(),
    };
    let text = match &item.how {
        How::Runner(runner) => runner.value.clone(),
        How::Own(RunDraft::Argv(argv)) => argv.iter().map(first).collect::<Vec<_>>().join(" "),
        How::Own(RunDraft::Shell(_)) => "sh".to_owned(),
        How::Plan(path) => format!("plan {}", first(&path.value)),
        How::Broken => String::new(),
    };
    super::fields::shorten(&text)
}

fn backoff(retry: &RetryDraft) -> Option<Backoff> {
    let nanos = |millis: Millis| millis.0.saturating_mul(1_000_000);
    let initial = retry.backoff?;
    Some(Backoff {
        initial_ns: nanos(initial),
        factor: BACKOFF_FACTOR,
        cap_ns: nanos(retry.cap.unwrap_or(DEFAULT_CAP).max(initial)),
        jitter_ppm: retry.jitter.map_or(0, |share| share.0),
    })
}

fn budget(draft: &Draft, steps: usize, diagnostics: &mut Diagnostics<'_>) -> CoordinationBudget {
    let drafted = &draft.budget;
    if let Some(sessions) =
        drafted.sessions.as_ref().filter(|sessions| (sessions.value as usize) < steps)
    {
        let message = format!(
            "{} sessions are not enough for {steps} items, each of which takes at least one",
            sessions.value
        );
        diagnostics.error(DiagnosticCode::BadValue, sessions.span, message);
    }
    // What is missing was told, and the plan is refused; what is left of it is looked at all the
    // same.
    let sessions = drafted.sessions.as_ref().map_or(1, |sessions| sessions.value);
    let duration = drafted.duration.map_or(1, |duration| duration.0);
    let budget = CoordinationBudget::new(sessions, duration, TICK_RATE_HZ, drafted.tokens);
    let budget = budget.expect("BUG: what was read is more than nothing");
    match &drafted.cost {
        Some(cost) => budget.with_max_cost(cost.millionths, &cost.currency),
        None => budget,
    }
}
