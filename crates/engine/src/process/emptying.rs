//! Emptying a directory, however deep it is.
//!
//! What is deep is brought up to the top before it is removed, so no path becomes long, nothing
//! recurses and two directories are open at a time. Links are not followed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, chmodat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// How many names are read at a time.
const AT_A_TIME: usize = 4_096;

/// Removes all that is in a directory, and the file of this name after everything else.
///
/// # Errors
/// The last refusal, once nothing more can be removed.
pub(super) fn empty(top: BorrowedFd<'_>, last: &CStr) -> io::Result<()> {
    let mut brought_up = 0;
    passes(top, Some(last), |name| remove_from(top, top, name, &mut brought_up))?;
    passes(top, None, |name| remove_from(top, top, name, &mut brought_up))
}

/// Takes names away until there are none but the one to keep, or none of those that are read goes
/// away.
fn passes(
    directory: BorrowedFd<'_>,
    kept: Option<&CStr>,
    mut take_away: impl FnMut(&CStr) -> rustix::io::Result<()>,
) -> io::Result<()> {
    loop {
        let (mut gone, mut refusal) = (0, None);
        for name in names(directory, kept)? {
            match take_away(&name) {
                Ok(()) => gone += 1,
                Err(error) => refusal = Some(error),
            }
        }
        match (gone, refusal) {
            (0, None) => return Ok(()),
            (0, Some(refusal)) => return Err(refusal.into()),
            _ => {}
        }
    }
}

fn names(directory: BorrowedFd<'_>, kept: Option<&CStr>) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") && Some(name) != kept {
            names.push(name.to_owned());
        }
        if names.len() == AT_A_TIME {
            break;
        }
    }
    Ok(names)
}

/// Removes one name of the top; directories that are not empty leave what is in them there.
fn remove_from(
    directory: BorrowedFd<'_>,
    top: BorrowedFd<'_>,
    name: &CStr,
    brought_up: &mut u64,
) -> rustix::io::Result<()> {
    if remove_simple(directory, name)? {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let below = openat(directory, name, flags, Mode::empty())?;
    let below = std::os::fd::AsFd::as_fd(&below);
    let emptied = passes(below, None, |inner| {
        if remove_simple(below, inner)? {
            return Ok(());
        }
        bring_up(below, inner, top, brought_up)
    });
    emptied.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    unlinkat(directory, name, AtFlags::REMOVEDIR)
}

/// Removes what is no directory, or an empty one; says whether it did.
fn remove_simple(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<bool> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    // A session may have taken its own rights away; if they do not come back, what follows says so.
    let _ = chmodat(directory, name, Mode::RWXU, AtFlags::empty());
    match unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves a directory to the top under a name of its own.
fn bring_up(
    from: BorrowedFd<'_>,
    name: &CStr,
    top: BorrowedFd<'_>,
    brought_up: &mut u64,
) -> rustix::io::Result<()> {
    loop {
        *brought_up += 1;
        match renameat(from, name, top, format!(".antiphon-removed-{brought_up}")) {
            // The session may have used the name.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            moved => return moved,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn opened(path: &Path) -> OwnedFd {
        std::fs::File::open(path).unwrap().into()
    }

    #[test]
    fn a_tree_is_removed_however_deep_and_wide_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut at = opened(dir.path());
        for _ in 0..5_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            rustix::fs::mkdirat(&at, ".antiphon-removed-2", Mode::RWXU).unwrap();
            let flags = OFlags::WRONLY | OFlags::CREATE;
            openat(&at, "file", flags, Mode::RUSR).unwrap();
            at = openat(&at, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        for name in 0..5_000 {
            std::fs::write(dir.path().join(name.to_string()), "").unwrap();
        }
        drop(at);
        empty(opened(dir.path()).as_fd(), c"last").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_name_stays_until_everything_else_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "last", "z"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let (top, mut order) = (opened(dir.path()), Vec::new());
        for kept in [Some(c"last"), None] {
            passes(top.as_fd(), kept, |name| {
                order.push(name.to_owned());
                unlinkat(&top, name, AtFlags::empty())
            })
            .unwrap();
        }
        assert_eq!(order.len(), 3);
        assert_eq!(order.last().map(CString::as_c_str), Some(c"last"));
    }

    #[test]
    fn links_are_not_followed_and_rights_come_back() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("kept"), "").unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::os::unix::fs::symlink(other.path(), inner.join("link")).unwrap();
        for closed in [&inner, &dir.path().join("a")] {
            std::fs::set_permissions(closed, std::fs::Permissions::from_mode(0o0)).unwrap();
        }
        empty(opened(dir.path()).as_fd(), c"last").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(other.path().join("kept").exists());
    }
}
