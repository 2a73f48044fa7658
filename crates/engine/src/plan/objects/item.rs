//! The items of `work:`: their keys, how each is executed, and what is recorded of its command.
//!
//! An item never starts anything, and knows no other item except by name.
//!
//! [`ItemAst`] is an item as it is written; a [`Step`] is one cell of it, resolved; what is
//! recorded of its command is a [`CommandSpec`].

mod command_spec;
mod how;
mod step;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use super::capabilities::CAPABILITIES;
use super::check::{CHECK, CheckAst};
use super::command::COMMAND;
use super::context::{self, CONTEXT};
use super::env::ENV_VALUE;
use super::exhausted::{self, ON_EXHAUSTED};
use super::input::{self, INPUT, InputsAst};
use super::limits::LIMITS;
use super::matrix::{MATRIX, MatrixAst};
use super::names::check_name;
use super::need::{self, NEEDS};
use super::output::{OUTPUT, OutputAst};
use super::process_text;
use super::retry::{RETRY, RetryAst};
use super::route::{self, ROUTE, RoutedItem, RuleAst};
use super::runner::RunnerAsts;
use super::settings::SettingsAst;
use super::shared::{self, SHARED};
use super::stdin::STDIN;
use super::usage::USAGE;
use crate::coordination::FailurePolicy;
use crate::keys::{JsonText, KeyName};
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::resolve::{Cell, ItemTexts, NamedItem, NeedText, Parameter};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Span, Spanned, Template, shorten};

pub use command_spec::{COMMAND_SCHEMA, CommandSpec, CommandSpecError, Rendered};

pub(in crate::plan) use step::{Step, StepWork};

pub(super) use step::ItemDefaults;

use how::How;

pub(super) static ITEM: Object = Object {
    name: "item",
    what: "an item",
    keys: &[
        key(
            "runner",
            ValueKind::Text,
            "runner: py",
            "The runner to use. The parameters of the runner become further keys of the item.",
        ),
        key(
            "capabilities",
            CAPABILITIES,
            "capabilities: [review]",
            "What it wants of a runner, instead of naming one: each session is given to the least loaded \
            of those that have it all.",
        ),
        key(
            "command",
            COMMAND,
            "command: [make, test]",
            "A command of its own, instead of a runner.",
        ),
        key(
            "shell",
            ValueKind::Text,
            "shell: make && make test",
            "A script of its own for `sh -c`, instead of a runner.",
        ),
        key(
            "plan",
            ValueKind::Text,
            "plan: other.yaml",
            "Another plan file, to be run as a nested run, up to 8 levels deep.",
        ),
        key(
            "input",
            ValueKind::Names(&INPUT),
            "input: { contract: contract.json }",
            "The files that it reads, by name: `{{input.contract}}` is the path. `{ value: .. }` \
            gives a value instead of a file.",
        ),
        key(
            "output",
            OUTPUT,
            "output: { models: gen/models.py }",
            "Its outputs, by name: files that must exist when it ends, or names that its result \
            file must contain.",
        ),
        key(
            "needs",
            NEEDS,
            "needs: [models]",
            "What must be there before it starts: items, groups and matrices that must succeed, \
            signals, gates, keys and approvals.",
        ),
        key(
            "group",
            ValueKind::Text,
            "group: generate",
            "A label; an item that needs the group waits for every item with this label.",
        ),
        key(
            "priority",
            ValueKind::Integer(-2_147_483_648, 2_147_483_647),
            "priority: 5",
            "Of the items that are ready, those with a higher priority start first. Default: 0.",
        ),
        key(
            "critical",
            ValueKind::Flag,
            "critical: true",
            "Whether the run fails if this item does not succeed.",
        ),
        key(
            "retry",
            ValueKind::Of(&RETRY),
            "retry: { attempts: 2, backoff: 1s }",
            "How it is retried, instead of the plan's `retry`.",
        ),
        key(
            "timeout",
            ValueKind::Duration,
            "timeout: 5m",
            "The longest time for each session, instead of the runner's.",
        ),
        key(
            "grace",
            ValueKind::Duration,
            "grace: 10s",
            "How long a session has to stop after it is asked to, instead of the runner's.",
        ),
        key(
            "limits",
            ValueKind::Of(&LIMITS),
            "limits: { tokens: 50k }",
            "Limits for each session; each one replaces the runner's.",
        ),
        key(
            "env",
            ValueKind::Names(&ENV_VALUE),
            "env: { API_KEY: { secret: API_KEY } }",
            "Environment variables in addition to the runner's.",
        ),
        key(
            "stdin",
            STDIN,
            "stdin: { file: prompt.md }",
            "What it reads from standard input, instead of the runner's.",
        ),
        key(
            "usage",
            USAGE,
            "usage: result",
            "How tokens and cost are measured, instead of the runner's.",
        ),
        key(
            "check",
            ValueKind::Either(&[COMMAND, ValueKind::Of(&CHECK)]),
            "check: [python3, check.py]",
            "A command that decides whether the item succeeded. It runs afterwards in the same \
            session; exit code 0 of the item's own command is then not enough.",
        ),
        key(
            "on_failure",
            ValueKind::Word(&["skip_dependents", "continue", "abort"]),
            "on_failure: continue",
            "What happens when it has failed permanently: the items that need it are skipped \
            (`skip_dependents`, the default) or run anyway (`continue`), or the whole run stops \
            (`abort`).",
        ),
        key(
            "on_exhausted",
            ON_EXHAUSTED,
            "on_exhausted: pause",
            "With `plan`: what the nested run does when its budget is used up, instead of its own \
            `on_exhausted`.",
        ),
        key(
            "as",
            ValueKind::Template,
            "as: reviewer",
            "The name that its sessions are given as `ANTIPHON_AGENT`. Default: its id.",
        ),
        key(
            "context",
            CONTEXT,
            "context: { agent_assignment: { objective: write the models } }",
            "What its sessions are given to go by, in the context file; `antiphon context set` replaces it \
            for an agent.",
        ),
        key(
            "shared",
            SHARED,
            "shared: [resource/gpu]",
            "Keys of the run `shared` that its sessions may change. All sessions may read them.",
        ),
        key(
            "when",
            ValueKind::Word(&["routed"]),
            "when: routed",
            "`routed`: it starts only once the `route` of another item names it. If none does and none can \
            any more, it is skipped.",
        ),
        key(
            "visits",
            ValueKind::Integer(1, 1_000),
            "visits: 3",
            "How often it may be carried out as others route to it, the first time included. Default: 10.",
        ),
        key(
            "route",
            ValueKind::List(&ValueKind::Of(&ROUTE)),
            "route: [{ when: output.approved == true, to: b }]",
            "What follows each of its attempts: the first rule that holds decides. If none does, the \
            outcome means what it always means.",
        ),
        key(
            "matrix",
            MATRIX,
            "matrix: { market: [us, eu], year: [2024, 2025] }",
            "Makes one item for each combination, `id[us,2024]` and so on. The names of the lists \
            are parameters of the item.",
        ),
        key(
            "width",
            ValueKind::Integer(1, 10_000),
            "width: 2",
            "How many cells of the matrix run at the same time. Default: the plan's `concurrency`.",
        ),
    ],
    later: &[
        "undo",
        "gate",
        "gates",
        "routes",
        "signal",
        "signals",
        "key",
        "keys",
        "resources",
        "leases",
        "pool",
    ],
    open: true,
};

/// Keys that mean nothing for a nested plan, whose items say them.
const NOT_OF_PLANS: &[&str] =
    &["input", "output", "grace", "env", "stdin", "usage", "check", "shared", "route", "context"];

const POLICIES: [(&str, FailurePolicy); 3] = [
    ("skip_dependents", FailurePolicy::SkipDependents),
    ("continue", FailurePolicy::Continue),
    ("abort", FailurePolicy::Abort),
];

#[derive(Debug)]
pub(super) struct ItemAst {
    id: Spanned<String>,
    how: How,
    parameters: BTreeMap<String, Parameter>,
    input: InputsAst,
    output: OutputAst,
    needs: Vec<NeedText>,
    group: Option<Spanned<String>>,
    priority: i32,
    critical: bool,
    retry: Option<RetryAst>,
    settings: SettingsAst,
    check: Option<CheckAst>,
    on_failure: FailurePolicy,
    pausing: Option<bool>,
    agent: Option<Spanned<Template>>,
    shared: Vec<KeyName>,
    context: Option<JsonText>,
    routed: Option<Span>,
    visits: Option<u32>,
    route: Vec<RuleAst>,
    matrix: MatrixAst,
    width: Option<u32>,
}

impl ItemAst {
    pub(super) fn read(
        id: &Spanned<String>,
        node: &Node,
        runners: &RunnerAsts,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Self {
        let mut item = Self::broken(id);
        let Some((fields, others)) = Fields::split(node, &ITEM, diagnostics) else { return item };
        item.how = How::read(&fields, id, runners, diagnostics);
        item.parameters = item.how.parameters(&fields, &others, runners, diagnostics);
        item.settings = SettingsAst::read(&fields, diagnostics);
        if let Some(node) = fields.get("matrix") {
            item.matrix = MatrixAst::read(node, &ITEM, diagnostics);
        }
        if let Some(node) = fields.get("input") {
            item.input = input::read_all(node, diagnostics);
        }
        if let Some(node) = fields.get("output") {
            item.output = OutputAst::read(node, diagnostics);
        }
        if let Some(node) = fields.get("needs") {
            item.needs = need::read_all(node, diagnostics);
        }
        item.group = fields.get("group").and_then(|node| diagnostics.text(node));
        if let Some(group) = &item.group {
            check_name("group", group, diagnostics);
        }
        item.priority = fields
            .get("priority")
            .and_then(|node| diagnostics.integer(node, i32::MIN.into(), i32::MAX.into()))
            .and_then(|number| i32::try_from(number).ok())
            .unwrap_or_default();
        item.critical =
            fields.get("critical").and_then(|node| diagnostics.flag(node)).unwrap_or_default();
        item.retry = fields.get("retry").map(|node| RetryAst::read(node, diagnostics));
        item.check = fields.get("check").and_then(|node| CheckAst::read(node, diagnostics));
        item.on_failure = fields
            .get("on_failure")
            .and_then(|node| diagnostics.choice(node, &POLICIES))
            .unwrap_or_default();
        item.pausing =
            fields.get("on_exhausted").and_then(|node| exhausted::read(node, diagnostics));
        item.agent = fields.get("as").and_then(|node| process_text::template(node, diagnostics));
        item.shared = fields
            .get("shared")
            .map(|node| shared::read_all(node, diagnostics))
            .unwrap_or_default();
        item.context = fields.get("context").and_then(|node| context::read(id, node, diagnostics));
        item.routed = fields
            .get("when")
            .and_then(|node| diagnostics.choice(node, &[("routed", ())]).map(|()| node.span));
        item.visits = fields.get("visits").and_then(|node| diagnostics.number(node, 1_000));
        if let Some(node) = fields.get("route") {
            item.route = route::read_all(node, diagnostics);
        }
        item.width = fields.get("width").and_then(|node| diagnostics.number(node, 10_000));
        item.refuse_width(&fields, diagnostics);
        item.refuse_keys_of_plans(&fields, diagnostics);
        item
    }

    /// An item of which only the name is known, so that what names it is no second problem.
    fn broken(id: &Spanned<String>) -> Self {
        Self {
            id: id.clone(),
            how: How::Broken,
            parameters: BTreeMap::new(),
            input: BTreeMap::new(),
            output: OutputAst::Any,
            needs: Vec::new(),
            group: None,
            priority: 0,
            critical: false,
            retry: None,
            settings: SettingsAst::default(),
            check: None,
            on_failure: FailurePolicy::default(),
            pausing: None,
            agent: None,
            shared: Vec::new(),
            context: None,
            routed: None,
            visits: None,
            route: Vec::new(),
            matrix: MatrixAst::default(),
            width: None,
        }
    }

    /// Reports a `width` without cells that are a group of their own.
    fn refuse_width(&self, fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) {
        let Some(node) = fields.get("width") else { return };
        if fields.get("matrix").is_none() {
            let message =
                "`width` limits how many cells of a matrix run at once, but there is no `matrix`";
            diagnostics
                .error(DiagnosticCode::Conflict, node.span, message)
                .hint("to limit the whole run, use the plan's `concurrency`");
        }
        if let Some(group) = &self.group {
            let message = format!(
                "with `width`, the cells form a group of their own, so they cannot be in `{}`",
                shorten(&group.value)
            );
            diagnostics
                .error(DiagnosticCode::Conflict, node.span, message)
                .hint("remove either `width` or `group`");
        }
    }

    /// Reports keys that only nested plans have, and ones that they do not.
    fn refuse_keys_of_plans(&self, fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) {
        let Some(plan) = fields.get("plan") else {
            if let Some(node) = fields.get("on_exhausted") {
                let message = "only an item with `plan` has a budget of its own";
                diagnostics
                    .error(DiagnosticCode::Conflict, node.span, message)
                    .hint("for the whole run, put `on_exhausted` next to `budget`");
            }
            return;
        };
        for name in fields.present(NOT_OF_PLANS) {
            let span = fields.get(name).map_or(plan.span, |node| node.span);
            let message = format!(
                "`{name}` cannot be used with `plan`; set it on the items of the nested plan"
            );
            diagnostics.error(DiagnosticCode::Conflict, span, message);
        }
        if let Some(node) = fields.get("limits").filter(|_| self.settings.limits.is_of_processes())
        {
            let message =
                "a nested plan has no processes of its own, so only `tokens` and `cost` apply here";
            diagnostics.error(DiagnosticCode::Conflict, node.span, message);
        }
    }

    /// The item and its cells, of which the plan may have `left` more, as others name them.
    pub(super) fn named(&self, left: usize, diagnostics: &mut Diagnostics<'_>) -> NamedItem<'_> {
        let cells = self.matrix.cells(&self.id, left, diagnostics);
        NamedItem::new(&self.id, self.group.as_ref(), cells, !self.matrix.is_empty())
            .with_outputs(matches!(self.how, How::Plan(_)), self.output.names())
    }

    /// What it gives to the texts of its cells.
    pub(super) fn texts(&self) -> ItemTexts<'_> {
        let runner = self.how.runners().first().map(|name| name.value.as_str());
        ItemTexts::new(&self.id, runner, &self.parameters, &self.input)
    }

    /// The gates that it needs, and where that is written.
    pub(super) fn needed_gates(&self) -> impl Iterator<Item = (&str, Span)> {
        self.needs.iter().filter_map(NeedText::gate)
    }

    pub(super) fn id(&self) -> &str {
        &self.id.value
    }

    /// How it routes and is routed to; of what could not be read nobody knows.
    pub(super) fn routed(&self) -> RoutedItem<'_> {
        let waits = self.routed.is_some();
        let is_target = waits || self.visits.is_some() || matches!(self.how, How::Broken);
        RoutedItem::new(&self.id, &self.route, waits, is_target)
    }

    /// Where it is named.
    pub(super) fn span(&self) -> Span {
        self.id.span
    }

    pub(super) fn width(&self) -> Option<u32> {
        self.width
    }

    /// Reports lists of its matrix that no text uses, of those that can be known to be unused.
    pub(super) fn refuse_unused(
        &self,
        cells: &[Cell],
        used: &BTreeSet<String>,
        diagnostics: &mut Diagnostics<'_>,
    ) {
        if !cells.is_empty() && !matches!(self.how, How::Broken) {
            self.matrix.refuse_unused(used, diagnostics);
        }
    }
}
