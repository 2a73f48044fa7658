//! A folder that is held open: what is in it is reached through its descriptor, so that all of it
//! is in the folder that was opened, whatever its path names by then.
//!
//! Links in it are not followed, and what root makes in it belongs to its owner.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use crate::hand_over;
use crate::outside::{self, ReadError};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A folder that is held open.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    opened: Arc<File>,
    shown: PathBuf,
}

impl Folder {
    /// Holds the folder that a path names now.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let opened = retry_on_intr(|| rustix::fs::open(path, FOLDER, Mode::empty()))?;
        Ok(Self::of(opened, path))
    }

    /// Holds a folder that is open already.
    pub(crate) fn of(opened: OwnedFd, shown: impl Into<PathBuf>) -> Self {
        Self { opened: Arc::new(File::from(opened)), shown: shown.into() }
    }

    /// The path by which it was opened, for people: by now it may name something else.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// The same for something in it.
    pub(crate) fn shown_of(&self, name: impl AsRef<Path>) -> PathBuf {
        self.shown.join(name)
    }

    /// The folder itself, as an open file.
    pub(crate) fn file(&self) -> &File {
        &self.opened
    }

    /// Opens a folder in it.
    pub(crate) fn below(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = name.as_ref();
        Ok(Self::of(self.open_as(name, FOLDER)?.into(), self.shown_of(name)))
    }

    /// Makes a private folder in it that is not there yet.
    pub(crate) fn create_folder(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = name.as_ref();
        mkdirat(&self.opened, name, Mode::RWXU)?;
        let made = self.below(name)?;
        hand_over::to_owner_of(&self.opened, &made.opened)?;
        Ok(made)
    }

    /// Makes a private file in it that is not there yet.
    pub(crate) fn create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let made = self.open_as(name.as_ref(), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        hand_over::to_owner_of(&self.opened, &made)?;
        Ok(made)
    }

    /// Makes a private file in it, also where there is one.
    pub(crate) fn create_anew(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        match self.create(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Not written over: it may be a link to something else.
                self.remove_file(&name)?;
                self.create(&name)
            }
            made => made,
        }
    }

    /// Opens a file in it for reading and writing, and makes it a private one if it is not there.
    pub(crate) fn open_or_create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let opened = self.open_as(name.as_ref(), OFlags::RDWR | OFlags::CREATE)?;
        hand_over::to_owner_of(&self.opened, &opened)?;
        Ok(opened)
    }

    /// Opens a file in it to write at its end.
    pub(crate) fn append_to(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.open_as(name.as_ref(), OFlags::WRONLY | OFlags::APPEND)
    }

    /// Opens a regular file in it, and nothing else, without waiting for anybody.
    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File, ReadError> {
        outside::open_in(self.as_fd(), Path::new(name.as_ref()))
    }

    /// Reads a regular file in it of at most `max` bytes.
    pub(crate) fn read(&self, name: impl AsRef<OsStr>, max: u64) -> Result<Vec<u8>, ReadError> {
        outside::read_open(self.open_file(name)?, max)
    }

    fn open_as(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| openat(&self.opened, name, flags, PRIVATE))?;
        Ok(File::from(opened))
    }

    /// What is under a name in it; a link is looked at itself.
    pub(crate) fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Stat> {
        Ok(statat(&self.opened, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Whether there is anything under a name in it.
    pub(crate) fn has(&self, name: impl AsRef<OsStr>) -> bool {
        self.stat(name).is_ok()
    }

    /// What is in it, in no order.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        // Opened anew: where a listing is, is a matter of the open file.
        for entry in Dir::read_from(&self.opened)? {
            let entry = entry?;
            if is_own(entry.file_name()) {
                continue;
            }
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            // Not every file system says it in the listing.
            let kind = match entry.file_type() {
                FileType::Unknown => match self.stat(&name) {
                    Ok(found) => FileType::from_raw_mode(found.st_mode),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
                kind => kind,
            };
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }

    /// Gives something in it another name in it, in the place of what has that name.
    pub(crate) fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(renameat(&self.opened, from.as_ref(), &self.opened, to.as_ref())?)
    }

    /// Removes a file in it.
    pub(crate) fn remove_file(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.opened, name.as_ref(), AtFlags::empty())?)
    }

    /// Removes a folder in it that is empty.
    pub(crate) fn remove_empty(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.opened, name.as_ref(), AtFlags::REMOVEDIR)?)
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.opened.sync_all()
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.opened.as_fd()
    }
}

/// Something in a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    kind: FileType,
}

impl Entry {
    pub(crate) fn is_folder(&self) -> bool {
        self.kind.is_dir()
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind.is_file()
    }
}

fn is_own(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Whether an error says that there is nothing of that kind under a name: also where something else
/// is there, as a file or a link where a folder is looked for.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};

    use super::*;

    /// Somebody who is not root.
    const SOMEBODY: u32 = 65_534;

    /// All that is below a directory, with what is in files.
    fn tree(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            found.push((path.clone(), fs::read(&path).ok()));
            if path.is_dir() {
                found.extend(tree(&path));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn everything_is_done_in_the_folder_that_was_opened_and_in_no_other() {
        let above = tempfile::tempdir().unwrap();
        let (here, away) = (above.path().join("here"), above.path().join("away"));
        for dir in [&here, &above.path().join("new")] {
            fs::create_dir_all(dir.join("below")).unwrap();
            fs::write(dir.join("old"), "old").unwrap();
        }
        let folder = Folder::open(&here).unwrap();
        fs::rename(&here, &away).unwrap();
        fs::rename(above.path().join("new"), &here).unwrap();
        let before = tree(&here);
        folder.create("one").unwrap();
        folder.create_anew("old").unwrap();
        folder.create_folder("made").unwrap().create("two").unwrap();
        folder.below("below").unwrap().create("three").unwrap();
        folder.rename("one", "four").unwrap();
        folder.open_or_create("five").unwrap();
        assert_eq!(tree(&here), before);
        let mut names: Vec<OsString> =
            folder.entries().unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        assert_eq!(names, ["below", "five", "four", "made", "old"]);
        assert_eq!(folder.read("old", 9).unwrap(), b"");
        folder.remove_file("old").unwrap();
        folder.remove_empty("below").unwrap_err();
        folder.below("made").unwrap().remove_file("two").unwrap();
        folder.remove_empty("made").unwrap();
        assert_eq!(tree(&here), before);
        assert!(!away.join("made").exists() && away.join("below/three").exists());
    }

    #[test]
    fn links_are_neither_followed_nor_written_over() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let precious = other.path().join("precious");
        fs::write(&precious, b"kept").unwrap();
        symlink(&precious, dir.path().join("linked")).unwrap();
        fs::hard_link(&precious, dir.path().join("named")).unwrap();
        symlink(other.path(), dir.path().join("below")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.open_or_create("linked").is_err());
        assert!(folder.append_to("linked").is_err());
        assert!(matches!(folder.read("linked", 9), Err(ReadError::NotAFile("a symbolic link"))));
        assert!(is_absent(&folder.below("below").unwrap_err()));
        folder.create_anew("linked").unwrap();
        folder.create_anew("named").unwrap();
        assert_eq!(fs::read(&precious).unwrap(), b"kept");
    }

    #[test]
    fn what_root_makes_in_a_folder_of_somebody_else_is_his() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        fs::write(dir.path().join("anew"), b"before").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.create_folder("a").unwrap().create("file").unwrap();
        folder.create_anew("anew").unwrap();
        folder.open_or_create("opened").unwrap();
        for name in ["a", "a/file", "anew", "opened"] {
            assert_eq!(dir.path().join(name).metadata().unwrap().uid(), SOMEBODY, "{name}");
        }
    }
}
