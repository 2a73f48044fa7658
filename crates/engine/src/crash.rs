//! Named points at which a test may kill this process, as a power button would. Nothing without the
//! feature `crash-points`.

/// Every point that a turn passes, in order. Others lie on the way of a command for the end of a
/// run: `on_end.before` and `on_end.after`.
pub const POINTS: [&str; 10] = [
    "append.before",
    "receipt.before",
    "receipt.after",
    "append.after",
    "snapshot.before",
    "snapshot.after",
    "mark.before",
    "mark.after",
    "release.before",
    "release.after",
];

/// Ends this process with SIGKILL if `ANTIPHON_CRASH_AT` names this point and it was passed often
/// enough: `append.after:17`.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &'static str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static AT: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let at = std::env::var("ANTIPHON_CRASH_AT").ok()?;
        let (name, count) = at.split_once(':')?;
        Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
    });
    if let Some((at, left)) = AT.as_ref()
        && at == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing: crash points are not compiled in.
#[cfg(not(feature = "crash-points"))]
pub(crate) fn point(_name: &'static str) {}
