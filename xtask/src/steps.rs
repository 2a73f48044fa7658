//! Every step of the gate, in the order in which they run: what fails soonest comes first.

mod examples;
mod licences;
mod tools;
mod torture;

use crate::command::cargo;
use crate::step::{Done, Step};
use crate::tidy;
use crate::workspace::Workspace;

pub(crate) const ALL: &[Step] = &[
    Step { name: "tools", title: "the tools that the other steps need are here", run: tools::run },
    Step { name: "rules", title: "the rules of the repository are kept", run: rules },
    Step { name: "format", title: "the code is formatted", run: format },
    Step { name: "clippy", title: "no warnings, in any target, with every feature", run: clippy },
    Step {
        name: "features",
        title: "the API's types and the client build without the server",
        run: features,
    },
    Step { name: "test", title: "tests and the examples in the documentation", run: test },
    Step { name: "examples", title: "every example runs", run: examples::run },
    Step { name: "torture", title: "a sample of kill -9, resume and verify", run: torture::run },
    Step {
        name: "licences",
        title: "licences, bans and sources of the dependencies",
        run: licences::run,
    },
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

fn test(_: &Workspace) -> Result<Done, String> {
    cargo(["test", "--workspace"]).run().map(|()| Done::Passed)
}
