//! Errors that say that the machine has no room now: the same may work in a while, and nothing is
//! wrong with what was asked for.

use std::io;

use rustix::io::Errno;

/// Whether an error says that there are too many open files, or too little memory or room on a
/// disk.
pub(crate) fn is_lacking(error: &io::Error) -> bool {
    use Errno as E;
    Errno::from_io_error(error).is_some_and(|errno| {
        matches!(errno, E::MFILE | E::NFILE | E::NOMEM | E::NOBUFS | E::NOSPC | E::DQUOT)
    })
}
