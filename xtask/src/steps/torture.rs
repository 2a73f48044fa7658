//! A short torture run of the release build: real processes killed at random moments and at every named crash point.

use crate::command::cargo;
use crate::step::Done;
use crate::workspace::Workspace;

const CLI: [&str; 5] = ["--release", "-p", "antiphon-cli", "--features", "crash-points"];

pub(crate) fn run(workspace: &Workspace) -> Result<Done, String> {
    if !workspace.package("antiphon-cli")?.features.contains("crash-points") {
        return Ok(Done::Skipped("antiphon-cli has no feature `crash-points` yet".to_owned()));
    }
    let with = |verb: &'static str, rest: &[&'static str]| cargo([&[verb], &CLI[..], rest].concat());
    with("build", &[]).run()?;
    let help = with("run", &["--", "--help"]).output()?;
    if !help.lines().any(|line| line.split_whitespace().next() == Some("torture")) {
        return Ok(Done::Skipped("the command line has no `torture` yet".to_owned()));
    }
    with("run", &["--", "torture", "--rounds", "60", "--seed", "1"]).run()
}
