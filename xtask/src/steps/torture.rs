//! Short torture runs of the program that the tests have built: real engines with sessions of real processes, killed
//! with and without their wardens, at random moments and at every named crash point; and commands
//! that are interrupted.

use std::time::{SystemTime, UNIX_EPOCH};

use super::test;
use crate::command::program;
use crate::step::Done;
use crate::workspace::Workspace;

/// A sample, of which two in five rounds interrupt commands and the others kill; long runs are made by
/// hand and reported in docs/reliability.md.
const ROUNDS: &str = "60";

/// All of these kill: about as many as the others do.
const ROUNDS_OF_SHORTAGE: &str = "40";

/// In a user namespace of its own, an ordinary user may mount something.
const AS_IF_ROOT: [&str; 5] = ["unshare", "--user", "--map-root-user", "--mount", "--"];

pub(crate) fn run(workspace: &Workspace) -> Result<Done, String> {
    torture(workspace, &[], ROUNDS, &[])
}

/// The same on a small disk that fills up and empties.
pub(crate) fn short_of_disk(workspace: &Workspace) -> Result<Done, String> {
    let before: &[&str] = match is_root()? {
        true => &[],
        false if may_mount_as_if_root() => &AS_IF_ROOT,
        false => {
            return Ok(Done::Skipped(
                "this user may mount nothing, not even in a user namespace; run it as root"
                    .to_owned(),
            ));
        }
    };
    torture(workspace, before, ROUNDS_OF_SHORTAGE, &["--short-of", "disk"])
}

/// The same with a low limit of open files, which are all taken now and then.
pub(crate) fn short_of_files(workspace: &Workspace) -> Result<Done, String> {
    torture(workspace, &[], ROUNDS_OF_SHORTAGE, &["--short-of", "files"])
}

fn torture(
    workspace: &Workspace,
    before: &[&str],
    rounds: &str,
    more: &[&str],
) -> Result<Done, String> {
    test::build()?;
    // Another sample each time. The command is shown, so a run that fails can be repeated.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    let seed = seed.to_string();
    let antiphon = workspace.target.join("debug/antiphon");
    let antiphon = antiphon.to_str().ok_or("the target directory's path is not UTF-8")?;
    let arguments = [antiphon, "torture", "--rounds", rounds, "--seed", &seed];
    let words = [before, &arguments, more].concat();
    program(words[0], words[1..].iter().copied()).run().map(|()| Done::Passed)
}

fn is_root() -> Result<bool, String> {
    program("id", ["-u"]).output().map(|id| id.trim() == "0")
}

fn may_mount_as_if_root() -> bool {
    let mount = ["sh", "-c", "mount -t tmpfs antiphon /mnt"];
    program(AS_IF_ROOT[0], AS_IF_ROOT[1..].iter().copied().chain(mount)).works()
}
