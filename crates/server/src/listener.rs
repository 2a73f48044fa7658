//! The socket file of a server: made private, replaced only where no engine answers, made again if
//! somebody removes it, removed with the server.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::ledger::{Location, LockHolder};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::socket::{SOCKET, ShortPath, SocketError, connect, is_gone};

/// The socket's name until it is ready.
const DRAFT: &str = "api.sock.new";

/// How long an engine may take to accept a connection before it counts as there and busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// The socket of an engine, while it exists.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file, to remove no other.
    file: (u64, u64),
}

impl Listener {
    /// Makes the socket. Needs the ledger's lock, so that a socket that does not answer is one that
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
        let short = ShortPath::to(dir, DRAFT)?;
        let listener = UnixListener::bind(short.as_path()).map_err(failed("listen at"))?;
        std::fs::set_permissions(&draft, Permissions::from_mode(0o600))
            .map_err(failed("make private"))?;
        let file = identity(&draft).map_err(failed("look at"))?;
        std::fs::rename(&draft, &path).map_err(failed("put in place"))?;
        Ok(Self { listener, path, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the socket again if somebody has removed it. Where its directory is gone, or belongs
    /// to another engine by now, there is nothing to be made.
    pub(crate) async fn appear_again(&mut self) {
        let is_removed = identity(&self.path).is_err_and(|e| e.kind() == ErrorKind::NotFound);
        let Some(dir) = self.path.parent().filter(|_| is_removed) else { return };
        match Self::bind(dir).await {
            Ok(listener) => {
                tracing::warn!(path = %self.path.display(), "the socket was removed, and made again");
                *self = listener;
            }
            Err(error) => tracing::debug!(%error, "the socket is gone"),
        }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.file)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the socket could not be removed");
        }
    }
}

fn refuse_others(dir: &Path) -> Result<(), SocketError> {
    let held = Location::directory(dir).files().holder();
    let holder = match held {
        Ok(Some(LockHolder::Named(owner))) if owner.pid == std::process::id() => return Ok(()),
        Ok(Some(holder)) => format!("it is held by {holder}"),
        Ok(None) => "no process holds it".to_owned(),
        Err(fault) => format!("its lock cannot be read: {fault}"),
    };
    Err(SocketError::NotOwner { dir: dir.to_owned(), holder })
}

async fn is_answered(dir: &Path) -> Result<bool, SocketError> {
    match timeout(PATIENCE, connect(dir)).await {
        Ok(Err(error)) if is_gone(&error) => Ok(false),
        // The lock is ours: it is the socket of an engine of root that was killed.
        Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
        // An engine that is too busy to answer, or that refuses us, exists all the same.
        _ => Ok(true),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
