//! The socket file of a server: made private, replaced only where no engine answers, made again if
//! somebody removes it, removed with the server.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon::ledger::{Location, LockHolder};
use rustix::fs::{AtFlags, FileType, Mode, chmodat, renameat, statat, unlinkat};
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::socket::{SOCKET, ShortPath, SocketError, is_gone};

/// The socket's name until it is ready.
const DRAFT: &str = "api.sock.new";

/// How long an engine may take to accept a connection before it counts as there and busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// The socket of an engine, while it exists.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    place: Place,
    /// Device and number of the file, to remove no other.
    file: (u64, u64),
}

/// The directory of a socket, held open: one that comes under its name is not touched.
#[derive(Debug, Clone)]
struct Place {
    opened: Arc<File>,
    dir: PathBuf,
    path: PathBuf,
}

impl Listener {
    /// Makes the socket. Needs the ledger's lock, so that a socket that does not answer is one that
    /// a dead engine left.
    pub(crate) async fn bind(dir: &Path) -> Result<Self, SocketError> {
        let (opened, path) = (File::open(dir), dir.join(SOCKET));
        refuse_others(dir)?;
        let opened = opened.map_err(failed("open the directory of", &path))?;
        Self::bind_in(Place { opened: Arc::new(opened), dir: dir.to_owned(), path }).await
    }

    async fn bind_in(place: Place) -> Result<Self, SocketError> {
        let Place { opened, dir, path } = &place;
        match statat(opened, SOCKET, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if !FileType::from_raw_mode(found.st_mode).is_socket() => {
                return Err(SocketError::NotASocket { path: path.clone() });
            }
            Ok(_) if place.is_answered().await? => {
                return Err(SocketError::Answered { path: path.clone() });
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed("look at", path)(error.into())),
        }
        // It gets its name only once it is private and listens; the old one goes in the same step.
        match unlinkat(opened, DRAFT, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed("remove the draft of", path)(error.into())),
        }
        let address = ShortPath::within(opened, dir, DRAFT)?;
        let listener = UnixListener::bind(address.as_path()).map_err(failed("listen at", path))?;
        chmodat(opened, DRAFT, Mode::RUSR | Mode::WUSR, AtFlags::empty())
            .map_err(|error| failed("make private", path)(error.into()))?;
        let file = place.identity(DRAFT).map_err(|error| failed("look at", path)(error.into()))?;
        renameat(opened, DRAFT, opened, SOCKET)
            .map_err(|error| failed("put in place", path)(error.into()))?;
        Ok(Self { listener, place, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Makes the socket again if somebody has removed it. Where its directory is gone, there is
    /// nothing to be made.
    pub(crate) async fn appear_again(&mut self) {
        if self.place.identity(SOCKET) != Err(Errno::NOENT) {
            return;
        }
        match Self::bind_in(self.place.clone()).await {
            Ok(listener) => {
                tracing::warn!(path = %self.path().display(), "the socket was removed, and made again");
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
        if self.place.identity(SOCKET) == Ok(self.file)
            && let Err(error) = unlinkat(&self.place.opened, SOCKET, AtFlags::empty())
        {
            tracing::warn!(%error, path = %self.path().display(), "the socket could not be removed");
        }
    }
}

impl Place {
    async fn is_answered(&self) -> Result<bool, SocketError> {
        let address = ShortPath::within(&self.opened, &self.dir, SOCKET)?;
        match timeout(PATIENCE, UnixStream::connect(address.as_path())).await {
            Ok(Err(error)) if is_gone(&error) => Ok(false),
            // The lock is ours: it is the socket of an engine of root that was killed.
            Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
            // An engine that is too busy to answer, or that refuses us, exists all the same.
            _ => Ok(true),
        }
    }

    fn identity(&self, name: &str) -> rustix::io::Result<(u64, u64)> {
        let found = statat(&self.opened, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((found.st_dev, found.st_ino))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError + use<> {
    let path = path.to_owned();
    move |source| SocketError::System { doing, path, source }
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
