//! The purity of the core: nothing below it could do I/O, and clippy refuses what the standard
//! library offers of it.

use std::fs;

use crate::command::cargo;
use crate::workspace::Workspace;

/// What must not be in a build of the core, however deep: runtimes, databases, clocks, randomness,
/// the network.
const NEVER: &[&str] = &[
    "chrono",
    "getrandom",
    "hyper",
    "jiff",
    "libsqlite3-sys",
    "log",
    "mio",
    "parking_lot",
    "rand",
    "rand_core",
    "reqwest",
    "rusqlite",
    "rustix",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing",
    "uuid",
];

/// What the front page of the core must say for its clippy.toml to bite.
const DENY: &str =
    "#![deny(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]";

pub(super) fn breaches(workspace: &Workspace) -> Result<Vec<String>, String> {
    let tree = cargo([
        "tree",
        "-p",
        "antiphon-core",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])
    .output()?;
    let mut breaches = below(&tree);
    let page = workspace.root.join("crates/core/src/lib.rs");
    let text = fs::read_to_string(&page)
        .map_err(|error| format!("cannot read {}: {error}", page.display()))?;
    if !text.lines().any(|line| line == DENY) {
        breaches.push(format!("crates/core/src/lib.rs lacks the line that makes crates/core/clippy.toml bite; add `{DENY}`"));
    }
    Ok(breaches)
}

fn below(tree: &str) -> Vec<String> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| NEVER.contains(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    let say = |name| {
        format!(
            "`{name}` is built into antiphon-core; `cargo tree -p antiphon-core -e normal -i {name}` shows by whom"
        )
    };
    found.into_iter().map(say).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_runtime_deep_below_the_core_is_found() {
        let tree = "antiphon-core v0.1.0 (/x)\nserde v1.0.0\nhelpful v1.0.0\ntokio v1.0.0\nserde v1.0.0 (*)\n";
        let expected = "`tokio` is built into antiphon-core; `cargo tree -p antiphon-core -e normal -i tokio` shows by whom";
        assert_eq!(below(tree), [expected]);
    }

    /// One line for each kind of thing that the core must not do, with the name by which clippy
    /// reports it.
    const WORLDLY: &[(&str, &str)] = &[
        ("pub fn a() { let _ = std::time::Instant::now(); }", "type `std::time::Instant`"),
        ("pub fn b() { let _ = std::time::SystemTime::now(); }", "type `std::time::SystemTime`"),
        (
            "pub fn c() { std::thread::sleep(core::time::Duration::ZERO) }",
            "method `std::thread::sleep`",
        ),
        ("pub fn d() { let _ = std::fs::read(\"x\"); }", "method `std::fs::read`"),
        ("pub fn e() { let _ = std::fs::File::open(\"x\"); }", "type `std::fs::File`"),
        (
            "pub fn f() { let _ = std::net::TcpStream::connect(\"x\"); }",
            "type `std::net::TcpStream`",
        ),
        (
            "pub fn g() { let _ = std::process::Command::new(\"x\"); }",
            "type `std::process::Command`",
        ),
        ("pub fn h() { let _ = std::env::var(\"x\"); }", "method `std::env::var`"),
        (
            "pub fn i() -> std::collections::HashMap<u8, u8> { Default::default() }",
            "type `std::collections::HashMap`",
        ),
        (
            "pub fn j() -> std::collections::HashSet<u8> { Default::default() }",
            "type `std::collections::HashSet`",
        ),
        ("pub fn k() { let _ = std::hash::RandomState::new(); }", "type `std::hash::RandomState`"),
        ("pub fn l() { let _ = std::thread::spawn(|| {}); }", "method `std::thread::spawn`"),
        ("pub fn m() { let _ = std::sync::Mutex::new(0); }", "type `std::sync::Mutex`"),
        ("pub fn n() { println!(\"x\") }", "macro `std::println`"),
        (
            "pub static O: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);",
            "type `std::sync::atomic::AtomicU64`",
        ),
    ];

    #[test]
    fn clippy_refuses_the_world_in_the_core() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("worldly.rs");
        let lines: Vec<&str> =
            std::iter::once(DENY).chain(WORLDLY.iter().map(|(line, _)| *line)).collect();
        fs::write(&file, lines.join("\n"))?;
        let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/core");
        let output = Command::new("clippy-driver")
            .args([
                "--crate-type",
                "lib",
                "--edition",
                "2024",
                "--emit",
                "metadata",
                "--error-format",
                "short",
                "--out-dir",
            ])
            .args([dir.path(), &file])
            .env("CLIPPY_CONF_DIR", core)
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        let missed: BTreeSet<&str> = WORLDLY
            .iter()
            .map(|(_, name)| *name)
            .filter(|name| !said.contains(&format!("use of a disallowed {name}")))
            .collect();
        assert_eq!(missed, BTreeSet::new(), "clippy said:\n{said}");
        Ok(())
    }
}
