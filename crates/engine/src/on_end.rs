//! The command that a plan names for the end of its run: carried out by the engine that ended the
//! run, whatever the verdict, and under a warden like a session. What becomes of it changes nothing
//! of the run.
//!
//! A cursor says whether that is done. The append that ends the run sets it to the beginning of the
//! run's stream, and it moves to the last event once the command has ended. So a command is carried
//! out at least once: an engine that finds an unmoved cursor carries it out.

mod attempts;
mod variables;

use std::time::Duration;

use antiphon_core::id::{CoordinationId, StreamName, Version};

use crate::ledger::{Cursor, ReadError, Store};
use crate::mailbox::OnEnd;
pub(crate) use attempts::Attempts;

/// How long all attempts at a command may take together, unless the engine's builder says otherwise.
pub(crate) const ON_END_WITHIN: Duration = Duration::from_secs(60);

/// How the names of the cursors begin; the ids of the runs follow.
const CURSORS: &str = "on_end/";

/// The cursor of a run's command, once so much of the run's stream is dealt with.
pub(crate) fn cursor(run: &CoordinationId, version: Version) -> Cursor {
    Cursor {
        name: format!("{CURSORS}{run}"),
        stream: StreamName::Coordination(run.clone()),
        version,
    }
}

/// The ended runs whose commands are still to be carried out.
pub(crate) fn waiting(store: &dyn Store) -> Result<Vec<CoordinationId>, ReadError> {
    let unmoved = store.unmoved_cursors(CURSORS)?.into_iter();
    Ok(unmoved
        .filter_map(|cursor| match cursor.stream {
            StreamName::Coordination(run) => Some(run),
            _ => None,
        })
        .collect())
}

/// What the ledger says of a run's command.
pub(crate) fn recorded(store: &dyn Store, run: &CoordinationId) -> Result<OnEnd, ReadError> {
    Ok(match store.cursor(&cursor(run, Version(0)).name)? {
        None => OnEnd::None,
        Some(Cursor { version: Version(0), .. }) => OnEnd::Waiting,
        Some(_) => OnEnd::Ended { failure: None },
    })
}
