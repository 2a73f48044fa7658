//! Where the socket of a state directory is, and how it is reached however long the path is.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon::ledger::Location;
use tokio::net::UnixStream;

/// The name of the socket in the state directory.
pub const SOCKET: &str = "api.sock";

/// Longest path that a socket's address holds, in bytes.
const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum SocketError {
    /// The ledger of the directory is not held by this process.
    #[error(
        "{} is not held by this process ({holder}); only the engine that owns it may answer there",
        dir.display()
    )]
    NotOwner { dir: PathBuf, holder: String },
    /// An engine answers at the socket already.
    #[error("an engine answers at {} already", path.display())]
    Answered { path: PathBuf },
    /// Something else has the socket's name.
    #[error("{} is not a socket; move it away", path.display())]
    NotASocket { path: PathBuf },
    /// The path does not fit into a socket's address, and there is no `/proc` to shorten it.
    #[error(
        "the path {} has more than the {MAX_PATH_BYTES} bytes that a socket may have; \
         use a state directory with a shorter path",
        path.display()
    )]
    TooLong { path: PathBuf },
    #[error("could not {doing} {}", path.display())]
    System { doing: &'static str, path: PathBuf, source: io::Error },
}

/// Connects to the engine behind a socket.
pub(crate) async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (dir, name) = parted(socket);
    let short = ShortPath::to(dir, name).map_err(|error| match error {
        SocketError::System { source, .. } => source,
        other => io::Error::new(ErrorKind::InvalidInput, other.to_string()),
    })?;
    UnixStream::connect(short.as_path()).await.map_err(|error| {
        // An engine of root that was killed leaves a socket that only root may connect to.
        let is_left = error.kind() == ErrorKind::PermissionDenied
            && matches!(Location::directory(dir).files().holder(), Ok(None));
        if is_left { ErrorKind::ConnectionRefused.into() } else { error }
    })
}

/// The directory of a socket, and its name in it.
pub(crate) fn parted(socket: &Path) -> (&Path, &OsStr) {
    let dir = socket.parent().filter(|dir| !dir.as_os_str().is_empty());
    (dir.unwrap_or(Path::new(".")), socket.file_name().unwrap_or_default())
}

/// Whether an error of connecting says that no engine answers. Reset: the engine that did ended
/// while the connection was being made.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | ConnectionRefused | ConnectionReset)
}

/// A path to a file in a directory that fits into a socket's address.
pub(crate) struct ShortPath {
    path: PathBuf,
    /// What a short path goes through must stay open.
    _dir: Option<Arc<File>>,
}

impl ShortPath {
    pub(crate) fn to(dir: &Path, name: impl AsRef<OsStr>) -> Result<Self, SocketError> {
        let name = name.as_ref();
        let path = dir.join(name);
        if path.as_os_str().len() <= MAX_PATH_BYTES {
            return Ok(Self { path, _dir: None });
        }
        if !cfg!(target_os = "linux") {
            return Err(SocketError::TooLong { path });
        }
        let dir = File::open(dir).map_err(|source| SocketError::System {
            doing: "open the directory of",
            path,
            source,
        })?;
        Ok(Self::through(Arc::new(dir), name))
    }

    /// A path to a file in this directory, whatever its own path names by now, where the system has
    /// such paths.
    #[cfg(feature = "server")]
    pub(crate) fn within(opened: &Arc<File>, dir: &Path, name: &str) -> Result<Self, SocketError> {
        match cfg!(target_os = "linux") && Path::new("/proc/self/fd").is_dir() {
            true => Ok(Self::through(Arc::clone(opened), OsStr::new(name))),
            false => Self::to(dir, name),
        }
    }

    fn through(dir: Arc<File>, name: &OsStr) -> Self {
        let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
        Self { path, _dir: Some(dir) }
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }
}
