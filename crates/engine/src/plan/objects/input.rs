//! `input:`: the files and values that an item reads, by name.

use std::collections::BTreeMap;
use std::path::Path;

use antiphon_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::names::check_part_name;
use super::process_text;
use crate::plan::caller::CallerValues;
use crate::plan::mapping::{Fields, Object, ValueKind, required};
use crate::plan::resolve::{CellResolver, CommandText, InputText, TextScope};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Span, Template, Yaml};

pub(super) const INPUT: ValueKind =
    ValueKind::Either(&[ValueKind::Template, ValueKind::Of(&INPUT_VALUE)]);

pub(super) static INPUT_VALUE: Object = Object {
    name: "input_value",
    what: "an input",
    keys: &[required(
        "value",
        ValueKind::Value,
        "value: 3",
        "The value itself, instead of a file.",
    )],
    later: &[],
    open: false,
};

/// What an item reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum InputSource {
    /// A file, by its path.
    File {
        /// The path, absolute unless an output makes it.
        path: CommandText,
        /// SHA-256 of what it held when the plan was submitted, if it was there and not too large.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    Value(CommandText),
}

/// The inputs of an item as they are written, each with its place.
pub(super) type InputsAst = BTreeMap<String, (InputText, Span)>;

pub(super) fn read_all(node: &Node, diagnostics: &mut Diagnostics<'_>) -> InputsAst {
    let mut inputs = BTreeMap::new();
    for (name, value) in diagnostics.entries(node, "files").unwrap_or_default() {
        if check_part_name("an input", name, diagnostics).is_none() {
            continue;
        }
        // A broken input is there, so that what names it is no second problem.
        let input = read(value, diagnostics);
        let input = input.unwrap_or_else(|| InputText::Value(Template::default()));
        inputs.insert(name.value.clone(), (input, value.span));
    }
    inputs
}

fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<InputText> {
    if !matches!(node.value, Yaml::Map(_)) {
        let path = process_text::template(node, diagnostics)?;
        return Some(InputText::File(path.value));
    }
    let fields = Fields::read(node, &INPUT_VALUE, diagnostics)?;
    let value = process_text::template(fields.get("value")?, diagnostics)?;
    Some(InputText::Value(value.value))
}

/// `None` once the plan has grown too large.
pub(super) fn resolve_all(
    inputs: &InputsAst,
    resolver: &mut CellResolver<'_, '_, '_>,
) -> Option<BTreeMap<String, (InputSource, Span)>> {
    let mut resolved = BTreeMap::new();
    for (name, (input, span)) in inputs {
        if !resolver.weigh(name.len()) {
            return None;
        }
        let input = match input {
            InputText::File(path) => InputSource::File { path: resolver.path(path), digest: None },
            InputText::Value(value) => InputSource::Value(resolver.text(value, TextScope::Input)),
        };
        resolved.insert(name.clone(), (input, *span));
    }
    Some(resolved)
}

impl InputSource {
    /// The same with the digest of the file as it is now; one that cannot be read is reported.
    pub(super) fn record(
        &self,
        span: Span,
        caller: &mut CallerValues<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Self {
        match self {
            Self::File { path, .. } => {
                let digest =
                    path.as_known().map_or(Ok(None), |known| caller.digest(Path::new(known)));
                let digest = digest.unwrap_or_else(|why| {
                    let shown = path.as_known().unwrap_or_default();
                    let message = format!("the input file {shown} cannot be read: {why}");
                    diagnostics
                        .error(DiagnosticCode::Unreadable, span, message)
                        .hint("make it readable for the user who runs this");
                    None
                });
                Self::File { path: path.clone(), digest }
            }
            Self::Value(value) => Self::Value(value.clone()),
        }
    }

    /// The path or the value.
    pub(super) fn text(&self) -> &CommandText {
        match self {
            Self::File { path: text, .. } | Self::Value(text) => text,
        }
    }

    /// The path of a file.
    pub(super) fn file(&self) -> Option<&CommandText> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Value(_) => None,
        }
    }
}
