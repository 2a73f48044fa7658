//! A short torture run of the release build: real processes killed at random moments and at every named crash point.

use crate::command::cargo;
use crate::step::Done;
use crate::workspace::Workspace;

const CLI: [&str; 6] = ["run", "--release", "-p", "antiphon-cli", "--features", "crash-points"];

pub(crate) fn run(workspace: &Workspace) -> Result<Done, String> {
    if !workspace.package("antiphon-cli")?.features.contains("crash-points") {
        return Ok(Done::Skipped("antiphon-cli has no feature `crash-points` yet".to_owned()));
    }
    let help = cargo(CLI.into_iter().chain(["--", "--help"])).output()?;
    if !help.lines().any(|line| line.split_whitespace().next() == Some("torture")) {
        return Ok(Done::Skipped("the command line has no `torture` yet".to_owned()));
    }
    cargo(CLI.into_iter().chain(["--", "torture", "--rounds", "60", "--seed", "1"])).run()
}
