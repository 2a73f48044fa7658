//! Which state directory a command is about, and whether it is the one of the engine whose session this
//! process is in: that one is reached by its socket alone.

use std::env;
use std::path::{Path, PathBuf};

use antiphon::id::CoordinationId;

use crate::options::Options;

/// Name of the state directory.
pub(crate) const NAME: &str = ".antiphon";

/// What names the directory where no argument does.
const VARIABLE: &str = "ANTIPHON_DIR";

/// What tells a session where its engine can be reached.
const SOCKET: &str = "ANTIPHON_SOCKET";

/// What tells a session which run it belongs to.
const RUN: &str = "ANTIPHON_RUN";

/// The directory that was named, else the one of this session's engine, else the one of the
/// environment, else the nearest one upwards, else one here.
pub(crate) fn find(options: &Options) -> PathBuf {
    let own = socket().and_then(|socket| Some(socket.parent()?.to_owned()));
    match (&options.dir, own) {
        // Under one path, however it was named.
        (Some(dir), Some(own)) if is_same(dir, &own) => own,
        (Some(dir), _) => dir.clone(),
        (None, Some(own)) => own,
        (None, None) => from_environment().unwrap_or_else(nearest),
    }
}

/// Whether a directory was named for the command, by an argument or the environment.
pub(crate) fn is_named(options: &Options) -> bool {
    options.dir.is_some() || from_environment().is_some()
}

/// The socket of a directory's engine, if this process is inside one of its sessions.
pub(crate) fn session_socket(dir: &Path) -> Option<PathBuf> {
    socket().filter(|socket| socket.parent() == Some(dir))
}

/// The run of the session that this process is in, if it is one of a directory's engine.
pub(crate) fn session_run(dir: &Path) -> Option<CoordinationId> {
    session_socket(dir)?;
    CoordinationId::new(env::var(RUN).ok()?).ok()
}

fn socket() -> Option<PathBuf> {
    env::var_os(SOCKET).map(PathBuf::from).filter(|socket| socket.is_absolute())
}

fn from_environment() -> Option<PathBuf> {
    env::var_os(VARIABLE).map(PathBuf::from).filter(|dir| !dir.as_os_str().is_empty())
}

fn nearest() -> PathBuf {
    let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let nearest = here.ancestors().map(|dir| dir.join(NAME)).find(|dir| dir.is_dir());
    nearest.unwrap_or_else(|| Path::new(NAME).to_path_buf())
}

fn is_same(dir: &Path, other: &Path) -> bool {
    dir == other
        || dir.canonicalize().is_ok_and(|dir| other.canonicalize().is_ok_and(|other| dir == other))
}
