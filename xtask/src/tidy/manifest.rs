//! One place for versions and lints: what a crate's manifest takes from the workspace instead of
//! saying it again.

use std::fs;

use crate::workspace::Workspace;

/// Lines of `[package]` that every crate has.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut breaches = Vec::new();
    for package in &workspace.packages {
        let text = fs::read_to_string(&package.manifest)
            .map_err(|error| format!("cannot read {}: {error}", package.manifest.display()))?;
        breaches.extend(
            in_manifest(&text).into_iter().map(|breach| format!("{}: {breach}", package.name)),
        );
    }
    Ok(breaches)
}

fn in_manifest(text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for key in INHERITED {
        let line = format!("{key}.workspace = true");
        if !text.lines().any(|found| found == line) {
            breaches.push(format!("its Cargo.toml lacks `{line}` under [package]"));
        }
    }
    if !text.replace("\r\n", "\n").contains("[lints]\nworkspace = true") {
        breaches.push("its Cargo.toml lacks `[lints]` with `workspace = true`".to_owned());
    }
    let mut section = "";
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.trim_end_matches(']').ends_with("dependencies")
            && line.contains('=')
            && !line.contains("workspace = true")
        {
            let name = line.split(['=', '.']).next().unwrap_or_default().trim();
            breaches.push(format!(
                "`{name}` states its own version; put it under [workspace.dependencies] and write `{name} = {{ workspace = true }}`"
            ));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
        license.workspace = true\npublish.workspace = true\n\n[dependencies]\nserde = { workspace = true }\n\n[lints]\nworkspace = true\n";

    #[test]
    fn a_manifest_that_inherits_everything_is_sound() {
        assert_eq!(in_manifest(SOUND), Vec::<String>::new());
    }

    #[test]
    fn a_version_of_its_own_is_refused_wherever_it_stands() {
        let own =
            SOUND.replace("version.workspace = true\nedition", "version = \"2.0.0\"\nedition");
        assert_eq!(
            in_manifest(&own),
            ["its Cargo.toml lacks `version.workspace = true` under [package]"]
        );
        let expected = "`serde` states its own version; put it under [workspace.dependencies] and write `serde = { workspace = true }`";
        assert_eq!(
            in_manifest(&SOUND.replace("serde = { workspace = true }", "serde = \"1\"")),
            [expected]
        );
    }

    #[test]
    fn lints_of_its_own_are_refused() {
        let own =
            SOUND.replace("[lints]\nworkspace = true", "[lints.rust]\nmissing_docs = \"allow\"");
        assert_eq!(in_manifest(&own), ["its Cargo.toml lacks `[lints]` with `workspace = true`"]);
    }
}
