//! Signals that reach the programs that these tests start, also where the tests themselves were
//! started in the background of a script, which ignores some of them.

use std::sync::OnceLock;

use tokio::signal::unix::{SignalKind, signal};

/// Signals that are ignored are ignored by what is started, too; those that have a handler are not.
pub(crate) fn are_heard() {
    static HANDLERS: OnceLock<()> = OnceLock::new();
    HANDLERS.get_or_init(|| {
        let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
        let ignored = kinds.into_iter().filter(|kind| is_ignored(kind.as_raw_value()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a test needs a runtime to install handlers");
        let _entered = runtime.enter();
        // A handler stays for good.
        ignored.for_each(|kind| drop(signal(kind).expect("a handler can be installed")));
    });
}

fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
