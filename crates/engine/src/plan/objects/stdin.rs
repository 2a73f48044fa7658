//! `stdin:`: what a session reads from standard input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use antiphon_core::id::WorkId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::process_text;
use crate::hex::{hex, unhex};
use crate::outside;
use crate::plan::caller::CallerValues;
use crate::plan::mapping::{Fields, Object, ValueKind, key, required};
use crate::plan::resolve::{CellResolver, CommandText, RenderError, STANDARD_INPUT, TextScope};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Span, Spanned, Template, Yaml};

pub(super) const STDIN: ValueKind =
    ValueKind::Either(&[ValueKind::Template, ValueKind::Of(&STDIN_FILE)]);

pub(super) static STDIN_FILE: Object = Object {
    name: "stdin_file",
    what: "standard input",
    keys: &[
        required(
            "file",
            ValueKind::Template,
            "file: prompt.md",
            "A file to read standard input from.",
        ),
        key(
            "keep",
            ValueKind::Flag,
            "keep: true",
            "Whether its content, up to 16 MiB, is recorded when the plan is submitted, for every attempt \
        and retry. Without it, a session reads the file when it starts, up to 64 MiB.",
        ),
    ],
    later: &[],
    open: false,
};

/// Most bytes of a file that are recorded with a plan.
const MAX_KEPT: u64 = 16 << 20;

/// Where standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum StdinSource {
    Text(CommandText),
    File(CommandText),
    Kept(KeptStdin),
}

/// What a file held when its plan was submitted; recorded in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStdin(Vec<u8>);

impl KeptStdin {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for KeptStdin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeptStdin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = unhex(&text);
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("it is no hexadecimal text"))
    }
}

/// Standard input with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RenderedStdin {
    Text(String),
    /// A file, by its absolute path.
    File(PathBuf),
    Kept(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(super) struct StdinAst(Spanned<StdinText>);

#[derive(Debug, Clone)]
enum StdinText {
    Text(Template),
    File { path: Template, keep: bool },
}

/// Standard input as the plan gives it to an item.
#[derive(Debug, Clone)]
pub(super) struct ResolvedStdin {
    source: StdinSource,
    keep: bool,
    span: Span,
}

impl StdinAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if !matches!(node.value, Yaml::Map(_)) {
            let text = process_text::template(node, diagnostics)?;
            return Some(Self(Spanned::new(StdinText::Text(text.value), text.span)));
        }
        let fields = Fields::read(node, &STDIN_FILE, diagnostics)?;
        let path = process_text::template(fields.get("file")?, diagnostics)?;
        let keep = fields.get("keep").and_then(|node| diagnostics.flag(node)).unwrap_or(false);
        Some(Self(Spanned::new(StdinText::File { path: path.value, keep }, path.span)))
    }

    /// The text of it that may hold placeholders.
    pub(super) fn template(&self) -> &Template {
        match &self.0.value {
            StdinText::Text(template) | StdinText::File { path: template, .. } => template,
        }
    }

    pub(super) fn resolve(
        &self,
        scope: TextScope,
        resolver: &mut CellResolver<'_, '_, '_>,
    ) -> ResolvedStdin {
        let (source, keep) = match &self.0.value {
            StdinText::Text(text) => (StdinSource::Text(resolver.text(text, scope)), false),
            StdinText::File { path, keep } => {
                (StdinSource::File(resolver.text(path, scope)), *keep)
            }
        };
        ResolvedStdin { source, keep, span: self.0.span }
    }
}

impl ResolvedStdin {
    pub(super) fn source(&self) -> &StdinSource {
        &self.source
    }

    /// The path of a file, with where it is written.
    pub(super) fn file(&self) -> Option<(&CommandText, Span)> {
        match &self.source {
            StdinSource::File(path) => Some((path, self.span)),
            _ => None,
        }
    }

    /// The same as it is recorded; a file that is to be kept and cannot be is reported.
    pub(super) fn record(
        &self,
        dir: &Path,
        caller: &CallerValues<'_>,
        diagnostics: &mut Diagnostics<'_>,
    ) -> StdinSource {
        let StdinSource::File(path) = &self.source else { return self.source.clone() };
        if !self.keep || !caller.is_known() {
            return self.source.clone();
        }
        let read = match path.as_known() {
            Some(known) => outside::read(&dir.join(known), MAX_KEPT)
                .map_err(|error| format!("the file {known} cannot be kept: {error}")),
            None => {
                Err("a file that is named by an output cannot be kept: it is not there yet".into())
            }
        };
        match read {
            Ok(bytes) => StdinSource::Kept(KeptStdin(bytes)),
            Err(message) => {
                diagnostics
                    .error(DiagnosticCode::Unreadable, self.span, message)
                    .hint("without `keep`, a session reads up to 64 MiB of it when it starts");
                self.source.clone()
            }
        }
    }
}

impl StdinSource {
    /// Whether outputs of items are part of what is read.
    pub(super) fn is_made_of_outputs(&self) -> bool {
        matches!(self, Self::Text(text) if text.outputs().next().is_some())
    }

    /// The text or the path.
    pub(super) fn text(&self) -> Option<&CommandText> {
        match self {
            Self::Text(text) | Self::File(text) => Some(text),
            Self::Kept(_) => None,
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
            Self::Kept(kept) => RenderedStdin::Kept(kept.0.clone()),
        })
    }
}
