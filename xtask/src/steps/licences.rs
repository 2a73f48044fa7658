//! Asks cargo-deny, where it is installed, whether deny.toml allows every dependency.

use crate::command::cargo;
use crate::step::Done;
use crate::workspace::Workspace;

pub(crate) fn run(_: &Workspace) -> Result<Done, String> {
    if !cargo(["deny", "--version"]).works() {
        return Ok(Done::Skipped(
            "cargo-deny is not installed; to get it: cargo install --locked cargo-deny".to_owned(),
        ));
    }
    cargo(["deny", "check", "licenses", "bans", "sources"]).run().map(|()| Done::Passed)
}
