//! `command:` and `shell:`: what a runner, an item or a check runs.

use std::collections::BTreeMap;

use antiphon_core::id::WorkId;
use serde::{Deserialize, Serialize};

use super::interpreter::{Injection, injection};
use super::stdin::StdinSource;
use super::{process_text, secret_lint};
use crate::plan::mapping::{Fields, ValueKind};
use crate::plan::resolve::{CellResolver, CommandText, RenderError, TextScope};
use crate::plan::text::{
    DiagnosticCode, Diagnostics, Node, Piece, Span, Template, Yaml, all_of, shorten,
};

pub(super) const COMMAND: ValueKind = ValueKind::List(&ValueKind::Template);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Invocation {
    /// A program and its arguments; each stays one argument, whatever is filled in.
    Argv(Vec<CommandText>),
    /// A script for `sh -c`.
    Shell(String),
}

#[derive(Debug, Clone)]
pub(super) enum CommandAst {
    Argv { words: Vec<Template>, span: Span },
    Shell(String),
}

impl CommandAst {
    /// What the one of `command` and `shell` says that there is; `None` if there are both or none,
    /// which is reported.
    pub(super) fn read_one(
        fields: &Fields<'_>,
        missing: &str,
        hint: Option<String>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        match fields.present(&["command", "shell"]).as_slice() {
            [_] => Self::read(fields, diagnostics),
            [] => {
                diagnostics.error(DiagnosticCode::MissingKey, fields.span(), missing).hint_if(hint);
                None
            }
            both => {
                let message = format!("{} cannot be used together", all_of(both));
                diagnostics.error(DiagnosticCode::Conflict, fields.span(), message);
                None
            }
        }
    }

    /// What `command` or `shell` says.
    pub(super) fn read(fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        match fields.get("command") {
            Some(node) => Self::read_argv(node, diagnostics),
            None => Self::read_shell(fields.get("shell")?, diagnostics),
        }
    }

    /// A program and its arguments.
    pub(super) fn read_argv(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if let Yaml::Plain(text) | Yaml::Quoted(text) = &node.value
            && text.contains(|c: char| "|&;<>$`*?\"'()".contains(c))
        {
            let message = "a command is a list of a program and its arguments, and does not go \
                through a shell";
            diagnostics
                .error(DiagnosticCode::WrongType, node.span, message)
                .hint("write it as [program, argument, ..], or use `shell` instead of `command`");
            return None;
        }
        let entries = program_and_arguments(node, node.span, diagnostics)?;
        let mut templates = Vec::new();
        for entry in entries {
            if let Some(template) = process_text::template(entry, diagnostics) {
                templates.push(template.value);
            }
        }
        (templates.len() == entries.len())
            .then_some(Self::Argv { words: templates, span: node.span })
    }

    fn read_shell(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let script = diagnostics.text(node)?;
        secret_lint::inspect_text(&script, diagnostics);
        if script.value.contains("{{") {
            diagnostics
                .error(
                    DiagnosticCode::BadPlaceholder,
                    script.span,
                    "a script cannot use placeholders, because the shell would split or run their \
                    values",
                )
                .hint(match script.value.split("{{").skip(1).all(|inside| inside.starts_with('.')) {
                    false => {
                        "pass the value through `env`, for example env: { FILE: \"{{file}}\" }, and \
                        write \"$FILE\""
                    }
                    // A template of another program.
                    true => {
                        "pass two braces as text through `env`: env: { BRACES: '{{\"{{\"}}' }, and \
                        write \"$BRACES\" for them"
                    }
                });
            return None;
        }
        if script.value.contains('\0') {
            diagnostics.error(
                DiagnosticCode::BadValue,
                script.span,
                "a script cannot contain a NUL byte",
            );
            return None;
        }
        Some(Self::Shell(script.value))
    }

    /// Every text of it that may hold placeholders.
    pub(super) fn templates(&self) -> &[Template] {
        match self {
            Self::Argv { words, .. } => words,
            Self::Shell(_) => &[],
        }
    }

    /// Reports outputs of items that would be run as code.
    pub(super) fn refuse_injection(
        &self,
        resolved: &Invocation,
        stdin: Option<&StdinSource>,
        diagnostics: &mut Diagnostics<'_>,
    ) {
        if let (Self::Argv { span, .. }, Invocation::Argv(words)) = (self, resolved)
            && let Some(Injection { program, advice }) = injection(words, stdin)
        {
            let message = format!(
                "`{}` would run the output of an item as part of its code",
                shorten(&program)
            );
            diagnostics.error(DiagnosticCode::BadPlaceholder, *span, message).hint(advice);
        }
    }

    pub(super) fn resolve(
        &self,
        scope: TextScope,
        resolver: &mut CellResolver<'_, '_, '_>,
    ) -> Invocation {
        match self {
            Self::Argv { words: texts, span } => {
                let words: Vec<CommandText> =
                    texts.iter().map(|text| resolver.text(text, scope)).collect();
                // Of a placeholder that is broken nothing is left, and that was reported.
                let is_filled_in = texts.first().is_some_and(|text| !text.pieces.is_empty());
                if is_filled_in && words[0].as_known() == Some("") {
                    no_program(*span, resolver.diagnostics());
                }
                Invocation::Argv(words)
            }
            Self::Shell(script) => {
                resolver.weigh(script.len());
                Invocation::Shell(script.clone())
            }
        }
    }

    /// The same where there is nothing that placeholders could name; those there are, are reported.
    pub(super) fn plain(&self, diagnostics: &mut Diagnostics<'_>) -> Option<Invocation> {
        let (words, span) = match self {
            Self::Argv { words, span } => (words, *span),
            Self::Shell(script) => return Some(Invocation::Shell(script.clone())),
        };
        let plain = words.iter().map(|word| word.plain().map(CommandText::known));
        let plain: Option<Vec<CommandText>> = plain.collect();
        if plain.is_none() {
            diagnostics
                .error(
                    DiagnosticCode::BadPlaceholder,
                    span,
                    "this command belongs to no item, so it cannot use placeholders",
                )
                .hint("what it may need to know is in its environment: ANTIPHON_RUN, ANTIPHON_VERDICT, ..");
        }
        plain.map(Invocation::Argv)
    }

    /// What it runs, to be shown.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Argv { words, .. } => words.iter().map(first_text).collect::<Vec<_>>().join(" "),
            Self::Shell(_) => "sh".to_owned(),
        }
    }
}

/// The entries of a command that begins with a program, whose absence is reported at `span`.
pub(super) fn program_and_arguments<'n>(
    node: &'n Node,
    span: Span,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<&'n [Node]> {
    let is_empty = |node: &Node| matches!(&node.value, Yaml::Quoted(text) if text.is_empty());
    let has_program = match &node.value {
        Yaml::List(entries) => entries.first().is_some_and(|program| !is_empty(program)),
        _ => !is_empty(node),
    };
    if !has_program {
        no_program(span, diagnostics);
        return None;
    }
    diagnostics.list(node, "a program and its arguments")
}

fn no_program(span: Span, diagnostics: &mut Diagnostics<'_>) {
    diagnostics
        .error(DiagnosticCode::BadValue, span, "a command needs at least a program")
        .hint("write it as [program, argument, ..]");
}

/// A text without placeholders as it is, any other as dots.
pub(super) fn first_text(template: &Template) -> String {
    match template.pieces.as_slice() {
        [Piece::Text(text)] => text.clone(),
        _ => "..".to_owned(),
    }
}

impl Invocation {
    /// The texts that outputs may be filled into.
    pub(super) fn texts(&self) -> &[CommandText] {
        match self {
            Self::Argv(texts) => texts,
            Self::Shell(_) => &[],
        }
    }

    /// The program and its arguments with outputs filled in.
    pub(super) fn render(
        &self,
        outputs: &BTreeMap<WorkId, Vec<u8>>,
    ) -> Result<Vec<String>, RenderError> {
        match self {
            Self::Argv(texts) => texts.iter().map(|text| text.render(outputs)).collect(),
            Self::Shell(script) => Ok(vec!["sh".to_owned(), "-c".to_owned(), script.clone()]),
        }
    }
}
