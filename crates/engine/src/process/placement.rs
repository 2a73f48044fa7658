//! Which session a process belongs to, by what it cannot choose: its mark, or that it was written
//! down as a warden.

use std::os::fd::AsFd;

use antiphon_core::id::SessionId;

use super::folder::{Listed, SessionFolder};
use super::identity::ProcessIdentity;
use super::mark;
use super::proc_table;
use super::wire::WARDEN_NAME;
use crate::folder::Folder;

/// The session that a process belongs to by itself; `None` also for one whose parent or further
/// ancestor is in a session, so callers that place a process ask about its ancestors too. To be
/// called by the process that runs the sessions of this state directory, which is held open. Reads `/proc` and blocks.
#[must_use]
pub fn session_of(state_directory: impl AsFd, pid: u32) -> Option<SessionId> {
    let pid = i32::try_from(pid).ok()?;
    let limit = proc_table::resident_limit(pid).filter(|limit| mark::is_mark(*limit));
    // A name proves nothing; without it there is nothing to look up.
    let seen = proc_table::stat(pid).filter(|seen| seen.comm == WARDEN_NAME.as_bytes());
    let named = seen.map(|seen| ProcessIdentity { pid, start: seen.start });
    if limit.is_none() && named.is_none() {
        return None;
    }
    let state = Folder::of(state_directory.as_fd().try_clone_to_owned().ok()?, "");
    SessionFolder::list(&state).ok()?.into_iter().find_map(|listed| {
        let Listed::Folder(folder) = listed else { return None };
        let (opened, begun) = folder.lines().ok()?;
        let opened = opened?;
        let is_marked = limit.is_some_and(|limit| opened.mark.covers(limit));
        let is_warden = named.is_some() && begun.is_some_and(|begun| begun.warden == named);
        (is_marked || is_warden).then_some(opened.session)
    })
}
