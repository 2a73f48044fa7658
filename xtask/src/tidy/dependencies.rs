//! Every dependency earns its place: the comment above its line in the workspace's manifest says
//! why it is there, and none outlives its last user.

use std::collections::BTreeSet;
use std::fs;

use crate::workspace::Workspace;

/// The section of the workspace's manifest that lists them.
const SECTION: &str = "[workspace.dependencies]";

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let path = workspace.root.join("Cargo.toml");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let ours: BTreeSet<&str> =
        workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let all = workspace.packages.iter().flat_map(|package| &package.dependencies);
    let used = all.map(|dependency| dependency.name.as_str()).collect();
    Ok(in_manifest(&text, &ours, &used))
}

fn in_manifest(text: &str, ours: &BTreeSet<&str>, used: &BTreeSet<&str>) -> Vec<String> {
    let lines = text.lines().skip_while(|line| *line != SECTION).skip(1);
    let mut breaches = Vec::new();
    let mut before = "";
    for line in lines.take_while(|line| !line.starts_with('[')) {
        if let Some(name) = line.split([' ', '=', '.']).next().filter(|_| line.contains('=')) {
            if !ours.contains(name) && !before.starts_with("# ") {
                breaches.push(format!(
                    "Cargo.toml does not say why `{name}` is there; add a comment above its line"
                ));
            }
            if !used.contains(name) {
                breaches.push(format!("Cargo.toml: no crate uses `{name}`; remove its line"));
            }
        }
        before = line;
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_and_one_without_a_user_are_named() {
        let text = "# x\n[workspace.dependencies]\nantiphon = { path = \"x\" }\n# Hashes.\n\
                    sha2 = \"1\"\nserde = { version = \"1\" }\n# Gone.\nold = \"1\"\n\n[profile]\nx = 1\n";
        let ours = BTreeSet::from(["antiphon"]);
        let used = BTreeSet::from(["antiphon", "sha2", "serde"]);
        let expected = [
            "Cargo.toml does not say why `serde` is there; add a comment above its line",
            "Cargo.toml: no crate uses `old`; remove its line",
        ];
        assert_eq!(in_manifest(text, &ours, &used), expected);
    }
}
