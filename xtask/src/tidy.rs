//! The rules of this repository that a machine can check. Each gives a list of breaches, and every
//! breach says how to fix it.
//!
//! They run as a step of the gate and, one by one, as tests.

mod cycles;
mod dependencies;
mod edges;
mod fields;
mod manifest;
mod map;
mod modules;
mod promises;
mod purity;
mod source;

use crate::workspace::Workspace;

/// A rule: its name as a sentence and what finds its breaches.
struct Rule {
    name: &'static str,
    breaches: fn(&Workspace) -> Result<Vec<String>, String>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "crates depend only on what their place in the design allows",
        breaches: edges::breaches,
    },
    Rule { name: "the core builds on nothing that could do I/O", breaches: purity::breaches },
    Rule {
        name: "source files are small, named for what they are, and finished",
        breaches: source::breaches,
    },
    Rule {
        name: "every crate takes version, edition and lints from the workspace",
        breaches: manifest::breaches,
    },
    Rule { name: "no module depends on one that depends on it", breaches: cycles::breaches },
    Rule {
        name: "no field that a part shares is written from another file",
        breaches: fields::breaches,
    },
    Rule { name: "nothing is promised that cannot be kept", breaches: promises::breaches },
    Rule { name: "every dependency says why it is there", breaches: dependencies::breaches },
    Rule {
        name: "folders say what they own, and the page that maps them is short and true",
        breaches: map::breaches,
    },
];

/// Checks all rules and lists every breach.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let mut text = String::new();
    for rule in RULES {
        let breaches = (rule.breaches)(workspace)?;
        if !breaches.is_empty() {
            text += &format!("rule: {}\n  {}\n", rule.name, breaches.join("\n  "));
        }
    }
    if text.is_empty() { Ok(()) } else { Err(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches_here(
        breaches: fn(&Workspace) -> Result<Vec<String>, String>,
    ) -> Result<Vec<String>, String> {
        breaches(&Workspace::load()?)
    }

    #[test]
    fn crates_depend_only_on_what_their_place_allows() {
        assert_eq!(breaches_here(edges::breaches), Ok(vec![]));
    }

    #[test]
    fn the_core_builds_on_nothing_that_could_do_io() {
        assert_eq!(breaches_here(purity::breaches), Ok(vec![]));
    }

    #[test]
    fn source_files_are_small_named_and_finished() {
        assert_eq!(breaches_here(source::breaches), Ok(vec![]));
    }

    #[test]
    fn every_crate_takes_version_and_lints_from_the_workspace() {
        assert_eq!(breaches_here(manifest::breaches), Ok(vec![]));
    }

    #[test]
    fn no_module_depends_on_one_that_depends_on_it() {
        assert_eq!(breaches_here(cycles::breaches), Ok(vec![]));
    }

    #[test]
    fn no_shared_field_is_written_from_another_file() {
        assert_eq!(breaches_here(fields::breaches), Ok(vec![]));
    }

    #[test]
    fn nothing_is_promised_that_cannot_be_kept() {
        assert_eq!(breaches_here(promises::breaches), Ok(vec![]));
    }

    #[test]
    fn every_dependency_says_why_it_is_there() {
        assert_eq!(breaches_here(dependencies::breaches), Ok(vec![]));
    }

    #[test]
    fn folders_say_what_they_own_and_the_map_is_short() {
        assert_eq!(breaches_here(map::breaches), Ok(vec![]));
    }
}
