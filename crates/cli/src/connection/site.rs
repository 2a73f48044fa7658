//! Where the engine of a connection is: in a state directory that is held open, or, inside one of its
//! sessions, behind a socket.

use std::path::{Path, PathBuf};

use antiphon::ledger::HeldDirectory;

use crate::command_error::{CommandError, Kind};
use crate::state_dir::session_socket;

/// Where an engine is.
#[derive(Debug, Clone)]
pub(crate) enum Site {
    /// Another directory under the same name is not taken for it.
    Directory(HeldDirectory),
    /// Nothing is known of the directory but its path.
    Socket(PathBuf),
}

impl Site {
    /// The site of a state directory's engine, with its ledger as it is there now.
    pub(crate) fn of(dir: &Path) -> Result<Self, CommandError> {
        if session_socket(dir).is_some() {
            return Ok(Self::Socket(dir.to_owned()));
        }
        let held = HeldDirectory::of_ledger(dir).map_err(|error| {
            let what =
                format!("the state directory {} cannot be held open: {error}", dir.display());
            CommandError::new(Kind::State, what)
        })?;
        Ok(Self::Directory(held))
    }

    /// Refuses to have an engine in a directory begin inside of a session of it.
    pub(crate) fn may_host(dir: &Path) -> Result<(), CommandError> {
        match session_socket(dir) {
            Some(_) => Err(CommandError::session_engine_gone(dir)),
            None => Ok(()),
        }
    }

    /// The state directory, as it was named.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Directory(held) => held.path(),
            Self::Socket(dir) => dir,
        }
    }

    /// Whether it is still there, and the same.
    ///
    /// # Errors
    /// In one sentence, if it is not. What can be told by the socket alone is told by the next request.
    pub(crate) fn stands(&self) -> Result<(), CommandError> {
        match self {
            Self::Directory(held) => Ok(held.stands()?),
            Self::Socket(_) => Ok(()),
        }
    }
}
