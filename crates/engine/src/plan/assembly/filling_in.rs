//! What the placeholders of one cell stand for.

use std::collections::BTreeSet;

use super::Assembly;
use crate::coordination::Need;
use crate::id::WorkId;
use crate::plan::command::{CommandText, TextPart};
use crate::plan::draft::{How, InputDraft, ItemDraft};
use crate::plan::fields::{enumerate, shorten, suggestion};
use crate::plan::problem::DiagnosticCode;
use crate::plan::source::Span;
use crate::plan::template::{Hole, Piece, Template};

/// An item, or one combination of its matrix.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) id: WorkId,
    /// The parameters of the matrix.
    pub(super) values: Vec<(String, String)>,
}

impl Cell {
    fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A cell while its texts are filled in.
pub(super) struct Filling<'d, 'c> {
    pub(super) item: &'d ItemDraft,
    pub(super) cell: &'c Cell,
    /// What it needs; naming the output of a member of a group adds the member.
    pub(super) needs: Vec<Need>,
    pub(super) needed: BTreeSet<Need>,
    /// Whether one of its needs names nothing, so that what it needs is not known.
    pub(super) lost: bool,
    /// The lists of its matrix that were named.
    pub(super) used: &'c mut BTreeSet<String>,
}

/// Where a text stands, which says what its placeholders may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// In a runner, which serves many items.
    Runner,
    /// In the item itself.
    Item,
    /// In an input, which cannot name inputs.
    Input,
}

impl<'d> Assembly<'_, '_, 'd> {
    /// A text with its placeholders filled in, but for outputs.
    pub(super) fn text(
        &mut self,
        template: &Template,
        scope: Scope,
        filling: &mut Filling<'d, '_>,
    ) -> CommandText {
        let mut text = CommandText::default();
        for piece in &template.pieces {
            let bytes = if let Piece::Text(known) = piece { known.len() } else { 0 };
            if !self.weigh(bytes, filling.item) {
                return text;
            }
            match piece {
                Piece::Text(known) => text.push(TextPart::Known(known.clone())),
                Piece::Hole(hole, span) => {
                    self.hole(hole, *span, scope, filling)
                        .0
                        .into_iter()
                        .for_each(|part| text.push(part));
                }
            }
        }
        text
    }

    /// The path of an input: absolute, unless it begins with an output.
    pub(super) fn path(
        &mut self,
        template: &Template,
        filling: &mut Filling<'d, '_>,
    ) -> CommandText {
        let mut text = self.text(template, Scope::Input, filling);
        if let Some(TextPart::Known(first)) = text.0.first_mut() {
            *first = self.dir.join(&*first).to_string_lossy().into_owned();
        }
        text
    }

    /// A text in which only parameters of the matrix may stand: a name or a path that must be known
    /// now.
    pub(super) fn name(&mut self, template: &Template, filling: &mut Filling<'d, '_>) -> String {
        let mut name = String::new();
        for piece in &template.pieces {
            let bytes = if let Piece::Text(text) = piece { text.len() } else { 0 };
            if !self.weigh(bytes, filling.item) {
                return name;
            }
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Hole(Hole::Parameter(parameter), span) => {
                    match filling.cell.value(parameter) {
                        Some(value) => {
                            filling.used.insert(parameter.clone());
                            name.push_str(value);
                        }
                        None => self.no_such_parameter(parameter, *span, filling.cell),
                    }
                }
                Piece::Hole(_, span) => {
                    let message = "what stands here must be known before anything runs";
                    let told =
                        self.diagnostics.error(DiagnosticCode::BadPlaceholder, *span, message);
                    told.hint("only parameters of the item's matrix are");
                }
            }
        }
        name
    }

    fn hole(
        &mut self,
        hole: &Hole,
        span: Span,
        scope: Scope,
        filling: &mut Filling<'d, '_>,
    ) -> CommandText {
        match hole {
            Hole::Parameter(name) => self.parameter(name, span, scope, filling),
            Hole::Input(name) => self.input(name, span, scope, filling),
            Hole::Output { .. } if scope == Scope::Runner => {
                let message = "a runner serves many items, so it cannot name the output of one";
                let hint =
                    "write {{name}} here, and give it in the item: name: \"{{ITEM.output}}\"";
                self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint(hint);
                CommandText::default()
            }
            Hole::Output { item, name } => {
                let of = self.name(item, filling);
                CommandText(self.output(&of, name.as_deref(), span, filling).into_iter().collect())
            }
        }
    }

    fn parameter(
        &mut self,
        name: &str,
        span: Span,
        scope: Scope,
        filling: &mut Filling<'d, '_>,
    ) -> CommandText {
        let (item, cell) = (filling.item, filling.cell);
        if let Some(parameter) = item.parameters.get(name).filter(|_| scope == Scope::Runner) {
            if cell.value(name).is_some() {
                let message = format!("`{name}` is given here and by the matrix");
                self.diagnostics.error(DiagnosticCode::Conflict, parameter.key, message);
            }
            return self.text(&parameter.value, Scope::Item, filling);
        }
        if let Some(value) = cell.value(name) {
            filling.used.insert(name.to_owned());
            return CommandText::known(value);
        }
        match (scope, &item.how) {
            (Scope::Runner, How::Runner(runner)) => {
                let message = format!(
                    "`{}` lacks `{name}`, which its runner `{}` needs",
                    item.id.value, runner.value
                );
                let told =
                    self.diagnostics.error(DiagnosticCode::MissingParameter, item.id.span, message);
                told.hint(format!("add `{name}: ..` to it"));
            }
            _ => self.no_such_parameter(name, span, cell),
        }
        CommandText::default()
    }

    fn input(
        &mut self,
        name: &str,
        span: Span,
        scope: Scope,
        filling: &mut Filling<'d, '_>,
    ) -> CommandText {
        if scope == Scope::Input {
            let told = self.diagnostics.error(
                DiagnosticCode::BadPlaceholder,
                span,
                "an input cannot name an input",
            );
            told.hint("write its path out");
            return CommandText::default();
        }
        let item = filling.item;
        match item.input.get(name) {
            Some((InputDraft::File(path), _)) => self.path(path, filling),
            Some((InputDraft::Value(value), _)) => self.text(value, Scope::Input, filling),
            None => {
                let (at, by) = match scope {
                    Scope::Runner => (item.id.span, ", which its runner needs"),
                    _ => (span, ""),
                };
                let hint = suggestion(name, item.input.keys().map(String::as_str));
                let hint = hint.unwrap_or_else(|| format!("add it: input: {{ {name}: FILE }}"));
                let message = format!("`{}` has no input `{name}`{by}", item.id.value);
                self.diagnostics.error(DiagnosticCode::BadPlaceholder, at, message).hint(hint);
                CommandText::default()
            }
        }
    }

    /// The item or matrix whose output a placeholder stands for; it must be needed, directly or by
    /// its group.
    fn output(
        &mut self,
        of: &str,
        name: Option<&str>,
        span: Span,
        filling: &mut Filling<'d, '_>,
    ) -> Option<TextPart> {
        let names = self.names;
        if self.diagnostics.is_full() {
            return None;
        }
        let (source, ids, whole) = match (names.item(of), names.named(of)) {
            (Some(item), _) => (item, vec![WorkId::new(of).ok()?], false),
            (None, Some(matrix)) => (matrix, names.cells_of(of), true),
            (None, None) => {
                let message = format!("there is no item `{}`", shorten(of));
                self.diagnostics
                    .error(DiagnosticCode::BadPlaceholder, span, message)
                    .hint_if(names.suggestion(of));
                return None;
            }
        };
        if matches!(source.how, How::Plan(_)) {
            let message =
                format!("`{of}` is a nested plan, which puts out its receipt and nothing by name");
            self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message);
            return None;
        }
        let by_group = names
            .group_of(source)
            .is_some_and(|group| filling.needed.contains(&Need::Group(group)));
        if !by_group && !ids.iter().all(|id| filling.needed.contains(&Need::Work(id.clone()))) {
            if !filling.lost {
                let message = format!(
                    "`{}` does not need `{of}`, so its output may not be there",
                    filling.cell.id
                );
                self.diagnostics
                    .error(DiagnosticCode::UnknownNeed, span, message)
                    .hint(format!("add `{of}` to its `needs`"));
            }
            return None;
        }
        if let Some(name) = name.filter(|name| !source.output.has(name)) {
            let hint = match source.output.names() {
                None => format!(
                    "say there what it puts out: output: [{name}], or output: {{ {name}: FILE }}"
                ),
                Some(known) => suggestion(name, known.iter().copied())
                    .unwrap_or_else(|| format!("it puts out {}", enumerate(&known))),
            };
            let message = format!("`{of}` does not say that it puts out `{name}`");
            self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint(hint);
            return None;
        }
        if !self.weigh(ids.len() * super::PIECE_WEIGHT, filling.item) {
            return None;
        }
        for id in &ids {
            // A group brings no outputs along, only its members do.
            self.need(Need::Work(id.clone()), filling);
        }
        let name = name.map(str::to_owned);
        match ids.as_slice() {
            [id] if !whole => Some(TextPart::Output { output_of: id.clone(), name }),
            _ => Some(TextPart::Outputs { outputs_of: ids, name }),
        }
    }

    fn no_such_parameter(&mut self, name: &str, span: Span, cell: &Cell) {
        if self.diagnostics.is_full() {
            return;
        }
        let known: Vec<&str> = cell.values.iter().map(|(name, _)| name.as_str()).collect();
        let hint = if self.names.named(name).is_some() {
            Some(format!("the output of that item is {{{{{name}.output}}}}"))
        } else {
            let meant = suggestion(name, known.iter().copied());
            meant.or_else(|| {
                (!known.is_empty()).then(|| format!("its matrix gives {}", enumerate(&known)))
            })
        };
        let message = format!("`{{{{{}}}}}` stands for nothing here", shorten(name));
        self.diagnostics.error(DiagnosticCode::BadPlaceholder, span, message).hint_if(hint);
    }
}
