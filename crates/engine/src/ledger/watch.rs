//! Waiting for a ledger that another process writes to, without asking it and without asking the
//! disk again and again.
//!
//! Where the system tells what happens in a directory (Linux), nothing polls for appends: each
//! writes to the database's log, and within 100 ms the head mark is put in place anew, when the
//! append can be seen by all. Elsewhere the ledger is looked at ten times a second. What nothing
//! tells is whether the directory's path still leads to it; that is looked at once in a second.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::held_directory::{Gone, HeldDirectory};

/// A second look after the log was written to: an append that is being synced is not seen yet, and
/// its engine may die before it marks it.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// After so long without a change the reader is woken all the same.
const QUIET: Duration = Duration::from_secs(1);

/// Wakes a reader when the ledger in a state directory may have grown.
#[derive(Debug)]
pub struct Watch {
    /// Tells what happens in the directory; without it the ledger is looked at at intervals.
    changes: Option<OwnedFd>,
    second_look: bool,
    held: HeldDirectory,
}

/// Why a reader was woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// There may be something new.
    Changed,
    /// Nothing has happened for a second.
    Quiet,
    /// The state directory is gone, or another one has its name.
    Gone(Gone),
    /// The reader of `output` has gone.
    HungUp,
}

impl Watch {
    /// Begins to watch; what happens from now on wakes the reader, so read only after this.
    ///
    /// # Errors
    /// When the directory is not there.
    pub fn on(dir: &Path) -> io::Result<Self> {
        let held = HeldDirectory::of_ledger(dir)?;
        Ok(Self { changes: changes(dir), second_look: false, held })
    }

    /// Waits until the ledger may have grown, or the reader of `output` has gone.
    ///
    /// # Errors
    /// When the system cannot wait.
    pub fn wait(&mut self, output: BorrowedFd<'_>) -> io::Result<Woken> {
        let again = self.second_look || self.changes.is_none();
        let timeout = if again { SECOND_LOOK } else { QUIET };
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let mut waited = vec![PollFd::from_borrowed_fd(output, PollFlags::empty())];
        if let Some(changes) = &self.changes {
            waited.push(PollFd::new(changes, PollFlags::IN));
        }
        match poll(&mut waited, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let hung_up = waited[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
        // Woken by the clock, everything has been looked at twice.
        self.second_look =
            waited.get(1).is_some_and(|changes| changes.revents().intersects(PollFlags::IN));
        if let Some(changes) = self.changes.as_ref().filter(|_| self.second_look) {
            let mut notices = [0; 4096];
            // What they say does not matter, and more of them wakes the reader again.
            while rustix::io::read(changes, &mut notices).is_ok_and(|read| read > 0) {}
        }
        Ok(match self.held.stands() {
            _ if hung_up => Woken::HungUp,
            Err(gone) => Woken::Gone(gone),
            Ok(()) if again || self.second_look => Woken::Changed,
            Ok(()) => Woken::Quiet,
        })
    }
}

#[cfg(target_os = "linux")]
fn changes(dir: &Path) -> Option<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let changes = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    add_watch(&changes, dir, WatchFlags::MODIFY | WatchFlags::MOVED_TO | WatchFlags::CREATE)
        .ok()?;
    Some(changes)
}

#[cfg(not(target_os = "linux"))]
fn changes(_: &Path) -> Option<OwnedFd> {
    None
}
