//! The socket file in the state directory: made private, replaced only when nobody answers, reached
//! however long the path is.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::ledger::{LockHolder, StateDirectory};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// The name of the socket in the state directory.
pub const SOCKET: &str = "api.sock";

/// Its name while it is being made.
const DRAFT: &str = "api.sock.new";

/// Longest path that a socket's address holds, in bytes.
const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// How long an engine may take to let somebody connect before it counts as one that is there and
/// busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The ledger of the directory is not held by this process.
    #[error("{} is not held by this process ({holder}); only the engine that owns it may answer there", dir.display())]
    NotOwner {
        /// The state directory.
        dir: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// Somebody answers at the socket.
    #[error("somebody answers at {} already", path.display())]
    Answered {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the socket's name.
    #[error("{} is no socket; move it away", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The path does not fit into a socket's address, and there is no `/proc` to shorten it.
    #[error("the path {} is longer than the {MAX_PATH_BYTES} bytes that a socket may have; use a state directory with a shorter path", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("could not {doing} {}: {source}", path.display())]
    System {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The socket of an engine, while it is there.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file, to remove no other.
    file: (u64, u64),
}

impl Socket {
    /// Makes the socket. Needs the ledger's lock, so that a socket where nobody answers is one that
    /// a dead engine left.
    pub(crate) async fn bind(dir: &Path) -> Result<Self, SocketError> {
        refuse_others(dir)?;
        let path = dir.join(SOCKET);
        let failed = |doing: &'static str| {
            let path = path.clone();
            move |source: io::Error| SocketError::System { doing, path, source }
        };
        match std::fs::symlink_metadata(&path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::NotASocket { path });
            }
            Ok(_) if is_answered(dir).await? => return Err(SocketError::Answered { path }),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at")(error)),
        }
        // It gets its name only once it is private and listens; the old one goes in the same step.
        let draft = dir.join(DRAFT);
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("remove the draft of")(error));
            }
            _ => {}
        }
        let short = Reach::into(dir, DRAFT)?;
        let listener = UnixListener::bind(&short.path).map_err(failed("listen at"))?;
        std::fs::set_permissions(&draft, Permissions::from_mode(0o600))
            .map_err(failed("make private"))?;
        let file = identity(&draft).map_err(failed("look at"))?;
        std::fs::rename(&draft, &path).map_err(failed("put in place"))?;
        Ok(Self { listener, path, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.file)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the socket could not be removed");
        }
    }
}

/// Connects to the engine of a state directory.
pub(crate) async fn connect(dir: &Path) -> io::Result<UnixStream> {
    let short = Reach::into(dir, SOCKET).map_err(|error| match error {
        SocketError::System { source, .. } => source,
        other => io::Error::new(ErrorKind::InvalidInput, other.to_string()),
    })?;
    UnixStream::connect(&short.path).await
}

fn refuse_others(dir: &Path) -> Result<(), SocketError> {
    let held = StateDirectory::new(dir).holder();
    let holder = match held {
        Ok(Some(LockHolder::Named(owner))) if owner.pid == std::process::id() => return Ok(()),
        Ok(Some(holder)) => format!("it is held by {holder}"),
        Ok(None) => "nobody holds it".to_owned(),
        Err(fault) => format!("its lock cannot be read: {fault}"),
    };
    Err(SocketError::NotOwner { dir: dir.to_owned(), holder })
}

async fn is_answered(dir: &Path) -> Result<bool, SocketError> {
    match timeout(PATIENCE, connect(dir)).await {
        Ok(Err(error)) if is_gone(&error) => Ok(false),
        // Also one that is too busy to answer, or that we may not talk to, is there.
        _ => Ok(true),
    }
}

/// Whether an error of connecting says that nobody answers. Reset: whoever did went while this was
/// on its way.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | ConnectionRefused | ConnectionReset)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// A path to a file in a directory that fits into a socket's address.
struct Reach {
    path: PathBuf,
    /// What a short path goes through must stay open.
    _dir: Option<File>,
}

impl Reach {
    fn into(dir: &Path, name: &str) -> Result<Self, SocketError> {
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
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name),
            _dir: Some(dir),
        })
    }
}
