//! What the machine refuses because it has no room is done again until it has.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::room;

/// How long room is waited for.
const WAITS: Duration = Duration::from_secs(10 * 60);

/// Time before the second try, and the longest between two later ones.
const AGAIN: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));

/// Does something again that is refused for want of open files, memory or room on a disk, until it
/// is done or refused for another reason. Blocks.
///
/// # Errors
/// The last refusal.
pub(super) fn outlast<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    outlast_with(attempt, |pause| {
        std::thread::sleep(pause);
        ControlFlow::Continue(())
    })
}

/// The same for one who has something else to do between two tries, and may have it end there.
///
/// # Errors
/// The last refusal.
pub(super) fn outlast_with<T>(
    mut attempt: impl FnMut() -> io::Result<T>,
    mut pauses: impl FnMut(Duration) -> ControlFlow<()>,
) -> io::Result<T> {
    let begun = Instant::now();
    let mut pause = AGAIN.0;
    loop {
        match attempt() {
            Err(error)
                if room::is_lacking(&error)
                    && begun.elapsed() < WAITS
                    && pauses(pause).is_continue() => {}
            done => return done,
        }
        pause = (pause * 2).min(AGAIN.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_want_of_room_is_done_again_and_nothing_else_is() {
        let (mut room, mut other) = (0, 0);
        let done = outlast(|| {
            room += 1;
            let refused = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOSPC];
            refused.get(room).map_or(Ok(room), |&errno| Err(io::Error::from_raw_os_error(errno)))
        });
        assert_eq!(done.unwrap(), 4);
        let refused = outlast(|| -> io::Result<()> {
            other += 1;
            Err(io::Error::from_raw_os_error(libc::EACCES))
        });
        assert_eq!((refused.unwrap_err().raw_os_error(), other), (Some(libc::EACCES), 1));
    }
}
