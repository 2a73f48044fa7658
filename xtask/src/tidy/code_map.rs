//! The code map in ARCHITECTURE.md: every module down to the second level has its place in it, and
//! no place outlives its module.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::workspace::Workspace;

/// The crates with a table, by their folder in `crates`.
const CRATES: &[&str] = &["core", "engine", "server", "cli"];

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let path = workspace.root.join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut breaches = Vec::new();
    for name in CRATES {
        let source = workspace.root.join("crates").join(name).join("src");
        let mut modules = BTreeSet::new();
        collect(&source, "", &mut modules)?;
        breaches.extend(
            compare(&modules, &places(&text, name))
                .into_iter()
                .map(|breach| format!("crates/{name}: {breach}")),
        );
    }
    Ok(breaches)
}

/// The modules in a folder, each with its path from `src`; tests are left out.
fn collect(folder: &Path, below: &str, modules: &mut BTreeSet<String>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let file = entry.file_name().to_string_lossy().into_owned();
        match file.strip_suffix(".rs") {
            Some("lib" | "main" | "tests") => {}
            Some(module) => drop(modules.insert(format!("{below}{module}"))),
            None if entry.path().is_dir() => {
                collect(&entry.path(), &format!("{below}{file}/"), modules)?
            }
            None => {}
        }
    }
    Ok(())
}

/// What the table of a crate names in its first column. In a row, a name without a path stands
/// beside the one before it.
fn places(text: &str, name: &str) -> BTreeSet<String> {
    let heading = format!("### `crates/{name}`");
    let section = text
        .lines()
        .skip_while(|line| !line.starts_with(&heading))
        .skip(1)
        .take_while(|line| !line.starts_with('#'));
    let mut places = BTreeSet::new();
    for row in section
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(names, _)| names)
    {
        let mut beside = "";
        for name in row.split('`').step_by(2) {
            beside = name.rfind('/').map_or(beside, |end| &name[..=end]);
            places.insert(if name.contains('/') {
                name.to_owned()
            } else {
                format!("{beside}{name}")
            });
        }
    }
    places
}

fn compare(modules: &BTreeSet<String>, places: &BTreeSet<String>) -> Vec<String> {
    // A place that ends in `/*` is that of a module and of all below it.
    let is_in = |place: &str, module: &str| match place.strip_suffix("/*") {
        Some(all) => {
            module == all || module.strip_prefix(all).is_some_and(|rest| rest.starts_with('/'))
        }
        None => place == module,
    };
    let upper = modules.iter().filter(|module| module.matches('/').count() < 2);
    let missing = upper.filter(|module| !places.iter().any(|place| is_in(place, module)));
    let missing = missing.map(|module| {
        format!("`{module}` is not in the code map; add it to a row of ARCHITECTURE.md")
    });
    let stale = places.iter().filter(|place| !modules.iter().any(|module| is_in(place, module)));
    let stale =
        stale.map(|place| format!("`{place}` is in the code map of ARCHITECTURE.md, but there is no such module; remove it"));
    missing.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_stale_module_are_both_named() {
        let text = "### `crates/core` (`core`): decides\n\n| module | holds |\n|---|---|\n| `id` | x |\n| `world/turn`, `gone`, `world/turn/gone` | `x` |\n\
                    | `routes/*` | x |\n\n### `crates/cli`\n| `other` | x |\n";
        let modules = ["id", "world", "world/turn", "world/turn/part", "routes", "routes/why"]
            .map(str::to_owned)
            .into();
        let expected = [
            "`world` is not in the code map; add it to a row of ARCHITECTURE.md",
            "`world/gone` is in the code map of ARCHITECTURE.md, but there is no such module; remove it",
            "`world/turn/gone` is in the code map of ARCHITECTURE.md, but there is no such module; remove it",
        ];
        assert_eq!(compare(&modules, &places(text, "core")), expected);
    }
}
