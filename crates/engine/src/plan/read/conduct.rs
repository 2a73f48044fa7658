//! What runners and items say alike: environment, standard input, limits, usage, times.

use std::collections::BTreeMap;

use super::{positive_cost, positive_count, secrecy, template};
use crate::plan::command::{SessionLimits, UsageReader};
use crate::plan::draft::{Conduct, EnvDraft, StdinDraft};
use crate::plan::fields::{Fields, enumerate, shorten, unknown_key};
use crate::plan::keys;
use crate::plan::node::{Node, Yaml};
use crate::plan::problem::{DiagnosticCode, Diagnostics};
use crate::plan::source::Spanned;
use crate::plan::template::Template;

/// The readers of usage, by the word that names them.
pub(super) const USAGES: [(&str, UsageReader); 4] = [
    ("none", UsageReader::None),
    ("result", UsageReader::Result),
    ("claude", UsageReader::Claude),
    ("claude-stream", UsageReader::ClaudeStream),
];

pub(super) fn read(fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) -> Conduct {
    let mut conduct = Conduct {
        env: fields.get("env").map(|node| env(node, true, diagnostics)).unwrap_or_default(),
        stdin: fields.get("stdin").and_then(|node| stdin(node, diagnostics)),
        usage: fields.get("usage").and_then(|node| diagnostics.choice(node, &USAGES)),
        timeout: fields.get("timeout").and_then(|node| diagnostics.duration(node)),
        grace: fields.get("grace").and_then(|node| diagnostics.duration(node)),
        ..Conduct::default()
    };
    if let Some(node) = fields.get("limits") {
        limits(node, &mut conduct, diagnostics);
    }
    conduct
}

fn limits(node: &Node, conduct: &mut Conduct, diagnostics: &mut Diagnostics<'_>) {
    let Some(fields) = Fields::read(node, &keys::LIMITS, diagnostics) else { return };
    let number = |node: Option<&Node>, diagnostics: &mut Diagnostics<'_>| {
        let number = diagnostics.integer(node?, 1, u32::MAX.into())?;
        u32::try_from(number).ok()
    };
    conduct.limits = SessionLimits {
        memory: fields.get("memory").and_then(|node| diagnostics.size(node)),
        processes: number(fields.get("processes"), diagnostics),
        files: number(fields.get("files"), diagnostics),
        cpu: fields.get("cpu").and_then(|node| diagnostics.duration(node)),
        file_size: fields.get("file_size").and_then(|node| diagnostics.size(node)),
        output: fields.get("output").and_then(|node| diagnostics.size(node)),
    };
    let spanned = |node: &Node, count| Spanned::new(count, node.span);
    conduct.tokens = fields
        .get("tokens")
        .and_then(|node| Some(spanned(node, positive_count(node, diagnostics)?)));
    conduct.cost = fields
        .get("cost")
        .and_then(|node| Some(Spanned::new(positive_cost(node, diagnostics)?, node.span)));
}

fn stdin(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Spanned<StdinDraft>> {
    if !matches!(node.value, Yaml::Map(_)) {
        return template(node, diagnostics)
            .map(|text| Spanned::new(StdinDraft::Text(text.value), text.span));
    }
    let fields = Fields::read(node, &keys::STDIN_FILE, diagnostics)?;
    template(fields.get("file")?, diagnostics)
        .map(|path| Spanned::new(StdinDraft::File(path.value), path.span))
}

/// Environment variables; `open` says whether placeholders have a meaning here.
pub(super) fn env(
    node: &Node,
    open: bool,
    diagnostics: &mut Diagnostics<'_>,
) -> BTreeMap<String, EnvDraft> {
    let mut variables = BTreeMap::new();
    for (name, node) in diagnostics.entries(node, "values").unwrap_or_default() {
        if !is_variable(&name.value) {
            let message = format!("`{}` cannot name an environment variable", shorten(&name.value));
            diagnostics
                .error(DiagnosticCode::BadId, name.span, message)
                .hint("names are made of letters, digits and `_`");
            continue;
        }
        if name.value.starts_with("ANTIPHON_") {
            let message = format!("`{}` is set by the engine", name.value);
            diagnostics
                .error(DiagnosticCode::BadId, name.span, message)
                .hint("variables that begin with `ANTIPHON_` are the engine's");
            continue;
        }
        if let Some(value) = variable(name, node, diagnostics) {
            if let EnvDraft::Text(text) = &value
                && !open
                && text.plain().is_none()
            {
                let message = "no item is meant here, so a placeholder stands for nothing";
                diagnostics
                    .error(DiagnosticCode::BadPlaceholder, node.span, message)
                    .hint("give it in the `env` of a runner or an item");
                continue;
            }
            variables.insert(name.value.clone(), value);
        }
    }
    variables
}

fn variable(
    name: &Spanned<String>,
    node: &Node,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<EnvDraft> {
    let Yaml::Map(entries) = &node.value else {
        let text = diagnostics.text(node)?;
        if secrecy::inspect_variable(name, &text, diagnostics) {
            return None;
        }
        return Some(EnvDraft::Text(template(node, diagnostics)?.value));
    };
    let forms =
        [("from", &keys::ENV_FROM), ("text", &keys::ENV_TEXT), ("secret", &keys::ENV_SECRET)];
    let form =
        forms.into_iter().find(|(form, _)| entries.iter().any(|(key, _)| key.value == *form));
    let Some((form, object)) = form else {
        match entries.first() {
            Some((key, _)) => {
                let names = ["from", "text", "secret"].map(str::to_owned);
                unknown_key(key, &keys::ENV_TEXT, &names.into(), diagnostics);
            }
            None => {
                let forms = enumerate(&["from", "text", "secret"]);
                diagnostics.error(
                    DiagnosticCode::MissingKey,
                    node.span,
                    format!("a variable is a text, or a mapping with one of {forms}"),
                );
            }
        }
        return None;
    };
    let fields = Fields::read(node, object, diagnostics)?;
    match form {
        "from" => {
            let from = diagnostics.text(fields.get("from")?)?;
            if !is_variable(&from.value) {
                let message =
                    format!("`{}` cannot name an environment variable", shorten(&from.value));
                diagnostics.error(DiagnosticCode::BadId, from.span, message);
                return None;
            }
            let default = fields
                .get("default")
                .and_then(|node| diagnostics.text(node))
                .map(|text| text.value);
            Some(EnvDraft::From { name: from, default })
        }
        "text" => Some(EnvDraft::Text(template(fields.get("text")?, diagnostics)?.value)),
        _ => secret(name, fields.get("secret")?, diagnostics),
    }
}

fn secret(
    name: &Spanned<String>,
    node: &Node,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<EnvDraft> {
    if matches!(node.value, Yaml::Map(_)) {
        let fields = Fields::read(node, &keys::SECRET_COMMAND, diagnostics)?;
        let entries = diagnostics.list(fields.get("command")?, "a program and its arguments")?;
        let mut command = Vec::new();
        for text in entries.iter().filter_map(|entry| diagnostics.text(entry)).collect::<Vec<_>>() {
            secrecy::inspect_text(&text, diagnostics);
            command.push(text.value);
        }
        if command.is_empty() {
            diagnostics.error(
                DiagnosticCode::BadValue,
                node.span,
                "a command needs at least the program",
            );
            return None;
        }
        return Some(EnvDraft::Secret { name: name.clone(), command: Some(command) });
    }
    let variable = diagnostics.text(node)?;
    if !is_variable(&variable.value) {
        // Whatever stands here may be the secret itself.
        diagnostics.mask(variable.span);
        diagnostics
            .error(
                DiagnosticCode::InlineSecret,
                variable.span,
                "`secret` names a variable of the caller's environment, never the value",
            )
            .hint(format!("such as `{}: {{ secret: {} }}`", name.value, name.value));
        return None;
    }
    secrecy::inspect_text(&variable, diagnostics);
    Some(EnvDraft::Secret { name: variable, command: None })
}

fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= 128
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Conduct {
    /// Every text of it that may hold placeholders.
    pub(in crate::plan) fn templates(&self) -> impl Iterator<Item = &Template> {
        let env = self.env.values().filter_map(|value| match value {
            EnvDraft::Text(template) => Some(template),
            _ => None,
        });
        let stdin = self.stdin.iter().map(|stdin| match &stdin.value {
            StdinDraft::Text(template) | StdinDraft::File(template) => template,
        });
        env.chain(stdin)
    }
}
