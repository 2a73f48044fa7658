//! `output:`: the outputs of an item, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::check_part_name;
use super::process_text;
use crate::plan::mapping::ValueKind;
use crate::plan::resolve::{CellResolver, PIECE_WEIGHT};
use crate::plan::text::{Diagnostics, Node, Spanned, Template, Yaml};

pub(super) const OUTPUT: ValueKind =
    ValueKind::Either(&[ValueKind::List(&ValueKind::Text), ValueKind::Names(&ValueKind::Template)]);

/// Where a part of an item's output comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputSource {
    /// A file that must be there when the session ends; its absolute path is the value.
    File(PathBuf),
    /// A name that the `output` of the result file must hold.
    Result,
}

/// Why a session that ended well lacks a declared output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MissingOutput {
    /// A file is not there.
    #[error("the output {name:?} is missing: there is no file {}", path.display())]
    NoFile { name: String, path: PathBuf },
    /// The result file does not hold a name.
    #[error("the output {name:?} is missing from the `output` of the result file")]
    NotInResult { name: String },
}

#[derive(Debug, Default)]
pub(super) enum OutputAst {
    #[default]
    Any,
    /// Names in the result file.
    Names(BTreeSet<String>),
    Files(BTreeMap<String, Spanned<Template>>),
}

impl OutputAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Self {
        match &node.value {
            Yaml::List(entries) => {
                let mut names = BTreeSet::new();
                for name in
                    entries.iter().filter_map(|entry| diagnostics.text(entry)).collect::<Vec<_>>()
                {
                    if check_part_name("an output", &name, diagnostics).is_some() {
                        names.insert(name.value);
                    }
                }
                Self::Names(names)
            }
            Yaml::Map(entries) => {
                let mut files = BTreeMap::new();
                for (name, value) in entries {
                    if let Some(path) = check_part_name("an output", name, diagnostics)
                        .and_then(|()| process_text::template(value, diagnostics))
                    {
                        files.insert(name.value.clone(), path);
                    }
                }
                Self::Files(files)
            }
            _ => {
                diagnostics.wrong_type(node, "a list of names, or a mapping from names to files");
                Self::Any
            }
        }
    }

    /// The names, if they are known.
    pub(super) fn names(&self) -> Option<BTreeSet<&str>> {
        match self {
            Self::Any => None,
            Self::Names(names) => Some(names.iter().map(String::as_str).collect()),
            Self::Files(files) => Some(files.keys().map(String::as_str).collect()),
        }
    }

    /// `None` once the plan has grown too large.
    pub(super) fn resolve(
        &self,
        resolver: &mut CellResolver<'_, '_, '_>,
    ) -> Option<BTreeMap<String, OutputSource>> {
        if !resolver.weigh(self.names().map_or(0, |names| names.len() * PIECE_WEIGHT)) {
            return None;
        }
        Some(match self {
            Self::Any => BTreeMap::new(),
            Self::Names(names) => {
                names.iter().map(|name| (name.clone(), OutputSource::Result)).collect()
            }
            Self::Files(files) => files
                .iter()
                .map(|(name, path)| {
                    let path = resolver.name(&path.value).unwrap_or_default();
                    (name.clone(), OutputSource::File(resolver.absolute(&path)))
                })
                .collect(),
        })
    }
}

impl OutputSource {
    /// The path of a file.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Result => None,
        }
    }
}

/// The output of a session that ended well, as JSON bytes; `result` is the `output` of its result
/// file.
pub(super) fn session_output(
    outputs: &BTreeMap<String, OutputSource>,
    result: Option<&Value>,
    exists: impl Fn(&Path) -> bool,
) -> Result<Option<Vec<u8>>, MissingOutput> {
    if outputs.is_empty() {
        return Ok(result.map(|value| value.to_string().into_bytes()));
    }
    let mut all = match result {
        Some(Value::Object(fields)) => fields.clone(),
        _ => serde_json::Map::new(),
    };
    for (name, source) in outputs {
        match source {
            OutputSource::File(path) if !exists(path) => {
                return Err(MissingOutput::NoFile { name: name.clone(), path: path.clone() });
            }
            OutputSource::File(path) => {
                all.insert(name.clone(), path.to_string_lossy().into());
            }
            OutputSource::Result if !all.contains_key(name) => {
                return Err(MissingOutput::NotInResult { name: name.clone() });
            }
            OutputSource::Result => {}
        }
    }
    Ok(Some(Value::Object(all).to_string().into_bytes()))
}
