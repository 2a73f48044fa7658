//! What an engine that was killed has left of sessions in a state directory, looked at and not
//! touched.

use std::io;
use std::path::{Path, PathBuf};

use antiphon_core::id::SessionId;
use antiphon_core::time::WallTime;

use super::folder::{Listed, OpenRecord, SessionFolder};
use super::identity::{ProcessIdentity, Visibility, Where};
use super::session_processes::SessionProcesses;
use super::sweep::{advice_on_hidden, unrecorded_warden};
use super::tree_end::Leftover;
use super::{proc_table, signal};
use crate::folder::Folder;

/// The folder of one session: of one that runs, or what an engine that was killed has left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Orphan {
    pub folder: PathBuf,
    /// What is known of it.
    pub known: OrphanState,
}

/// What is known from a session's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum OrphanState {
    /// Nothing was started: its first line is torn.
    NeverBegun,
    /// It is no folder of a session. An engine leaves it alone.
    Stray,
    /// It cannot be read, or is of another version.
    NotUnderstood(String),
    /// A session was begun.
    Begun {
        session: SessionId,
        /// The user who ran it.
        user: u32,
        since: WallTime,
        /// Where its processes would be.
        place: OrphanPlace,
        /// Those that live, its warden among them.
        alive: Vec<Leftover>,
    },
}

/// Whether this process can see the processes of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum OrphanPlace {
    Here,
    /// The machine was started again since, so there are none.
    EarlierBoot,
    /// The container that they were in is gone, and with it they.
    Gone,
    /// It cannot: they are in another container. What may be left, and what to do then.
    Hidden(String),
}

/// Looks at what is left of sessions, and ends nothing; [`sweep`](super::sweep) does that.
///
/// # Errors
/// If the folder of the sessions cannot be listed.
pub fn orphans(state_directory: &Path) -> io::Result<Vec<Orphan>> {
    let listed = match Folder::open(state_directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        state => SessionFolder::list(&state?)?,
    };
    let mut found: Vec<Orphan> = listed
        .into_iter()
        .map(|entry| match entry {
            Listed::Folder(folder) => Orphan { folder: folder.shown(), known: known(&folder) },
            Listed::Stray(folder) => Orphan { folder, known: OrphanState::Stray },
        })
        .collect();
    found.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(found)
}

fn known(folder: &SessionFolder) -> OrphanState {
    let (opened, begun) = match folder.lines() {
        Ok((Some(opened), begun)) => (opened, begun),
        Ok((None, _)) => return OrphanState::NeverBegun,
        Err(error) => return OrphanState::NotUnderstood(error.to_string()),
    };
    // Without a second line nothing of it has run, and what a warden has established holds wherever
    // it is read.
    let may_live = begun.is_some() && !folder.end().is_some_and(|end| end.clean);
    let place = match opened.place.seen_from(&Where::here()) {
        Visibility::EarlierBoot => OrphanPlace::EarlierBoot,
        Visibility::Gone => OrphanPlace::Gone,
        Visibility::Hidden if may_live => OrphanPlace::Hidden(advice_on_hidden(&opened.session)),
        Visibility::Here | Visibility::Visible | Visibility::Hidden => OrphanPlace::Here,
    };
    let alive = match place {
        OrphanPlace::Here => {
            let warden = begun.and_then(|begun| begun.warden);
            match alive(&opened, &SessionProcesses::of(&opened), warden) {
                Ok(alive) => alive,
                Err(error) => {
                    let why = format!("processes cannot be listed: {error}");
                    return OrphanState::NotUnderstood(why);
                }
            }
        }
        _ => Vec::new(),
    };
    let OpenRecord { session, user, wall, .. } = opened;
    OrphanState::Begun { session, user, since: WallTime(wall), place, alive }
}

fn alive(
    opened: &OpenRecord,
    marks: &SessionProcesses,
    warden: Option<ProcessIdentity>,
) -> io::Result<Vec<Leftover>> {
    let mut seen: Vec<proc_table::ProcessStat> = marks.find()?;
    let warden = warden.or_else(|| unrecorded_warden(opened)).filter(|warden| warden.exists());
    seen.extend(warden.and_then(|warden| proc_table::stat(warden.pid)));
    seen.retain(proc_table::ProcessStat::is_alive);
    seen.sort_by_key(|seen| seen.pid);
    seen.dedup_by_key(|seen| seen.pid);
    Ok(seen.iter().map(signal::leftover).collect())
}
