//! Every step of the gate, in the order in which they run: what fails soonest comes first.

mod examples;
mod licences;
mod test;
mod tools;
mod torture;

use crate::command::cargo;
use crate::step::{Done, Step};
use crate::tidy;
use crate::workspace::Workspace;

pub(crate) const ALL: &[Step] = &[
    Step::new("tools", "the tools that the other steps need are here", tools::run),
    Step::new("rules", "the rules of the repository are kept", rules),
    Step::new("format", "the code is formatted", format),
    Step::new("clippy", "no warnings, in any target, with every feature", clippy),
    Step::new("features", "the API's types and the client build without the server", features),
    Step::new("test", "tests and the examples in the documentation", test::run),
    Step::new("examples", "every example runs", examples::run),
    Step::new("torture", "a sample of kill -9, interrupts, resume, retry and verify", torture::run),
    Step::new("full-disk", "the same on a small disk that fills up", torture::short_of_disk),
    Step::new("few-files", "the same with too few open files", torture::short_of_files),
    Step::new("licences", "licences, bans and sources of the dependencies", licences::run),
];

fn rules(workspace: &Workspace) -> Result<Done, String> {
    tidy::check(workspace).map(|()| Done::Passed)
}

fn format(_: &Workspace) -> Result<Done, String> {
    cargo(["fmt", "--all", "--check"])
        .run()
        .map(|()| Done::Passed)
        .map_err(|problem| format!("{problem}\nto fix it: cargo fmt --all"))
}

fn clippy(_: &Workspace) -> Result<Done, String> {
    cargo(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
        .run()
        .map(|()| Done::Passed)
}

fn features(_: &Workspace) -> Result<Done, String> {
    let check = ["check", "-p", "antiphon-server", "--lib", "--no-default-features"];
    cargo(check).run()?;
    cargo([&check[..], &["--features", "client"]].concat()).run().map(|()| Done::Passed)
}
