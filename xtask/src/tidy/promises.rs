//! Two phrases promise more than anything can keep, so nothing here says them: not the code, not
//! the documents.

use std::fs;
use std::path::Path;

use super::source;
use crate::workspace::Workspace;

/// A phrase and what is true instead.
const OVERSTATED: &[(&str, &str)] = &[
    (
        "exactly once",
        "effects are recorded once; side effects happen at least once unless they take the fence",
    ),
    (
        "exactly-once",
        "effects are recorded once; side effects happen at least once unless they take the fence",
    ),
    (
        "tamper-proof",
        "the record is tamper-evident, to whoever holds an earlier receipt or checkpoint",
    ),
    (
        "tamperproof",
        "the record is tamper-evident, to whoever holds an earlier receipt or checkpoint",
    ),
];

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for folder in ["crates", "docs", "xtask/src/steps"] {
        source::collect(&workspace.root.join(folder), &["rs", "md"], &mut files)?;
    }
    let problem = |error| format!("cannot read {}: {error}", workspace.root.display());
    for entry in fs::read_dir(&workspace.root).map_err(problem)? {
        files.push(entry.map_err(problem)?.path());
    }
    files.retain(|file| {
        ["rs", "md"]
            .iter()
            .any(|extension| file.extension().is_some_and(|found| found == *extension))
    });
    files.sort();
    let mut breaches = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        breaches.extend(in_text(file.strip_prefix(&workspace.root).unwrap_or(&file), &text));
    }
    Ok(breaches)
}

fn in_text(path: &Path, text: &str) -> Vec<String> {
    // A phrase may be broken across lines of prose or of a comment.
    let mut flat = String::new();
    let mut starts = Vec::new();
    for line in text.lines() {
        starts.push(flat.len());
        flat += line.trim_start_matches(['/', '!', ' ', '#', '>', '-', '*', '|']).trim_end();
        flat.push(' ');
    }
    let flat = flat.to_ascii_lowercase();
    let mut breaches = Vec::new();
    for (phrase, instead) in OVERSTATED {
        for (at, _) in flat.match_indices(phrase) {
            let line = starts.partition_point(|start| *start <= at);
            breaches.push(format!(
                "{}:{line}: \"{phrase}\" is more than anything keeps; say what is true: {instead}",
                path.display()
            ));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overstatement_is_found_across_a_line_break() {
        let text = "One.\n/// Every effect happens Exactly\n/// once, and once is enough.\n";
        let expected = "a.rs:2: \"exactly once\" is more than anything keeps; say what is true: effects are recorded once; side effects \
                        happen at least once unless they take the fence";
        assert_eq!(in_text(Path::new("a.rs"), text), [expected]);
        assert_eq!(
            in_text(Path::new("a.rs"), "exactly one terminal event, at least once"),
            Vec::<String>::new()
        );
    }
}
