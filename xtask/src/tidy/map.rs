//! A reader finds the way by folders: the module of each folder begins with a sentence that says
//! what it owns, and ARCHITECTURE.md, which has to stay short, names no path that is gone.

use std::fs;
use std::path::Path;

use crate::workspace::Workspace;

/// What a newcomer reads before the first change.
const MAX_WORDS: usize = 1_800;

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let text = read(&workspace.root.join("ARCHITECTURE.md"))?;
    let mut breaches = in_page(&text, |path| workspace.root.join(path).exists());
    let mut files = Vec::new();
    super::source::collect(&workspace.root.join("crates"), &["rs"], &mut files)?;
    files.sort();
    let of_folders = files.iter().filter(|file| {
        file.components().any(|part| part.as_os_str() == "src")
            && (file.with_extension("").is_dir() || file.ends_with("src/lib.rs"))
    });
    for file in of_folders {
        if !begins_with_a_sentence(&read(file)?) {
            breaches.push(format!(
                "{}: begin it with a `//!` sentence on what the folder owns",
                file.strip_prefix(&workspace.root).unwrap_or(file).display()
            ));
        }
    }
    Ok(breaches)
}

fn in_page(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let words = text.split_whitespace().count();
    let long = (words > MAX_WORDS).then(|| {
        format!(
            "ARCHITECTURE.md has {words} words, more than {MAX_WORDS}; reasons belong in \
             docs/decisions.md, details in the module that they are about"
        )
    });
    let named = text.split('`').skip(1).step_by(2);
    let stale = named
        .filter(|name| ["crates/", "docs/", "xtask/"].iter().any(|root| name.starts_with(root)))
        .filter(|path| !exists(path))
        .map(|path| format!("ARCHITECTURE.md names `{path}`, which is not there"));
    long.into_iter().chain(stale).collect()
}

fn begins_with_a_sentence(text: &str) -> bool {
    let page = text.lines().take_while(|line| line.starts_with("//!"));
    let paragraph: Vec<&str> = page.take_while(|line| *line != "//!").collect();
    paragraph.last().is_some_and(|line| line.ends_with(['.', ':', '|']))
        && paragraph.iter().map(|line| line.split_whitespace().count()).sum::<usize>() > 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_long_or_names_what_is_gone_is_refused() {
        let text = format!("{} `crates/core/src/gone.rs` `crates/core`\n", "word ".repeat(1_800));
        let expected = [
            "ARCHITECTURE.md has 1802 words, more than 1800; reasons belong in docs/decisions.md, \
             details in the module that they are about",
            "ARCHITECTURE.md names `crates/core/src/gone.rs`, which is not there",
        ];
        assert_eq!(in_page(&text, |path| path == "crates/core"), expected);
    }

    #[test]
    fn a_folder_begins_with_a_whole_sentence() {
        assert!(begins_with_a_sentence("//! Everything that can happen to a run.\n\nmod a;\n"));
        assert!(begins_with_a_sentence("//! Two lines that\n//! say it.\n//!\n//! More\n"));
        assert!(!begins_with_a_sentence("//! Events.\n"));
        assert!(!begins_with_a_sentence("mod a;\n"));
    }
}
