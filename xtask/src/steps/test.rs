//! All tests, and the programs that they are built as.

use crate::command::cargo;
use crate::step::Done;
use crate::workspace::Workspace;

/// With the points at which tests kill the engine.
const TESTS: [&str; 4] = ["test", "--workspace", "--features", "antiphon-cli/crash-points"];

pub(crate) fn run(_: &Workspace) -> Result<Done, String> {
    cargo(TESTS).run().map(|()| Done::Passed)
}

/// Builds what they run, unless they have run: other steps run it, too.
pub(crate) fn build() -> Result<(), String> {
    cargo(TESTS.into_iter().chain(["--no-run", "--quiet"])).run()
}
