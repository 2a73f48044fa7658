//! What cargo says about this workspace: its packages, their dependencies and examples.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::command::cargo;

/// The workspace as `cargo metadata` describes it.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One of our own crates.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) examples: Vec<String>,
}

/// An edge from one of our crates.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self, String> {
        let text = cargo(["metadata", "--format-version", "1", "--no-deps"]).output()?;
        let metadata = serde_json::from_str(&text)
            .map_err(|error| format!("`cargo metadata` gave no JSON: {error}"))?;
        Self::read(&metadata).ok_or_else(|| {
            "`cargo metadata` has a form that xtask/src/workspace.rs does not know".to_owned()
        })
    }

    /// The package of that name.
    pub(crate) fn package(&self, name: &str) -> Result<&Package, String> {
        let found = self.packages.iter().find(|package| package.name == name);
        found.ok_or_else(|| format!("the workspace has no package `{name}`"))
    }

    fn read(metadata: &Value) -> Option<Self> {
        let members: BTreeSet<&str> = texts(&metadata["workspace_members"])?.collect();
        let mut packages = Vec::new();
        for package in metadata["packages"].as_array()? {
            if members.contains(package["id"].as_str()?) {
                packages.push(Package::read(package)?);
            }
        }
        let path = |name: &str| metadata[name].as_str().map(PathBuf::from);
        Some(Self { root: path("workspace_root")?, target: path("target_directory")?, packages })
    }
}

impl Package {
    fn read(package: &Value) -> Option<Self> {
        let mut dependencies = Vec::new();
        for dependency in package["dependencies"].as_array()? {
            let kind = match dependency["kind"].as_str() {
                None => Kind::Normal,
                Some("dev") => Kind::Dev,
                Some("build") => Kind::Build,
                Some(_) => return None,
            };
            dependencies.push(Dependency { name: dependency["name"].as_str()?.to_owned(), kind });
        }
        let mut examples = Vec::new();
        for target in package["targets"].as_array()? {
            if texts(&target["kind"])?.any(|kind| kind == "example") {
                examples.push(target["name"].as_str()?.to_owned());
            }
        }
        examples.sort();
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            manifest: package["manifest_path"].as_str()?.into(),
            dependencies,
            examples,
        })
    }
}

fn texts(list: &Value) -> Option<impl Iterator<Item = &str>> {
    Some(list.as_array()?.iter().filter_map(Value::as_str))
}
