//! The allowed edges between our crates and from them outwards: the table of the design, word for
//! word.

use crate::workspace::{Kind, Package, Workspace};

/// What one crate may name in its manifest.
struct Allowed {
    package: &'static str,
    /// In what is built and shipped.
    normal: &'static [&'static str],
    /// In tests, examples and benchmarks only.
    dev: &'static [&'static str],
}

/// No crate depends on `antiphon-cli` or `xtask`, and none has a build script of our own.
const EDGES: &[Allowed] = &[
    Allowed {
        package: "antiphon-core",
        normal: &["serde", "serde_json", "sha2", "thin-vec", "thiserror"],
        dev: &["proptest"],
    },
    Allowed {
        package: "antiphon",
        normal: &[
            "antiphon-core",
            "futures-core",
            "granit-parser",
            "jiff",
            "jsonschema",
            "libc",
            "rusqlite",
            "rustix",
            "serde",
            "serde_json",
            "strsim",
            "thiserror",
            "tokio",
            "tokio-util",
            "tracing",
            "uuid",
        ],
        dev: &["antiphon", "proptest", "tempfile", "tokio"],
    },
    Allowed {
        package: "antiphon-server",
        normal: &[
            "antiphon",
            "axum",
            "http-body-util",
            "hyper",
            "hyper-util",
            "jiff",
            "libc",
            "rustix",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-util",
            "tracing",
        ],
        dev: &["antiphon", "proptest", "tempfile", "tokio"],
    },
    Allowed {
        package: "antiphon-cli",
        normal: &[
            "annotate-snippets",
            "anstream",
            "antiphon",
            "antiphon-server",
            "clap",
            "clap_complete",
            "jiff",
            "rustix",
            "serde",
            "serde_json",
            "strsim",
            "tempfile",
            "tokio",
            "tokio-util",
            "tracing",
            "tracing-subscriber",
            "unicode-width",
        ],
        dev: &["libc", "tempfile"],
    },
    Allowed { package: "xtask", normal: &["serde_json", "syn"], dev: &["tempfile"] },
];

/// Edges that the table does not have, and crates that it does not know.
pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    Ok(workspace.packages.iter().flat_map(outside_the_table).collect())
}

fn outside_the_table(package: &Package) -> Vec<String> {
    let Some(allowed) = EDGES.iter().find(|allowed| allowed.package == package.name) else {
        return vec![format!(
            "the crate `{}` has no row in xtask/src/tidy/edges.rs; a crate is added only for a dependency need that no other has",
            package.name
        )];
    };
    let refused = |kind: Kind, name: &str| match kind {
        Kind::Normal => !allowed.normal.contains(&name),
        Kind::Dev => !allowed.dev.contains(&name),
        Kind::Build => true,
    };
    let mut breaches = Vec::new();
    for dependency in &package.dependencies {
        if refused(dependency.kind, &dependency.name) {
            breaches.push(format!(
                "`{}` may not depend on `{}` ({:?}): move what needs it to the crate that may, or change the table in \
                 xtask/src/tidy/edges.rs and say why above its line in Cargo.toml",
                package.name, dependency.name, dependency.kind
            ));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn refused(package: &str, kind: Kind, dependency: &str) -> bool {
        let package = Package {
            name: package.to_owned(),
            manifest: "Cargo.toml".into(),
            dependencies: vec![Dependency { name: dependency.to_owned(), kind }],
            examples: Vec::new(),
        };
        !outside_the_table(&package).is_empty()
    }

    #[test]
    fn edges_against_the_grain_are_refused() {
        assert!(!refused("antiphon-core", Kind::Normal, "serde"));
        assert!(!refused("antiphon-core", Kind::Dev, "proptest"));
        for (package, kind, dependency) in [
            ("antiphon-core", Kind::Normal, "tokio"),
            ("antiphon-core", Kind::Normal, "antiphon"),
            ("antiphon-core", Kind::Normal, "proptest"),
            ("antiphon-core", Kind::Build, "serde"),
            ("antiphon", Kind::Normal, "clap"),
            ("antiphon", Kind::Dev, "antiphon-cli"),
            ("antiphon", Kind::Normal, "axum"),
            ("antiphon-server", Kind::Normal, "clap"),
            ("antiphon-server", Kind::Normal, "rusqlite"),
            ("antiphon-server", Kind::Normal, "antiphon-core"),
            ("antiphon-cli", Kind::Normal, "rusqlite"),
            ("antiphon-cli", Kind::Normal, "sha2"),
            ("antiphon-fifth", Kind::Normal, "serde"),
        ] {
            assert!(refused(package, kind, dependency), "{package} -> {dependency}");
        }
    }

    #[test]
    fn nobody_may_depend_on_the_command_line() {
        for allowed in EDGES {
            let all: Vec<_> = allowed.normal.iter().chain(allowed.dev).collect();
            assert!(
                !all.contains(&&"antiphon-cli") && !all.contains(&&"xtask"),
                "{}",
                allowed.package
            );
        }
    }
}
