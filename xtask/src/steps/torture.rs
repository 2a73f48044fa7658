//! A short torture run of the release build: real engines with sessions of real processes, killed
//! with and without their wardens, at random moments and at every named crash point.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::command::cargo;
use crate::step::Done;
use crate::workspace::Workspace;

/// A sample; long runs are made by hand and reported in docs/reliability.md.
const ROUNDS: &str = "40";

pub(crate) fn run(_workspace: &Workspace) -> Result<Done, String> {
    let arguments = ["run", "--release", "-p", "antiphon-cli", "--features", "crash-points", "--"];
    // Another sample each time. The command is shown, so a run that fails can be repeated.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = seed.to_string();
    cargo([&arguments[..], &["torture", "--rounds", ROUNDS, "--seed", &seed]].concat())
        .run()
        .map(|()| Done::Passed)
}
