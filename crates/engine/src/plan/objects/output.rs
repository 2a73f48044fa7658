//! `output:`: the outputs of an item, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::check_part_name;
use super::process_text;
use crate::output_files::Declared;
use crate::plan::mapping::{Fields, Object, ValueKind, key, required};
use crate::plan::resolve::{CellResolver, PIECE_WEIGHT};
use crate::plan::text::{Diagnostics, Node, Spanned, Template, Yaml};

pub(super) const OUTPUT: ValueKind = ValueKind::Either(&[
    ValueKind::List(&ValueKind::Text),
    ValueKind::Names(&ValueKind::Either(&[ValueKind::Template, ValueKind::Of(&OUTPUT_FILE)])),
]);

pub(super) static OUTPUT_FILE: Object = Object {
    name: "output_file",
    what: "an output file",
    keys: &[
        required(
            "file",
            ValueKind::Template,
            "file: out/model.bin",
            "The file. What was there before the session and was not written by it is told.",
        ),
        key(
            "fresh",
            ValueKind::Flag,
            "fresh: true",
            "Whether a file that was there before and was not written is a failure. A directory \
            may stay as it was.",
        ),
        key(
            "hash",
            ValueKind::Flag,
            "hash: true",
            "Whether its content is recorded although it has more than 1 GiB. Without it, \
            `antiphon retry` tells such a file by its size and times.",
        ),
    ],
    later: &[],
    open: false,
};

/// Where a part of an item's output comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputSource {
    /// A file that must be there when the session ends; its absolute path is the value.
    File(PathBuf),
    /// The same with more to it.
    #[expect(missing_docs, reason = "the fields' names say it")]
    FileWith {
        path: PathBuf,
        /// Whether one that was there before and was not written is a failure.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fresh: bool,
        /// Whether its content is recorded whatever its size.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hash: bool,
    },
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
    /// A file that has to be written was there before, and is as it was.
    #[error(
        "the output {name:?} was not written: {} was there before the session and is as it was",
        path.display()
    )]
    NotWritten { name: String, path: PathBuf },
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
    Files(BTreeMap<String, FileAst>),
}

/// A file as it is written.
#[derive(Debug)]
pub(super) struct FileAst {
    path: Spanned<Template>,
    fresh: bool,
    hash: bool,
}

impl FileAst {
    fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if !matches!(node.value, Yaml::Map(_)) {
            let path = process_text::template(node, diagnostics)?;
            return Some(Self { path, fresh: false, hash: false });
        }
        let fields = Fields::read(node, &OUTPUT_FILE, diagnostics)?;
        let path = process_text::template(fields.get("file")?, diagnostics)?;
        let mut flag = |name| fields.get(name).and_then(|node| diagnostics.flag(node));
        let (fresh, hash) = (flag("fresh"), flag("hash"));
        Some(Self { path, fresh: fresh.unwrap_or(false), hash: hash.unwrap_or(false) })
    }
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
                    if let Some(file) = check_part_name("an output", name, diagnostics)
                        .and_then(|()| FileAst::read(value, diagnostics))
                    {
                        files.insert(name.value.clone(), file);
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
                .map(|(name, file)| {
                    let path = resolver.name(&file.path.value).unwrap_or_default();
                    let path = resolver.absolute(&path);
                    let source = match file {
                        FileAst { fresh: false, hash: false, .. } => OutputSource::File(path),
                        FileAst { fresh, hash, .. } => {
                            OutputSource::FileWith { path, fresh: *fresh, hash: *hash }
                        }
                    };
                    (name.clone(), source)
                })
                .collect(),
        })
    }
}

impl OutputSource {
    /// The path of a file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.declared("").map(|declared| declared.path)
    }

    /// A file under its name.
    pub(super) fn declared<'a>(&'a self, name: &'a str) -> Option<Declared<'a>> {
        match self {
            Self::File(path) => Some(Declared::new(name, path)),
            Self::FileWith { path, fresh, hash } => {
                let declared = Declared::new(name, path).to_be_written(*fresh);
                Some(declared.read_at_any_size(*hash))
            }
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
        match source.file() {
            Some(path) if !exists(path) => {
                return Err(MissingOutput::NoFile { name: name.clone(), path: path.to_owned() });
            }
            Some(path) => {
                all.insert(name.clone(), path.to_string_lossy().into());
            }
            None if !all.contains_key(name) => {
                return Err(MissingOutput::NotInResult { name: name.clone() });
            }
            None => {}
        }
    }
    Ok(Some(Value::Object(all).to_string().into_bytes()))
}
