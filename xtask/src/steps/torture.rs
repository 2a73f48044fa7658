//! A short torture run of the release build: real engines with sessions of real processes, killed
//! with and without their wardens, at random moments and at every named crash point.

use crate::command::cargo;
use crate::step::Done;
use crate::workspace::Workspace;

pub(crate) fn run(_workspace: &Workspace) -> Result<Done, String> {
    let arguments = ["run", "--release", "-p", "antiphon-cli", "--features", "crash-points", "--"];
    cargo([&arguments[..], &["torture", "--rounds", "40", "--seed", "1"]].concat()).run()
}
