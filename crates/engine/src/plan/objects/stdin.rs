//! `stdin:`: what a session reads from standard input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use antiphon_core::id::WorkId;
use serde::{Deserialize, Serialize};

use super::process_text;
use crate::plan::mapping::{Fields, Object, ValueKind, required};
use crate::plan::resolve::{CellResolver, CommandText, RenderError, STANDARD_INPUT, TextScope};
use crate::plan::text::{Diagnostics, Node, Span, Spanned, Template, Yaml};

pub(super) const STDIN: ValueKind =
    ValueKind::Either(&[ValueKind::Template, ValueKind::Of(&STDIN_FILE)]);

pub(super) static STDIN_FILE: Object = Object {
    name: "stdin_file",
    what: "standard input",
    keys: &[required(
        "file",
        ValueKind::Template,
        "file: prompt.md",
        "A file to read standard input from.",
    )],
    later: &[],
    open: false,
};

/// Where standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum StdinSource {
    Text(CommandText),
    File(CommandText),
}

/// Standard input with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RenderedStdin {
    Text(String),
    /// A file, by its absolute path.
    File(PathBuf),
}

#[derive(Debug, Clone)]
pub(super) struct StdinAst(Spanned<StdinText>);

#[derive(Debug, Clone)]
enum StdinText {
    Text(Template),
    File(Template),
}

impl StdinAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if !matches!(node.value, Yaml::Map(_)) {
            let text = process_text::template(node, diagnostics)?;
            return Some(Self(Spanned::new(StdinText::Text(text.value), text.span)));
        }
        let fields = Fields::read(node, &STDIN_FILE, diagnostics)?;
        let path = process_text::template(fields.get("file")?, diagnostics)?;
        Some(Self(Spanned::new(StdinText::File(path.value), path.span)))
    }

    /// The text of it that may hold placeholders.
    pub(super) fn template(&self) -> &Template {
        match &self.0.value {
            StdinText::Text(template) | StdinText::File(template) => template,
        }
    }

    pub(super) fn span(&self) -> Span {
        self.0.span
    }

    pub(super) fn resolve(
        &self,
        scope: TextScope,
        resolver: &mut CellResolver<'_, '_, '_>,
    ) -> StdinSource {
        match &self.0.value {
            StdinText::Text(text) => StdinSource::Text(resolver.text(text, scope)),
            StdinText::File(path) => StdinSource::File(resolver.text(path, scope)),
        }
    }
}

impl StdinSource {
    /// Whether outputs of items are part of what is read.
    pub(super) fn is_made_of_outputs(&self) -> bool {
        matches!(self, Self::Text(text) if text.outputs().next().is_some())
    }

    /// The text or the path.
    pub(super) fn text(&self) -> &CommandText {
        match self {
            Self::Text(text) | Self::File(text) => text,
        }
    }

    /// With outputs filled in; paths start from `dir`.
    pub(super) fn render(
        &self,
        dir: &Path,
        outputs: &BTreeMap<WorkId, Vec<u8>>,
    ) -> Result<RenderedStdin, RenderError> {
        Ok(match self {
            Self::Text(text) => RenderedStdin::Text(text.render_within(outputs, &STANDARD_INPUT)?),
            Self::File(path) => RenderedStdin::File(dir.join(path.render(outputs)?)),
        })
    }

    /// The path of a file.
    pub(super) fn file(&self) -> Option<&CommandText> {
        match self {
            Self::File(path) => Some(path),
            Self::Text(_) => None,
        }
    }
}
