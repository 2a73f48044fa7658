//! A plan in which every name is known.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::PlanAst;
use super::plan_spec::{PLAN_SCHEMA, PlanSpec};
use crate::coordination::{CoordinationBudget, WorkSpec};
use crate::id::GroupName;
use crate::plan::objects::breaker::BreakerAst;
use crate::plan::objects::item::{ItemAst, ItemDefaults, Step};
use crate::plan::objects::on_end::OnEndCommand;
use crate::plan::objects::route::{RoutedItem, Routes};
use crate::plan::resolve::{CellResolver, Expansion, MAX_CELLS, Names, refuse_cycles};
use crate::plan::text::{DiagnosticCode, Diagnostics, Span};
use crate::signal_schemas::SignalSchemas;
use antiphon_core::digest::Digest;

/// What is to be carried out.
#[derive(Debug, Clone)]
pub(in crate::plan) struct ResolvedPlan {
    name: String,
    budget: CoordinationBudget,
    /// Where its sessions are limited.
    sessions_span: Span,
    /// What is wrong with them if they cannot be enough for all its items.
    too_few_sessions: Option<String>,
    /// Its ceilings on what sessions report, each with its place.
    metered: Vec<(&'static str, Span)>,
    /// Whether every item could be read.
    is_whole: bool,
    concurrency: u32,
    attempts: Option<u32>,
    breaker: BreakerAst,
    pausing: bool,
    labels: BTreeMap<String, String>,
    /// How many cells of these groups run at a time.
    widths: BTreeMap<GroupName, u32>,
    /// What is carried out once it has ended.
    on_end: Option<OnEndCommand>,
    /// The schemas of its signals.
    signals: SignalSchemas,
    steps: Vec<Step>,
}

impl PlanAst {
    /// Writes matrices out as cells, and resolves names and placeholders; `dir` is the absolute
    /// directory that relative paths start from. `None` if the plan grows too large, which is
    /// reported.
    pub(in crate::plan) fn resolve(
        &self,
        dir: &Path,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<ResolvedPlan> {
        let names = self.names(diagnostics);
        self.refuse_widths(diagnostics);
        let scored = self.gates.resolve(&names, diagnostics);
        for item in &self.items {
            for (gate, span) in item.needed_gates() {
                self.gates.check_need(gate, span, diagnostics);
            }
        }
        let routed: Vec<RoutedItem<'_>> = self.items.iter().map(ItemAst::routed).collect();
        let routes = Routes::resolve(&routed, &names, diagnostics);
        let mut expansion = Expansion::new();
        let defaults = ItemDefaults::new(
            &self.env,
            &self.retry,
            &self.budget,
            &self.runners,
            &scored,
            &routes,
        );
        let (mut steps, mut waits) = (Vec::new(), Vec::new());
        for (item, named) in self.items.iter().zip(names.items()) {
            let mut used = BTreeSet::new();
            let (texts, group) = (item.texts(), named.group());
            for cell in named.cells() {
                let resolver = CellResolver::new(
                    texts,
                    cell,
                    &names,
                    dir,
                    &mut expansion,
                    &mut used,
                    diagnostics,
                );
                let (wait, step) = item.resolve(cell.id(), group.clone(), defaults, resolver);
                waits.push(wait);
                steps.extend(step);
                if expansion.is_spent() {
                    return None;
                }
            }
            item.refuse_unused(named.cells(), &used, diagnostics);
        }
        refuse_cycles(&waits, diagnostics);
        let on_end = self.on_end.as_ref().and_then(|on_end| on_end.resolve(&self.env, diagnostics));
        let widths = self
            .items
            .iter()
            .filter_map(|item| Some((GroupName::new(item.id()).ok()?, item.width()?)));
        Some(ResolvedPlan {
            name: self.name.clone(),
            budget: self.budget.resolve(),
            too_few_sessions: self.budget.too_few_sessions(waits.len()),
            sessions_span: self.budget.sessions_span(),
            metered: self.budget.metered().to_vec(),
            is_whole: steps.len() == waits.len(),
            concurrency: self.concurrency.unwrap_or(1),
            attempts: self.retry.attempts(),
            breaker: self.breaker,
            pausing: self.pausing.unwrap_or_default(),
            labels: self.labels.clone(),
            widths: widths.collect(),
            on_end,
            signals: self.signals.clone(),
            steps,
        })
    }

    fn names(&self, diagnostics: &mut Diagnostics<'_>) -> Names<'_> {
        let mut left = MAX_CELLS;
        let mut items = Vec::new();
        for item in &self.items {
            let named = item.named(left, diagnostics);
            left = left.saturating_sub(named.cells().len());
            items.push(named);
        }
        let names = Names::new(items, diagnostics);
        if self.is_added { names.with_those_of_a_run() } else { names }
    }

    /// Reports widths of matrices that are added: how many of a group run at a time is fixed when a run
    /// begins.
    fn refuse_widths(&self, diagnostics: &mut Diagnostics<'_>) {
        for item in self.items.iter().filter(|item| self.is_added && item.width().is_some()) {
            let message = "`width` cannot be used in items that are added to a run";
            diagnostics.error(DiagnosticCode::Conflict, item.span(), message);
        }
    }
}

impl ResolvedPlan {
    pub(in crate::plan) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::plan) fn budget(&self) -> &CoordinationBudget {
        &self.budget
    }

    /// Where its sessions are limited.
    pub(in crate::plan) fn sessions_span(&self) -> Span {
        self.sessions_span
    }

    pub(in crate::plan) fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// What is carried out once it has ended, if it is not nested.
    pub(in crate::plan) fn on_end(&self) -> Option<&OnEndCommand> {
        self.on_end.as_ref()
    }

    /// The schemas of its signals, as they are recorded, if it has some.
    pub(in crate::plan) fn signal_schemas(&self) -> Option<Vec<u8>> {
        (!self.signals.is_empty()).then(|| self.signals.to_bytes())
    }

    pub(in crate::plan) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Reports that its sessions cannot be enough for all its items.
    pub(in crate::plan) fn refuse_too_few_sessions(&self, diagnostics: &mut Diagnostics<'_>) {
        if let Some(message) = &self.too_few_sessions {
            diagnostics.error(DiagnosticCode::BadValue, self.sessions_span, message.clone());
        }
    }

    /// Reports ceilings that nothing counts against; `counts` says whether a step does.
    pub(in crate::plan) fn refuse_uncounted(
        &self,
        counts: impl Fn(&Step) -> bool,
        diagnostics: &mut Diagnostics<'_>,
    ) {
        if !self.is_whole || self.steps.iter().any(counts) {
            return;
        }
        for (name, span) in &self.metered {
            let message =
                format!("`{name}` cannot be enforced, because no item of this plan sets `usage`");
            diagnostics
                .error(DiagnosticCode::Conflict, *span, message)
                .hint("set `usage` on the items that use it, for example `usage: result`");
        }
    }

    /// The plan as it is recorded, with these items; `pausing` is what an item that runs it says of
    /// its ceilings.
    pub(in crate::plan) fn record(
        &self,
        work: Vec<WorkSpec>,
        pausing: Option<bool>,
        signal_schemas: Option<Digest>,
    ) -> PlanSpec {
        let plan = PlanSpec {
            schema: PLAN_SCHEMA,
            name: self.name.clone(),
            budget: self.budget.clone(),
            concurrency: self.concurrency,
            attempts: self.attempts,
            breaker: self.breaker.failures,
            on_tripped: self.breaker.on_tripped,
            pausing: pausing.unwrap_or(self.pausing),
            labels: self.labels.clone(),
            widths: self.widths.clone(),
            work,
            forerunner: None,
            signal_schemas,
        };
        plan.in_lowest_schema()
    }
}
