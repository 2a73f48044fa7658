//! Every direct dependency earns its place in one row of ARCHITECTURE.md, and no row outlives its
//! dependency.

use std::collections::BTreeSet;
use std::fs;

use crate::workspace::Workspace;

/// The heading that the table stands under.
const HEADING: &str = "## Dependencies";

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let path = workspace.root.join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let ours: BTreeSet<&str> =
        workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let all = workspace.packages.iter().flat_map(|package| &package.dependencies);
    let direct: BTreeSet<&str> = all
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !ours.contains(name))
        .collect();
    Ok(compare(&direct, &rows(&text)))
}

fn compare(direct: &BTreeSet<&str>, rows: &BTreeSet<&str>) -> Vec<String> {
    let missing = direct.difference(rows).map(|name| {
        format!("`{name}` has no row; add \"| `{name}` | what it is for, and why not our own code |\" to the table under \"{HEADING}\"")
    });
    let stale = rows.difference(direct).map(|name| {
        format!("`{name}` has a row, but no crate depends on it any more; remove the row")
    });
    missing.chain(stale).collect()
}

/// The names in backticks that begin a row of the table.
fn rows(text: &str) -> BTreeSet<&str> {
    let below = text
        .lines()
        .skip_while(|line| *line != HEADING)
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    below
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_stale_row_are_both_named() {
        let text = "| `elsewhere` | x |\n## Dependencies\n\n| crate | why |\n|---|---|\n| `serde` | x |\n| `gone` | x |\n\n## More\n| `tokio` | x |\n";
        let expected = [
            "`tokio` has no row; add \"| `tokio` | what it is for, and why not our own code |\" to the table under \"## Dependencies\"",
            "`gone` has a row, but no crate depends on it any more; remove the row",
        ];
        assert_eq!(compare(&["serde", "tokio"].into(), &rows(text)), expected);
    }
}
