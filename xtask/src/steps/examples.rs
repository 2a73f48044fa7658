//! Runs every example of the engine; that it ends well is what each one asserts.

use crate::command::cargo;
use crate::step::Done;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<Done, String> {
    let examples = &workspace.package("antiphon")?.examples;
    if examples.is_empty() {
        return Ok(Done::Skipped("crates/engine/examples is empty".to_owned()));
    }
    // As the tests have built them.
    let run = ["run", "--quiet", "-p", "antiphon", "--features", "crash-points"];
    let mut failed = Vec::new();
    for example in examples {
        failed.extend(cargo([&run[..], &["--example", example]].concat()).run().err());
    }
    if failed.is_empty() { Ok(Done::Passed) } else { Err(failed.join("\n")) }
}
