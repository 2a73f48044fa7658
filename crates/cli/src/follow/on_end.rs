//! The command that a plan names for the end of its run, as whoever followed the run hears of it.

use antiphon::id::CoordinationId;
use antiphon_server::{Client, OnEndState};

use crate::stderr;
use crate::text::printable;

/// Waits for the command of a run that has ended, and says if it failed. It has a limited time; an
/// engine that goes away first leaves it to the next one, which is no trouble of this command.
pub(crate) async fn tell_of_on_end(client: &Client, run: &CoordinationId) {
    while let Ok(answer) = client.on_end(run).await {
        match (answer.on_end, answer.failure) {
            (OnEndState::Running, _) => {}
            (_, None) => return,
            (_, Some(why)) => {
                let text = format!("`on_end` of {run} failed: {why}");
                return stderr::say(printable(&text));
            }
        }
    }
}
