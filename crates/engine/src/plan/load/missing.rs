//! Files that a plan names and that are not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::plan::objects::Step;
use crate::plan::text::{DiagnosticCode, Diagnostics};

/// How many files of a directory are searched for a similar name.
const LOOKED_THROUGH: usize = 1_000;

/// Reports input files that are neither there nor made by an item of the plan.
pub(super) fn refuse_missing_inputs(steps: &[Step], dir: &Path, diagnostics: &mut Diagnostics<'_>) {
    let commands = || steps.iter().flat_map(Step::commands);
    let made: BTreeSet<&Path> = commands().flat_map(|command| command.made_files()).collect();
    let mut looked_at: BTreeMap<PathBuf, bool> = BTreeMap::new();
    for (text, span) in commands().flat_map(|command| command.read_files()) {
        let Some(path) = text.as_known().map(|path| dir.join(path)) else { continue };
        if made.contains(path.as_path()) || diagnostics.is_full() {
            continue;
        }
        // Thousands of cells may read the same file.
        let is_there = *looked_at.entry(path.clone()).or_insert_with(|| path.exists());
        if is_there {
            continue;
        }
        let shown = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
        let hint = similar_file(&path, diagnostics).unwrap_or_else(|| {
            "paths start from the plan's directory; list a file that an item creates in its \
            `output`"
                .to_owned()
        });
        diagnostics
            .error(DiagnosticCode::MissingFile, span, format!("there is no file {shown}"))
            .hint(hint);
    }
}

/// Suggests a file in the same directory with a similar name.
pub(super) fn similar_file(path: &Path, diagnostics: &mut Diagnostics<'_>) -> Option<String> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let entries = fs::read_dir(dir.unwrap_or(Path::new("."))).ok()?.take(LOOKED_THROUGH).flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    diagnostics.suggestion(&path.file_name()?.to_string_lossy(), names.iter().map(String::as_str))
}
