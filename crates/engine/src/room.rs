//! What this machine can be short of: the one list of errors that are about the machine and not about
//! what was asked of it, so that the same may work in a while, with the words for each.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// What there is too little of, or what does not work now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    OpenFiles,
    OpenFilesOfSystem,
    Processes,
    Memory,
    MemoryOfSockets,
    Locks,
    RoomOnDisk,
    Quota,
    SizeOfFile,
    /// Reading or writing fails.
    Disk,
    /// A file system that was made read-only, as some are after an error.
    Writing,
    /// What a file server, or the program that serves a file system, has lost.
    Server,
}

/// Which error says so.
const ERRORS: [(Errno, Shortage); 14] = [
    (Errno::MFILE, Shortage::OpenFiles),
    (Errno::NFILE, Shortage::OpenFilesOfSystem),
    (Errno::AGAIN, Shortage::Processes),
    (Errno::NOMEM, Shortage::Memory),
    (Errno::NOBUFS, Shortage::MemoryOfSockets),
    (Errno::NOLCK, Shortage::Locks),
    (Errno::NOSPC, Shortage::RoomOnDisk),
    (Errno::DQUOT, Shortage::Quota),
    (Errno::FBIG, Shortage::SizeOfFile),
    (Errno::IO, Shortage::Disk),
    (Errno::ROFS, Shortage::Writing),
    (Errno::STALE, Shortage::Server),
    (Errno::NOTCONN, Shortage::Server),
    (Errno::HOSTDOWN, Shortage::Server),
];

impl Shortage {
    fn behind(errno: i32) -> Option<Self> {
        let found = ERRORS.iter().find(|(error, _)| error.raw_os_error() == errno);
        found.map(|(_, shortage)| *shortage)
    }

    /// Whether the call that met it is worth repeating there and then. What is left out does not
    /// pass in a moment, and [`Errno::AGAIN`] is also what a socket says that has nothing to read.
    fn is_soon_over(self) -> bool {
        match self {
            Self::OpenFiles
            | Self::OpenFilesOfSystem
            | Self::Memory
            | Self::MemoryOfSockets
            | Self::Locks
            | Self::RoomOnDisk
            | Self::Quota => true,
            Self::Processes | Self::SizeOfFile | Self::Disk | Self::Writing | Self::Server => false,
        }
    }

    /// The limit behind it in words, where there is one.
    pub(crate) fn limit(self) -> Option<String> {
        let of = |resource| getrlimit(resource).current;
        Some(match self {
            Self::OpenFiles => match of(Resource::Nofile) {
                Some(files) => format!("the limit of {files} open files (`ulimit -n`)"),
                None => "no limit of open files".to_owned(),
            },
            Self::OpenFilesOfSystem => {
                "the limit of open files of the system (`fs.file-max`)".to_owned()
            }
            Self::Processes => {
                let limit = of(Resource::Nproc);
                let limit = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
                format!(
                    "the limit of processes (`ulimit -u`: {limit}, `pids.max` of its control \
                     group, or `kernel.pid_max`)"
                )
            }
            Self::Memory => "the memory of this machine, or of its control group".to_owned(),
            Self::MemoryOfSockets => "the memory for sockets".to_owned(),
            Self::Locks => "the locks of the file system".to_owned(),
            Self::RoomOnDisk => "the room on the disk".to_owned(),
            Self::Quota => "the quota of the disk".to_owned(),
            Self::SizeOfFile => match of(Resource::Fsize) {
                Some(bytes) => format!("the limit of {bytes} bytes for a file (`ulimit -f`)"),
                None => "the largest size of a file".to_owned(),
            },
            Self::Disk | Self::Writing | Self::Server => return None,
        })
    }

    /// What there is to add to what the system says.
    fn told(self) -> String {
        match (self.limit(), self) {
            (Some(limit), _) => format!("what ran out is {limit}"),
            (None, Self::Writing) => "the file system is read-only for now".to_owned(),
            (None, Self::Server) => "what serves the file system is gone".to_owned(),
            (None, _) => "the disk or its file system fails".to_owned(),
        }
    }
}

/// Whether an error says that there are too many open files, or too little memory or room on a
/// disk, so that the same call may be answered otherwise in a moment.
pub(crate) fn is_lacking(error: &io::Error) -> bool {
    error.raw_os_error().and_then(Shortage::behind).is_some_and(Shortage::is_soon_over)
}

/// What a text says that ends with an error of the system, with the limit that is behind it; `None`
/// where the error is about what was asked for.
pub(crate) fn shortage_of(text: &str) -> Option<String> {
    let shortage = errno_in(text).and_then(Shortage::behind)?;
    Some(format!("{text}; {}", shortage.told()))
}

/// The same of an error that is known not to be about what was asked for; `None` where the text has
/// no error of the system.
pub(crate) fn explained(text: &str) -> Option<String> {
    let shortage = Shortage::behind(errno_in(text)?);
    Some(shortage.map_or_else(|| text.to_owned(), |found| format!("{text}; {}", found.told())))
}

/// The number of the error in what an [`io::Error`] says of itself.
fn errno_in(text: &str) -> Option<i32> {
    let (_, rest) = text.rsplit_once("(os error ")?;
    rest.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_machine_is_told_in_words_and_those_of_a_program_are_not_among_them() {
        for (errno, shortage) in ERRORS {
            let text = format!("cannot do it: {}", io::Error::from(errno));
            let told = shortage_of(&text).unwrap();
            assert_eq!(told, format!("{text}; {}", shortage.told()));
            assert_eq!(explained(&text).unwrap(), told);
        }
        let at_once: Vec<_> =
            ERRORS.iter().filter(|(errno, _)| is_lacking(&(*errno).into())).collect();
        assert_eq!(at_once.len(), 7, "{at_once:?}");
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::NOEXEC, Errno::TOOBIG, Errno::NOTDIR] {
            let text = io::Error::from(errno).to_string();
            assert_eq!((shortage_of(&text), explained(&text)), (None, Some(text)));
        }
        for text in ["nothing of the kind", "nothing of the kind (os error x)"] {
            assert_eq!((shortage_of(text), explained(text)), (None, None));
        }
    }
}
