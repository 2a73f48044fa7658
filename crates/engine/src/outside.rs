//! Opening files that others can change: what was a file when it was named may be a FIFO, a device
//! or endless when it is opened.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::retry_on_intr;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// There is something else, which may never end or never begin.
    #[error("it is {0}, not a regular file")]
    NotAFile(&'static str),
    /// It is, or became, larger than what is read.
    #[error("it has more than {max} bytes, which is the most that is read")]
    TooLarge { max: u64 },
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl ReadError {
    /// Whether there is nothing at all.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::System(error) => error,
            other => Self::new(io::ErrorKind::InvalidData, other.to_string()),
        }
    }
}

/// Opens a regular file, and nothing else, without waiting for anybody.
///
/// It may still block on a slow disk, so the runtime's threads are no place for it.
pub(crate) fn open(path: &Path) -> Result<File, ReadError> {
    open_with(CWD, path, OFlags::empty())
}

/// The same where a symbolic link is something else too.
pub(crate) fn open_no_link(path: &Path) -> Result<File, ReadError> {
    open_with(CWD, path, OFlags::NOFOLLOW)
}

/// The same for a name in a folder that is open.
pub(crate) fn open_in(folder: BorrowedFd<'_>, name: &Path) -> Result<File, ReadError> {
    open_with(folder, name, OFlags::NOFOLLOW)
}

fn open_with(from: BorrowedFd<'_>, path: &Path, more: OFlags) -> Result<File, ReadError> {
    // Opening is an act on a FIFO and on some devices, so they are not even opened if they were
    // there before.
    let look = match more.contains(OFlags::NOFOLLOW) {
        true => AtFlags::SYMLINK_NOFOLLOW,
        false => AtFlags::empty(),
    };
    let before = statat(from, path, look).map_err(io::Error::from)?;
    refuse_others(FileType::from_raw_mode(before.st_mode))?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    let opened = retry_on_intr(|| openat(from, path, flags, Mode::empty()));
    let file = opened.map_err(io::Error::from)?;
    let found = fstat(&file).map_err(io::Error::from)?;
    refuse_others(FileType::from_raw_mode(found.st_mode))?;
    Ok(File::from(file))
}

/// Reads a regular file of at most `max` bytes, whatever its size was said to be.
pub(crate) fn read(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    read_open(open(path)?, max)
}

/// Reads an open file to its end, and no further than `max` bytes.
pub(crate) fn read_open(file: impl io::Read, max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(ReadError::TooLarge { max });
    }
    Ok(bytes)
}

fn refuse_others(found: FileType) -> Result<(), ReadError> {
    Err(ReadError::NotAFile(match found {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "a directory",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::Symlink => "a symbolic link",
        _ => "a device",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_file_and_ends_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), fifo, Mode::RWXU, 0).unwrap();
        std::fs::write(at("file"), "12345").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("endless")).unwrap();
        let said = |path: &Path| read(path, 5).map_err(|error| error.to_string());
        assert_eq!(said(&at("file")).unwrap(), b"12345");
        assert_eq!(said(&at("link")).unwrap(), b"12345");
        assert_eq!(said(&at("fifo")).unwrap_err(), "it is a pipe, not a regular file");
        assert_eq!(said(&at("endless")).unwrap_err(), "it is a device, not a regular file");
        assert_eq!(said(dir.path()).unwrap_err(), "it is a directory, not a regular file");
        assert!(read(&at("none"), 5).unwrap_err().is_absent());
        assert!(matches!(read(&at("file"), 4), Err(ReadError::TooLarge { max: 4 })));
        assert!(matches!(open_no_link(&at("link")), Err(ReadError::NotAFile("a symbolic link"))));
        // Its size is told as nothing, and it has bytes all the same.
        assert!(matches!(read(Path::new("/proc/self/maps"), 9), Err(ReadError::TooLarge { .. })));
    }
}
