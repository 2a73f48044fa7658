//! `env:`: environment variables of sessions, and the secrets among them.

use std::collections::BTreeMap;
use std::path::Path;

use antiphon_core::id::WorkId;
use serde::{Deserialize, Serialize};

use super::command::program_and_arguments;
use super::{process_text, secret_lint};
use crate::plan::caller::{CallerValues, SecretFrom};
use crate::plan::mapping::{Fields, Object, ValueKind, key, required, unknown_key};
use crate::plan::resolve::{CellResolver, CommandText, PIECE_WEIGHT, RenderError, TextScope};
use crate::plan::text::{
    DiagnosticCode, Diagnostics, Node, Span, Spanned, Template, Yaml, enumerate, shorten,
};

const VARIABLE_NAMES: &str = "names begin with a letter or `_`, and continue with these and digits";

pub(super) const ENV_VALUE: ValueKind = ValueKind::Either(&[
    ValueKind::Value,
    ValueKind::Of(&ENV_FROM),
    ValueKind::Of(&ENV_TEXT),
    ValueKind::Of(&ENV_SECRET),
]);

pub(super) static ENV_FROM: Object = Object {
    name: "env_from",
    what: "a variable of the caller",
    keys: &[
        required(
            "from",
            ValueKind::Text,
            "from: HTTP_PROXY",
            "A variable in the environment of the caller, read when the plan is submitted.",
        ),
        key(
            "default",
            ValueKind::Text,
            "default: none",
            "The value if the caller does not have the variable. Without a default, the variable \
            must be set.",
        ),
    ],
    later: &[],
    open: false,
};

pub(super) static ENV_TEXT: Object = Object {
    name: "env_text",
    what: "a variable",
    keys: &[required(
        "text",
        ValueKind::Value,
        "text: v1",
        "A value that is not a secret, although its name looks like one.",
    )],
    later: &[],
    open: false,
};

pub(super) static ENV_SECRET: Object = Object {
    name: "env_secret",
    what: "a secret",
    keys: &[required(
        "secret",
        ValueKind::Either(&[ValueKind::Text, ValueKind::Of(&SECRET_COMMAND)]),
        "secret: API_KEY",
        "Where the value comes from when the plan is submitted: a variable in the caller's \
        environment, or `{ command: .. }`. The value is never stored.",
    )],
    later: &[],
    open: false,
};

pub(super) static SECRET_COMMAND: Object = Object {
    name: "secret_command",
    what: "the source of a secret",
    keys: &[required(
        "command",
        ValueKind::List(&ValueKind::Text),
        "command: [pass, show, api-key]",
        "A command that prints the value, run by the caller.",
    )],
    later: &[],
    open: false,
};

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum EnvValue {
    Text(CommandText),
    /// The value of the secret of this name, which the caller provides.
    Secret(String),
}

/// The value of an environment variable with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RenderedEnv {
    Text(String),
    /// The value of the secret of this name.
    Secret(String),
}

/// A variable as it is written.
#[derive(Debug, Clone)]
pub(super) enum EnvAst {
    Text(Template),
    From { name: Spanned<String>, default: Option<String> },
    Secret { name: Spanned<String>, command: Option<Vec<String>> },
}

/// A variable of one cell, before the environment of the caller is known.
#[derive(Debug, Clone)]
pub(super) enum ResolvedEnv {
    Text(CommandText),
    From { name: Spanned<String>, default: Option<String> },
    Secret { name: String, command: Option<Vec<String>>, span: Span },
}

impl EnvAst {
    /// Reads environment variables; `open` says whether placeholders have a meaning here.
    pub(super) fn read_all(
        node: &Node,
        open: bool,
        diagnostics: &mut Diagnostics<'_>,
    ) -> BTreeMap<String, Self> {
        let mut variables = BTreeMap::new();
        for (name, node) in diagnostics.entries(node, "values").unwrap_or_default() {
            if !is_variable(&name.value) {
                let message = format!(
                    "`{}` is not a valid name for an environment variable",
                    shorten(&name.value)
                );
                diagnostics.error(DiagnosticCode::BadId, name.span, message).hint(VARIABLE_NAMES);
                continue;
            }
            if name.value.starts_with("ANTIPHON_") {
                let message = format!("`{}` is set by the engine", name.value);
                diagnostics
                    .error(DiagnosticCode::BadId, name.span, message)
                    .hint("names that start with `ANTIPHON_` are reserved for the engine");
                continue;
            }
            if let Some(value) = Self::read(name, node, diagnostics) {
                if let Self::Text(text) = &value
                    && !open
                    && text.plain().is_none()
                {
                    let message =
                        "the plan's `env` is for every item, so it cannot use placeholders";
                    diagnostics
                        .error(DiagnosticCode::BadPlaceholder, node.span, message)
                        .hint("set it in the `env` of a runner or an item");
                    continue;
                }
                variables.insert(name.value.clone(), value);
            }
        }
        variables
    }

    fn read(
        name: &Spanned<String>,
        node: &Node,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        let Yaml::Map(entries) = &node.value else {
            let text = diagnostics.text(node)?;
            if secret_lint::inspect_variable(name, &text, diagnostics) {
                return None;
            }
            return Some(Self::Text(process_text::template(node, diagnostics)?.value));
        };
        let forms = [("from", &ENV_FROM), ("text", &ENV_TEXT), ("secret", &ENV_SECRET)];
        let form =
            forms.into_iter().find(|(form, _)| entries.iter().any(|(key, _)| key.value == *form));
        let Some((form, object)) = form else {
            match entries.first() {
                Some((key, _)) => {
                    let names = ["from", "text", "secret"].map(str::to_owned);
                    unknown_key(key, &ENV_TEXT, &names.into(), &[], diagnostics);
                }
                None => {
                    let forms = enumerate(&["from", "text", "secret"]);
                    diagnostics.error(
                        DiagnosticCode::MissingKey,
                        node.span,
                        format!("a variable is text, or a mapping with one of {forms}"),
                    );
                }
            }
            return None;
        };
        let fields = Fields::read(node, object, diagnostics)?;
        match form {
            "from" => Self::read_from(&fields, diagnostics),
            "text" => {
                let text = process_text::template(fields.get("text")?, diagnostics)?;
                Some(Self::Text(text.value))
            }
            _ => Self::read_secret(name, fields.get("secret")?, diagnostics),
        }
    }

    fn read_from(fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let from = diagnostics.text(fields.get("from")?)?;
        if !is_variable(&from.value) {
            let message = format!(
                "`{}` is not a valid name for an environment variable",
                shorten(&from.value)
            );
            diagnostics.error(DiagnosticCode::BadId, from.span, message).hint(VARIABLE_NAMES);
            return None;
        }
        let default =
            fields.get("default").and_then(|node| diagnostics.text(node)).map(|text| text.value);
        Some(Self::From { name: from, default })
    }

    fn read_secret(
        name: &Spanned<String>,
        node: &Node,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        if matches!(node.value, Yaml::Map(_)) {
            let fields = Fields::read(node, &SECRET_COMMAND, diagnostics)?;
            let entries = program_and_arguments(fields.get("command")?, node.span, diagnostics)?;
            let mut command = Vec::new();
            for text in
                entries.iter().filter_map(|entry| diagnostics.text(entry)).collect::<Vec<_>>()
            {
                secret_lint::inspect_text(&text, diagnostics);
                command.push(text.value);
            }
            return Some(Self::Secret { name: name.clone(), command: Some(command) });
        }
        let variable = diagnostics.text(node)?;
        if !is_variable(&variable.value) {
            // This may be the secret itself.
            diagnostics.mask(variable.span);
            diagnostics
                .error(
                    DiagnosticCode::InlineSecret,
                    variable.span,
                    "`secret` takes the name of a variable in the caller's environment, not the \
                    value",
                )
                .hint(format!("for example `{}: {{ secret: {} }}`", name.value, name.value));
            return None;
        }
        secret_lint::inspect_text(&variable, diagnostics);
        Some(Self::Secret { name: variable, command: None })
    }

    /// The text of it that may hold placeholders.
    pub(super) fn template(&self) -> Option<&Template> {
        match self {
            Self::Text(template) => Some(template),
            Self::From { .. } | Self::Secret { .. } => None,
        }
    }

    pub(super) fn resolve(
        &self,
        scope: TextScope,
        resolver: &mut CellResolver<'_, '_, '_>,
    ) -> ResolvedEnv {
        match self {
            Self::Text(text) => ResolvedEnv::Text(resolver.text(text, scope)),
            Self::From { name, default } => {
                resolver.weigh(default.as_ref().map_or(0, String::len));
                ResolvedEnv::From { name: name.clone(), default: default.clone() }
            }
            Self::Secret { name, command } => {
                resolver
                    .weigh(command.iter().flatten().map(|word| word.len() + PIECE_WEIGHT).sum());
                ResolvedEnv::Secret {
                    name: name.value.clone(),
                    command: command.clone(),
                    span: name.span,
                }
            }
        }
    }
}

impl EnvAst {
    /// A variable of the plan, in which placeholders were refused.
    pub(super) fn plain(&self) -> ResolvedEnv {
        match self {
            Self::Text(text) => {
                ResolvedEnv::Text(CommandText::known(text.plain().unwrap_or_default()))
            }
            Self::From { name, default } => {
                ResolvedEnv::From { name: name.clone(), default: default.clone() }
            }
            Self::Secret { name, command } => ResolvedEnv::Secret {
                name: name.value.clone(),
                command: command.clone(),
                span: name.span,
            },
        }
    }
}

/// What is recorded of these variables; the commands of secrets run in `dir`.
pub(super) fn record_all(
    variables: &BTreeMap<String, ResolvedEnv>,
    dir: &Path,
    caller: &mut CallerValues<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> BTreeMap<String, EnvValue> {
    let mut record = |value: &ResolvedEnv| value.record(dir, caller, diagnostics);
    variables.iter().map(|(name, value)| (name.clone(), record(value))).collect()
}

impl ResolvedEnv {
    /// What is recorded of it; the command of a secret runs in `dir`.
    fn record(
        &self,
        dir: &Path,
        caller: &mut CallerValues<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> EnvValue {
        match self {
            Self::Text(text) => EnvValue::Text(text.clone()),
            Self::From { name, default } => {
                let found = caller.variable(&name.value).or_else(|| default.clone());
                if found.is_none() && caller.is_known() {
                    let message = format!("the environment variable `{}` is not set", name.value);
                    diagnostics.error(DiagnosticCode::MissingVariable, name.span, message).hint(
                        format!(
                            "set it, or give a default: {{ from: {}, default: .. }}",
                            name.value
                        ),
                    );
                }
                EnvValue::Text(CommandText::known(found.unwrap_or_default()))
            }
            Self::Secret { name, command, span } => {
                let from = match command {
                    None => SecretFrom::Variable,
                    Some(argv) => SecretFrom::Command { argv: argv.clone(), dir: dir.to_owned() },
                };
                caller.secret(name, from, *span, diagnostics);
                EnvValue::Secret(name.clone())
            }
        }
    }
}

impl EnvValue {
    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// The text, unless it is a secret.
    pub(super) fn text(&self) -> Option<&CommandText> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(_) => None,
        }
    }

    /// With outputs filled in.
    pub(super) fn render(
        &self,
        outputs: &BTreeMap<WorkId, Vec<u8>>,
    ) -> Result<RenderedEnv, RenderError> {
        Ok(match self {
            Self::Text(text) => RenderedEnv::Text(text.render(outputs)?),
            Self::Secret(name) => RenderedEnv::Secret(name.clone()),
        })
    }
}

fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= 128
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
