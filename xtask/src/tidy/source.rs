//! How source files look: one noun each, small, named for a job, without banners, and nothing left
//! undone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

/// Beyond this many lines, look for the second noun in the file.
const MAX_LINES: usize = 800;

/// Files that are over [`MAX_LINES`] and how long each may be. Lower a number when its file
/// shrinks; raise none.
const LARGE: &[(&str, usize)] = &[];

/// Endings that say what a thing is in general instead of what it is for.
const JOBLESS: &[&str] = &["manager", "helper", "helpers", "util", "utils", "misc"];

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask/src"] {
        collect(&workspace.root.join(folder), &["rs"], &mut files)?;
    }
    files.sort();
    let mut breaches = Vec::new();
    for file in files {
        let path = file
            .strip_prefix(&workspace.root)
            .unwrap_or(&file)
            .to_string_lossy()
            .replace('\\', "/");
        // These files spell out what they forbid.
        if !path.starts_with("xtask/src/tidy/") {
            let text = fs::read_to_string(&file)
                .map_err(|error| format!("cannot read {path}: {error}"))?;
            breaches.extend(in_file(&path, &text));
        }
    }
    Ok(breaches)
}

/// Adds the files below a folder that end in one of the extensions.
pub(super) fn collect(
    folder: &Path,
    extensions: &[&str],
    files: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let problem = |error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, extensions, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|found| extensions.iter().any(|extension| found == *extension))
        {
            files.push(path);
        }
    }
    Ok(())
}

fn in_file(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    breaches.extend(length(path, text.lines().count()));
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if is_jobless(stem) {
        breaches
            .push(format!("{path}: the file name says no job; name it for the noun that it holds"));
    }
    let mut testing = path.contains("/tests/");
    for (index, line) in text.lines().enumerate() {
        // Tests stand at the end of a file, so everything below the attribute is one.
        testing |= line.trim() == "#[cfg(test)]";
        if let Some(breach) = in_line(line, testing) {
            breaches.push(format!("{path}:{}: {breach}", index + 1));
        }
    }
    breaches
}

fn length(path: &str, lines: usize) -> Option<String> {
    let listed = LARGE.iter().find(|(large, _)| *large == path).map(|(_, allowed)| *allowed);
    match listed {
        None if path.contains("/src/") && lines > MAX_LINES => Some(format!(
            "{path}: {lines} lines, more than {MAX_LINES}; look for the second noun in it and give that a file"
        )),
        Some(allowed) if lines > allowed => Some(format!(
            "{path}: grew to {lines} lines, more than the {allowed} it may have; move something out"
        )),
        Some(allowed) if lines < allowed => Some(format!(
            "{path}: shrank to {lines} lines; write that instead of {allowed} in LARGE of xtask/src/tidy/source.rs, or drop the row if it is \
             {MAX_LINES} or less"
        )),
        _ => None,
    }
}

fn in_line(line: &str, testing: bool) -> Option<String> {
    let line = line.trim();
    if line.starts_with("//") {
        let rule = line.trim_start_matches(['/', '!', ' ']);
        let drawn = rule.chars().take_while(|c| "=-*#~_─━═".contains(*c)).count();
        return (drawn >= 4).then(|| "a banner; let a module or a type do the dividing".to_owned());
    }
    if let Some(name) = declared(line).filter(|name| is_jobless(name)) {
        return Some(format!(
            "`{name}` says no job; name it for what it does, or put its code where it is used"
        ));
    }
    if line.starts_with("#[ignore") {
        return Some("an ignored test; fix it or remove it".to_owned());
    }
    for unfinished in ["todo!", "unimplemented!"] {
        if line.contains(unfinished) {
            return Some(format!(
                "`{unfinished}`; finish it, or refuse the case with a typed error"
            ));
        }
    }
    let slept = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if testing
        && ["sleep(", "sleep_until(", "sleep_ms("]
            .iter()
            .any(|call| line.match_indices(call).any(|(at, _)| slept(at)))
    {
        return Some(
            "a test that sleeps; wait for the event itself, or hand in the time".to_owned(),
        );
    }
    None
}

/// The name that a line declares, if it declares a type, a module or a function.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.find(|word| ["struct", "enum", "trait", "type", "mod", "fn"].contains(word))?;
    words.next()?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// Whether the last word of a name in either case style is one of the jobless.
fn is_jobless(name: &str) -> bool {
    let last_word =
        name.rfind(|c: char| c.is_uppercase() || c == '_').map_or(name, |at| &name[at..]);
    JOBLESS.contains(&last_word.trim_start_matches('_').to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_keeps_the_rules_has_no_breach() {
        let text = "//! One noun.\n\n/// Manages nothing.\npub struct Ledger;\n\nuse tokio_util::sync::CancellationToken;\n\
                    fn back_off() { tokio::time::sleep(PAUSE) }\n";
        assert_eq!(in_file("crates/engine/src/ledger.rs", text), Vec::<String>::new());
    }

    #[test]
    fn every_breach_is_named_with_its_line() {
        let text = "// ---------- types ----------\npub struct StoreManager;\nfn f() { todo!() }\n#[cfg(test)]\nmod tests {\n    #[ignore]\n    \
                    fn g() { std::thread::sleep(PAUSE) }\n    fn asleep() { oversleep() }\n}\n";
        let expected = [
            "crates/core/src/string_utils.rs: the file name says no job; name it for the noun that it holds",
            "crates/core/src/string_utils.rs:1: a banner; let a module or a type do the dividing",
            "crates/core/src/string_utils.rs:2: `StoreManager` says no job; name it for what it does, or put its code where it is used",
            "crates/core/src/string_utils.rs:3: `todo!`; finish it, or refuse the case with a typed error",
            "crates/core/src/string_utils.rs:6: an ignored test; fix it or remove it",
            "crates/core/src/string_utils.rs:7: a test that sleeps; wait for the event itself, or hand in the time",
        ];
        assert_eq!(in_file("crates/core/src/string_utils.rs", text), expected);
    }

    #[test]
    fn a_file_over_the_limit_is_refused_in_src_and_not_in_tests() {
        let text = "\n".repeat(MAX_LINES + 1);
        let expected = "crates/core/src/a.rs: 801 lines, more than 800; look for the second noun in it and give that a file";
        assert_eq!(in_file("crates/core/src/a.rs", &text), [expected]);
        assert_eq!(in_file("crates/core/tests/a.rs", &text), Vec::<String>::new());
    }

    #[test]
    fn only_the_last_word_of_a_name_is_judged() {
        for jobless in ["Helper", "SessionHelper", "utils", "string_util", "misc"] {
            assert!(is_jobless(jobless), "{jobless}");
        }
        for named in ["Utilisation", "helper_of_last_resort", "ManagerSeat", "mutil"] {
            assert!(!is_jobless(named), "{named}");
        }
    }
}
