//! What the placeholders of one cell stand for, and what the cell needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::command_text::{CommandText, TextPart};
use super::expansion::{Expansion, PIECE_WEIGHT};
use super::names::{Cell, Names, OutputOf};
use super::need_text::{NeedText, Wanted, WantedAgent};
use crate::coordination::{Need, SignalNeed};
use crate::id::{AgentId, WorkId};
use crate::plan::text::{
    DiagnosticCode, Diagnostics, Hole, Millis, Piece, Span, Spanned, Template, enumerate, shorten,
};

const ONLY_PARAMETERS: &str = "only parameters of the item's matrix can be used here";

/// How a nested plan and an item share what the plan makes.
const SHARED_FILE: &str = "to share data with a nested plan, let both name the same file";

/// A value that an item gives to its runner.
#[derive(Debug)]
pub(in crate::plan) struct Parameter {
    key: Span,
    value: Template,
}

impl Parameter {
    pub(in crate::plan) fn new(key: Span, value: Template) -> Self {
        Self { key, value }
    }
}

/// An input of an item as it is written.
#[derive(Debug, Clone)]
pub(in crate::plan) enum InputText {
    File(Template),
    Value(Template),
}

/// What an item gives to the texts of its cells.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct ItemTexts<'p> {
    id: &'p Spanned<String>,
    /// The name of its runner, if it has one.
    runner: Option<&'p str>,
    parameters: &'p BTreeMap<String, Parameter>,
    inputs: &'p BTreeMap<String, (InputText, Span)>,
}

impl<'p> ItemTexts<'p> {
    pub(in crate::plan) fn new(
        id: &'p Spanned<String>,
        runner: Option<&'p str>,
        parameters: &'p BTreeMap<String, Parameter>,
        inputs: &'p BTreeMap<String, (InputText, Span)>,
    ) -> Self {
        Self { id, runner, parameters, inputs }
    }
}

/// Where a text is written, which decides what its placeholders may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) enum TextScope {
    /// In a runner, which serves many items.
    Runner,
    /// In the item itself.
    Item,
    /// In an input, which cannot name inputs.
    Input,
}

/// A cell while its texts are resolved.
pub(in crate::plan) struct CellResolver<'a, 's, 'p> {
    item: ItemTexts<'p>,
    cell: &'s Cell,
    names: &'s Names<'p>,
    /// The absolute directory that relative paths start from.
    dir: &'s Path,
    expansion: &'s mut Expansion,
    diagnostics: &'s mut Diagnostics<'a>,
    /// What it needs, each with where that is written; naming the output of a member of a group
    /// adds the member.
    needs: Vec<(Need, Span)>,
    needed: BTreeSet<Need>,
    /// How long each need is waited for, where that is said; the longest if it is said twice.
    timeouts: BTreeMap<Need, Millis>,
    /// The items that may route to it, whose outputs it may name, too.
    sources: BTreeSet<WorkId>,
    /// How many of these, the last ones, are members of groups that are needed too.
    members: usize,
    /// Whether one of its needs names nothing, so that what it needs is not known.
    lost: bool,
    /// The lists of its matrix that were named, by any cell of the item.
    used: &'s mut BTreeSet<String>,
}

impl<'a, 's, 'p> CellResolver<'a, 's, 'p> {
    pub(in crate::plan) fn new(
        item: ItemTexts<'p>,
        cell: &'s Cell,
        names: &'s Names<'p>,
        dir: &'s Path,
        expansion: &'s mut Expansion,
        used: &'s mut BTreeSet<String>,
        diagnostics: &'s mut Diagnostics<'a>,
    ) -> Self {
        let (needs, needed, timeouts) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        Self {
            item,
            cell,
            names,
            dir,
            expansion,
            diagnostics,
            needs,
            needed,
            timeouts,
            sources: BTreeSet::new(),
            members: 0,
            lost: false,
            used,
        }
    }

    /// Resolves what follows as it is written for this runner.
    pub(in crate::plan) fn write_for(&mut self, runner: &'p str) {
        self.item.runner = Some(runner);
    }

    pub(in crate::plan) fn diagnostics(&mut self) -> &mut Diagnostics<'a> {
        self.diagnostics
    }

    /// Whether the plan grew beyond what is looked at.
    pub(in crate::plan) fn is_spent(&self) -> bool {
        self.expansion.is_spent()
    }

    /// Takes a piece of text from what all texts of the plan may weigh.
    pub(in crate::plan) fn weigh(&mut self, bytes: usize) -> bool {
        self.expansion.weigh(bytes, self.item.id.span, self.diagnostics)
    }

    /// A path, absolute from the plan's directory.
    pub(in crate::plan) fn absolute(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// How many of its needs, the last ones, say no more than that it needs a group.
    pub(in crate::plan) fn members(&self) -> usize {
        self.members
    }

    /// What the cell was found to need.
    pub(in crate::plan) fn into_needs(self) -> Vec<(Need, Span)> {
        self.needs
    }

    /// Resolves `needs`. Outputs may be named only of what is needed, so this comes first.
    pub(in crate::plan) fn needs(&mut self, needs: &[NeedText]) {
        let mut named = BTreeSet::new();
        for need in needs {
            let timeout = need.timeout();
            let (found, span) = match need.wants() {
                Wanted::Event(need, span) => (vec![need.clone()], *span),
                Wanted::Signal(signal, agent, span) => {
                    match self.signal(signal.clone(), agent.as_ref()) {
                        Some(signal) => (vec![signal.into()], *span),
                        None => continue,
                    }
                }
                Wanted::Approval(text) => match self.name(&text.value) {
                    Some(question) => (vec![Need::Approval(question)], text.span),
                    None => continue,
                },
                Wanted::Named(need) => {
                    let Some(name) = self.name(&need.value) else {
                        self.lost = true;
                        continue;
                    };
                    if named.contains(&name) && timeout.is_none() {
                        // A matrix has thousands of cells, and finds nothing new the second time.
                        continue;
                    }
                    let (of, span) = (&self.item.id.value, need.span);
                    let found = self.names.need(&name, of, span, self.diagnostics);
                    self.lost |= found.is_empty();
                    named.insert(name);
                    (found, span)
                }
            };
            for found in found {
                if let Some(timeout) = timeout {
                    let longest = self.timeouts.entry(found.clone()).or_insert(timeout);
                    *longest = (*longest).max(timeout);
                }
                self.need(found, span);
            }
        }
    }

    /// A signal, of the agent that its template names; `None` if that is no name, which was reported.
    fn signal(&mut self, signal: SignalNeed, agent: Option<&WantedAgent>) -> Option<SignalNeed> {
        let Some(agent) = agent else { return Some(signal) };
        let (WantedAgent::About(text) | WantedAgent::From(text)) = agent;
        let name = match AgentId::new(self.name(&text.value)?) {
            Ok(name) => name,
            Err(error) => {
                self.diagnostics.error(DiagnosticCode::BadId, text.span, error.to_string());
                return None;
            }
        };
        Some(match agent {
            WantedAgent::About(_) => signal.about(name),
            WantedAgent::From(_) => signal.from(name),
        })
    }

    /// Has it wait for a route from one of these items.
    pub(in crate::plan) fn wait_for_route<'n>(
        &mut self,
        from: impl Iterator<Item = &'n str>,
        span: Span,
    ) {
        let names = self.names;
        self.sources.extend(from.flat_map(|name| names.known_members(name)).cloned());
        self.need(Need::Routed, span);
    }

    /// The items and cells that a name stands for.
    pub(in crate::plan) fn members_of(&self, name: &str) -> Vec<&WorkId> {
        self.names.known_members(name)
    }

    /// How long each of its needs is waited for, by their places, in nanoseconds.
    pub(in crate::plan) fn need_timeouts(&self) -> BTreeMap<u32, u64> {
        let timed = (0..).zip(&self.needs).filter_map(|(place, (need, _))| {
            let timeout = self.timeouts.get(need)?;
            Some((place, timeout.0.saturating_mul(1_000_000)))
        });
        timed.collect()
    }

    fn need_member(&mut self, need: Need) {
        if !self.needed.contains(&need) {
            let span = self.item.id.span;
            self.need(need, span);
            self.members += 1;
        }
    }

    fn need(&mut self, need: Need, span: Span) {
        if self.needed.insert(need.clone())
            && self.expansion.need(self.item.id.span, self.diagnostics)
        {
            self.needs.push((need, span));
        }
    }

    /// A text with its placeholders filled in, but for outputs.
    pub(in crate::plan) fn text(&mut self, template: &Template, scope: TextScope) -> CommandText {
        let mut text = CommandText::default();
        for piece in &template.pieces {
            let bytes = if let Piece::Text(known) = piece { known.len() } else { 0 };
            if !self.weigh(bytes) {
                return text;
            }
            match piece {
                Piece::Text(known) => text.push(TextPart::Known(known.clone())),
                Piece::Hole(hole, span) => {
                    self.hole(hole, *span, scope).0.into_iter().for_each(|part| text.push(part));
                }
            }
        }
        text
    }

    /// The path of an input: absolute, unless it begins with an output.
    pub(in crate::plan) fn path(&mut self, template: &Template) -> CommandText {
        let mut text = self.text(template, TextScope::Input);
        if let Some(TextPart::Known(first)) = text.0.first_mut() {
            *first = self.dir.join(&*first).to_string_lossy().into_owned();
        }
        text
    }

    /// A text in which only parameters of the matrix may stand: a name or a path that must be known
    /// now. `None` if it is not, which was reported.
    pub(in crate::plan) fn name(&mut self, template: &Template) -> Option<String> {
        let mut name = Some(String::new());
        for piece in &template.pieces {
            let bytes = if let Piece::Text(text) = piece { text.len() } else { 0 };
            if !self.weigh(bytes) {
                return None;
            }
            let known = match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Hole(Hole::Parameter(parameter), span) => {
                    let value = self.cell.value(parameter);
                    if value.is_some() {
                        self.used.insert(parameter.clone());
                    } else {
                        self.no_such_parameter(parameter, *span, true);
                    }
                    value
                }
                Piece::Hole(_, span) => {
                    let message = "this must be known before anything runs";
                    let reported =
                        self.diagnostics.error(DiagnosticCode::BadPlaceholder, *span, message);
                    reported.hint(ONLY_PARAMETERS);
                    None
                }
            };
            name = name.zip(known).map(|(name, known)| name + known);
        }
        name
    }

    fn hole(&mut self, hole: &Hole, span: Span, scope: TextScope) -> CommandText {
        match hole {
            Hole::Parameter(name) => self.parameter(name, span, scope),
            Hole::Input(name) => self.input(name, span, scope),
            Hole::Output { .. } if scope == TextScope::Runner => {
                let message =
                    "a runner is shared by many items, so it cannot refer to the output of one";
                let hint = "use {{name}} here and set it in the item: name: \"{{ITEM.output}}\"";
                self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint(hint);
                CommandText::default()
            }
            Hole::Output { item, name } => {
                let part = self.name(item).and_then(|of| self.output(&of, name.as_deref(), span));
                CommandText(part.into_iter().collect())
            }
        }
    }

    fn parameter(&mut self, name: &str, span: Span, scope: TextScope) -> CommandText {
        let item = self.item;
        if let Some(parameter) = item.parameters.get(name).filter(|_| scope == TextScope::Runner) {
            if self.cell.value(name).is_some() {
                let message = format!("`{name}` is set both here and by the matrix");
                self.diagnostics.error(DiagnosticCode::Conflict, parameter.key, message);
            }
            return self.text(&parameter.value, TextScope::Item);
        }
        if let Some(value) = self.cell.value(name) {
            self.used.insert(name.to_owned());
            return CommandText::known(value);
        }
        match (scope, item.runner) {
            (TextScope::Runner, Some(runner)) => {
                let message = format!(
                    "`{}` is missing `{name}`, which its runner `{}` requires",
                    item.id.value, runner
                );
                let reported =
                    self.diagnostics.error(DiagnosticCode::MissingParameter, item.id.span, message);
                reported.hint(format!("add `{name}: ..`"));
            }
            _ => self.no_such_parameter(name, span, false),
        }
        CommandText::default()
    }

    fn input(&mut self, name: &str, span: Span, scope: TextScope) -> CommandText {
        if scope == TextScope::Input {
            let reported = self.diagnostics.error(
                DiagnosticCode::BadPlaceholder,
                span,
                "an input cannot refer to another input",
            );
            reported.hint("write out its path");
            return CommandText::default();
        }
        let item = self.item;
        match item.inputs.get(name) {
            Some((InputText::File(path), _)) => self.path(path),
            Some((InputText::Value(value), _)) => self.text(value, TextScope::Input),
            None => {
                let (at, by) = match scope {
                    TextScope::Runner => (item.id.span, ", which its runner requires"),
                    _ => (span, ""),
                };
                let similar =
                    self.diagnostics.similar(name, item.inputs.keys().map(String::as_str));
                let hint = match (similar, scope) {
                    (Some(similar), TextScope::Runner) => {
                        format!("rename its input `{similar}` to `{name}`")
                    }
                    (Some(similar), _) => format!("did you mean `{similar}`?"),
                    (None, _) => format!("add it: input: {{ {name}: FILE }}"),
                };
                let message = format!("`{}` has no input `{name}`{by}", item.id.value);
                self.diagnostics.error(DiagnosticCode::BadPlaceholder, at, message).hint(hint);
                CommandText::default()
            }
        }
    }

    /// The item or matrix whose output a placeholder refers to; it must be needed, directly or by
    /// its group.
    fn output(&mut self, of: &str, name: Option<&str>, span: Span) -> Option<TextPart> {
        let names = self.names;
        if self.diagnostics.is_full() {
            return None;
        }
        if let Some(id) = names.elsewhere(of) {
            if self.needed.contains(&Need::Work(id.clone())) {
                return Some(TextPart::Output { output_of: id, name: name.map(str::to_owned) });
            }
            self.not_needed(of, span);
            return None;
        }
        let Some(OutputOf { item: source, ids, all_cells }) = names.output_of(of) else {
            let message = format!("unknown item `{}`", shorten(of));
            let hint = names.suggestion(of, &self.item.id.value, self.diagnostics);
            self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint_if(hint);
            return None;
        };
        if source.is_plan() {
            let message =
                format!("`{of}` is a nested plan, and placeholders cannot refer to its receipt");
            self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint(SHARED_FILE);
            return None;
        }
        if ids.contains(self.cell.id()) {
            let message = format!("`{}` cannot use its own output", self.cell.id());
            self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message);
            return None;
        }
        if !self.weigh(ids.len() * PIECE_WEIGHT) {
            return None;
        }
        let by_group =
            source.group().is_some_and(|group| self.needed.contains(&Need::Group(group)));
        let from_sources = ids.iter().all(|id| self.sources.contains(id));
        let is_needed = |id: &WorkId| self.needed.contains(&Need::Work(id.clone()));
        if !by_group && !from_sources && !ids.iter().all(is_needed) {
            if !self.lost {
                self.not_needed(of, span);
            }
            return None;
        }
        if let Some(name) =
            name.filter(|name| !source.outputs().is_some_and(|outputs| outputs.contains(name)))
        {
            let hint = match source.outputs() {
                Some(known) if !known.is_empty() => {
                    let similar = self.diagnostics.suggestion(name, known.iter().copied());
                    similar.unwrap_or_else(|| {
                        let known: Vec<&str> = known.iter().copied().collect();
                        format!("its outputs are {}", enumerate(&known))
                    })
                }
                _ => format!("declare it there: output: [{name}], or output: {{ {name}: FILE }}"),
            };
            let message = format!("`{of}` does not declare an output `{name}`");
            self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint(hint);
            return None;
        }
        // Outputs of what is needed directly come with the session. Those of a group are looked for
        // where they were recorded, unless there is room to need each member.
        if !from_sources && self.expansion.has_room_for(ids.len()) {
            for id in &ids {
                self.need_member(Need::Work(id.clone()));
            }
        }
        let name = name.map(str::to_owned);
        match ids.as_slice() {
            [id] if !all_cells => Some(TextPart::Output { output_of: id.clone(), name }),
            _ => Some(TextPart::Outputs { outputs_of: ids, name }),
        }
    }

    /// Reports the output of something that is not needed.
    fn not_needed(&mut self, of: &str, span: Span) {
        let message = format!(
            "`{}` does not list `{of}` in its `needs`, so the output may be missing",
            self.cell.id()
        );
        // Brackets mean something else without quotes.
        let quote = if of.contains('[') { "\"" } else { "" };
        self.diagnostics
            .error(DiagnosticCode::UnknownNeed, span, message)
            .hint(format!("add `{quote}{of}{quote}` to its `needs`"));
    }

    /// Reports a parameter that is not defined; `is_name` says that outputs cannot stand there either.
    fn no_such_parameter(&mut self, name: &str, span: Span, is_name: bool) {
        if self.diagnostics.is_full() {
            return;
        }
        let known: Vec<&str> = self.cell.parameters().collect();
        let hint = match self.names.item(name) {
            Some(_) if is_name => Some(ONLY_PARAMETERS.to_owned()),
            Some(item) if item.is_plan() => Some(SHARED_FILE.to_owned()),
            Some(_) => Some(format!("to use the output of that item, write {{{{{name}.output}}}}")),
            None => {
                let similar = self.diagnostics.suggestion(name, known.iter().copied());
                similar.or_else(|| {
                    (!known.is_empty()).then(|| format!("its matrix defines {}", enumerate(&known)))
                })
            }
        };
        let message = format!("`{{{{{}}}}}` is not defined here", shorten(name));
        self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint_if(hint);
    }
}
