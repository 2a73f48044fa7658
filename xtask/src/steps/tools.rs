//! The tools that the other steps need: installed where that takes no privileges, named with their
//! command where it does.

use std::env;

use crate::command::{cargo, program};
use crate::step::Done;
use crate::workspace::Workspace;

pub(crate) fn run(_: &Workspace) -> Result<Done, String> {
    let mut missing = Vec::new();
    for component in
        [Component { name: "rustfmt", asks: "fmt" }, Component { name: "clippy", asks: "clippy" }]
    {
        missing.extend(component.install().err());
    }
    if !program("python3", ["--version"]).works() {
        missing.push(format!(
            "python3 (the second verifier of the ledger format is written in it): {}",
            how("python3", "python3")
        ));
    }
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if !program(&compiler, ["--version"]).works() {
        missing.push(format!(
            "a C compiler as `{compiler}` (SQLite is compiled from source): {}",
            how("build-essential", "gcc")
        ));
    }
    if missing.is_empty() {
        Ok(Done::Passed)
    } else {
        Err(format!("missing tools:\n  {}", missing.join("\n  ")))
    }
}

/// A part of the Rust toolchain that brings a subcommand of cargo.
struct Component {
    name: &'static str,
    asks: &'static str,
}

impl Component {
    /// Makes sure that it is there.
    fn install(&self) -> Result<(), String> {
        let there = cargo([self.asks, "--version"]);
        if there.works() {
            return Ok(());
        }
        let add = program("rustup", ["component", "add", self.name]);
        // Whether the component works now is what counts, not how rustup ended.
        let ended = add.run();
        if there.works() {
            return Ok(());
        }
        let why =
            ended.err().unwrap_or_else(|| format!("`cargo {}` still does not start", self.asks));
        Err(format!("{}: {} ({why})", self.name, add.line()))
    }
}

/// The command that installs a package on this system.
fn how(debian: &str, elsewhere: &str) -> String {
    match env::consts::OS {
        "macos" => "xcode-select --install".to_owned(),
        _ if program("apt-get", ["--version"]).works() => format!("sudo apt-get install {debian}"),
        _ if program("dnf", ["--version"]).works() => format!("sudo dnf install {elsewhere}"),
        _ if program("apk", ["--version"]).works() => format!("sudo apk add {elsewhere}"),
        _ => format!("install the package `{elsewhere}` of your system"),
    }
}
