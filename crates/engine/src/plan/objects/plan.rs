//! The whole file: its keys, the plan that they resolve to, and what is recorded of a nested one.
//!
//! It never reads a file or an environment.
//!
//! [`PlanAst`] is a plan as it is written; a [`ResolvedPlan`] is one in which every name is known;
//! what is recorded of a nested one is a [`PlanSpec`].

mod plan_spec;
mod resolved;

use std::collections::BTreeMap;

use super::breaker::{BREAKER, BreakerAst};
use super::budget::{BUDGET, BudgetAst};
use super::command::COMMAND;
use super::env::{ENV_VALUE, EnvAst};
use super::exhausted::{self, ON_EXHAUSTED};
use super::gate::{GATE, GateAsts};
use super::item::{ITEM, ItemAst};
use super::names::check_name;
use super::on_end::{ON_END, OnEndAst};
use super::retry::{RETRY, RetryAst};
use super::runner::{RUNNER, RunnerAst, RunnerAsts};
use super::secret_lint;
use super::signal::{self, SIGNAL};
use crate::plan::mapping::{Fields, Key, Object, ValueKind, key, required};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Yaml};
use crate::signal_schemas::SignalSchemas;

pub use plan_spec::{PLAN_SCHEMA, PlanSpec, PlanSpecError};

pub(in crate::plan) use resolved::ResolvedPlan;

static AN_ITEM: ValueKind = ValueKind::Of(&ITEM);
static A_SIGNAL: ValueKind = ValueKind::Of(&SIGNAL);
static A_RUNNER: ValueKind = ValueKind::Of(&RUNNER);

const WORK: Key = required(
    "work",
    ValueKind::Names(&AN_ITEM),
    "work: { build: { command: [make] } }",
    "The items, by id.",
);

const RUNNERS: Key = key(
    "runners",
    ValueKind::Names(&A_RUNNER),
    "runners: { py: { command: [python3, \"{{script}}\"] } }",
    "Commands that several items share, by name.",
);

const ENV: Key = key(
    "env",
    ValueKind::Names(&ENV_VALUE),
    "env: { LANG: C.UTF-8 }",
    "Environment variables for every session.",
);

/// What may be added to a run that is there.
static ADDED: Object = Object {
    name: "added_work",
    what: "added work",
    keys: &[WORK, RUNNERS, ENV],
    later: &[],
    open: false,
};

pub(super) static PLAN: Object = Object {
    name: "plan",
    what: "the plan",
    keys: &[
        required(
            "name",
            ValueKind::Text,
            "name: codegen",
            "The name of the run, in lists and in its receipt.",
        ),
        required(
            "budget",
            ValueKind::Of(&BUDGET),
            "budget: { sessions: 20, duration: 10m }",
            "What the whole run may use. A limit on sessions and on duration is required.",
        ),
        WORK,
        RUNNERS,
        key(
            "gates",
            ValueKind::Names(&ValueKind::Of(&GATE)),
            "gates: { coverage: { by: [tests] } }",
            "The scores that items wait for, by name, and who gives them. Where it is there, items can \
            need only these gates.",
        ),
        key(
            "signals",
            ValueKind::Names(&A_SIGNAL),
            "signals: { review.done: { schema: { required: [verdict] } } }",
            "Its own types of signals, by name, and the schemas that their data must fit.",
        ),
        key(
            "concurrency",
            ValueKind::Integer(1, 10_000),
            "concurrency: 4",
            "How many sessions run at the same time. Default: 1.",
        ),
        key(
            "retry",
            ValueKind::Of(&RETRY),
            "retry: { attempts: 2 }",
            "How items without a `retry` of their own are retried. Default: 3 attempts without \
            waiting.",
        ),
        key(
            "breaker",
            BREAKER,
            "breaker: { failures: 3, then: pause }",
            "How many items in a row may fail permanently before the run stops, or pauses; `off`: \
            any number. Default: 3, and it stops.",
        ),
        key(
            "on_exhausted",
            ON_EXHAUSTED,
            "on_exhausted: pause",
            "What the run does when its budget is used up: it ends (`stop`, the default), or waits \
            for an operator to raise the budget (`pause`).",
        ),
        key(
            "on_end",
            ValueKind::Either(&[COMMAND, ValueKind::Of(&ON_END)]),
            "on_end: [./notify]",
            "A command that is carried out once the run has ended, whatever the verdict. It changes \
            nothing of how the run went.",
        ),
        ENV,
        key(
            "labels",
            ValueKind::Names(&ValueKind::Text),
            "labels: { team: core }",
            "Labels to find the run by.",
        ),
    ],
    later: &["keys", "routes", "resources", "pools", "phases", "triggers"],
    open: false,
};

#[derive(Debug, Default)]
pub(in crate::plan) struct PlanAst {
    name: String,
    budget: BudgetAst,
    concurrency: Option<u32>,
    retry: RetryAst,
    breaker: BreakerAst,
    pausing: Option<bool>,
    on_end: Option<OnEndAst>,
    env: BTreeMap<String, EnvAst>,
    labels: BTreeMap<String, String>,
    runners: RunnerAsts,
    gates: GateAsts,
    signals: SignalSchemas,
    items: Vec<ItemAst>,
    /// Whether the items are added to a run, whose items they may name.
    is_added: bool,
}

impl PlanAst {
    pub(in crate::plan) fn read(root: &Node, diagnostics: &mut Diagnostics<'_>) -> Self {
        let mut plan = Self::default();
        let Some(fields) = Fields::read(root, &PLAN, diagnostics) else { return plan };
        if let Some(node) = fields.get("name") {
            plan.name = name(node, diagnostics);
        }
        if let Some(node) = fields.get("budget") {
            plan.budget = BudgetAst::read(node, diagnostics);
        }
        plan.concurrency =
            fields.get("concurrency").and_then(|node| diagnostics.number(node, 10_000));
        let breaker = fields.get("breaker").and_then(|node| BreakerAst::read(node, diagnostics));
        plan.breaker = breaker.unwrap_or_default();
        plan.pausing =
            fields.get("on_exhausted").and_then(|node| exhausted::read(node, diagnostics));
        if let Some(node) = fields.get("retry") {
            plan.retry = RetryAst::read(node, diagnostics);
        }
        plan.on_end = fields.get("on_end").and_then(|node| OnEndAst::read(node, diagnostics));
        if let Some(node) = fields.get("env") {
            plan.env = EnvAst::read_all(node, false, diagnostics);
        }
        if let Some(node) = fields.get("labels") {
            plan.labels = labels(node, diagnostics);
        }
        if let Some(node) = fields.get("gates") {
            plan.gates = GateAsts::read(node, diagnostics);
        }
        if let Some(node) = fields.get("signals") {
            plan.signals = signal::read_all(node, diagnostics);
        }
        plan.read_work(&fields, diagnostics);
        plan
    }

    /// Reads items that are added to a run.
    pub(in crate::plan) fn read_added(root: &Node, diagnostics: &mut Diagnostics<'_>) -> Self {
        let mut plan = Self { is_added: true, ..Self::default() };
        let Some(fields) = Fields::read(root, &ADDED, diagnostics) else { return plan };
        if let Some(node) = fields.get("env") {
            plan.env = EnvAst::read_all(node, false, diagnostics);
        }
        plan.read_work(&fields, diagnostics);
        plan
    }

    fn read_work(&mut self, fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) {
        if let Some(node) = fields.get("runners") {
            for (name, value) in diagnostics.entries(node, "runners").unwrap_or_default() {
                check_name("runner", name, diagnostics);
                // A broken runner is there, so that what names it is no second problem.
                let runner = RunnerAst::read(value, &ITEM, diagnostics);
                self.runners.insert(name.value.clone(), runner);
            }
        }
        if let Some(node) = fields.get("work") {
            let entries = diagnostics.entries(node, "items").unwrap_or_default();
            if entries.is_empty() && matches!(node.value, Yaml::Map(_)) {
                diagnostics
                    .error(DiagnosticCode::MissingKey, node.span, "`work` has no items")
                    .hint("for example `build: { command: [make] }`");
            }
            for (id, value) in entries {
                check_name("item", id, diagnostics);
                self.items.push(ItemAst::read(id, value, &self.runners, diagnostics));
            }
        }
    }
}

fn name(node: &Node, diagnostics: &mut Diagnostics<'_>) -> String {
    let Some(name) = diagnostics.text(node) else { return String::new() };
    let unfit =
        name.value.is_empty() || name.value.len() > 256 || name.value.chars().any(char::is_control);
    if unfit {
        let message = "a name must have 1 to 256 bytes and no control characters";
        diagnostics.error(DiagnosticCode::BadValue, name.span, message);
    }
    name.value
}

fn labels(node: &Node, diagnostics: &mut Diagnostics<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, value) in diagnostics.entries(node, "text").unwrap_or_default() {
        if let Some(text) = diagnostics.text(value) {
            secret_lint::inspect_text(&text, diagnostics);
            labels.insert(name.value.clone(), text.value);
        }
    }
    labels
}
