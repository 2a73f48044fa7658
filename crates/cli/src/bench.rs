//! What this machine does: every measurement by name, the conditions, and how both are printed.

mod append;
mod command;
mod conditions;
mod detach;
mod followers;
mod history;
mod idle;
mod kernel;
mod keys;
mod memory;
mod process;
mod replay;
mod report;
mod resident;
mod retry;
mod rounds;
mod routing;
mod scratch;
mod selection;
mod session;
mod signal;
mod snapshot;
mod wait;

use std::path::Path;

pub(crate) use conditions::BenchConditions;
pub(crate) use idle::idle;
pub(crate) use kernel::kernel_memory;
pub(crate) use keys::keys_memory;
pub(crate) use report::{BenchReport, Measured};
pub(crate) use resident::sessions_memory;

use crate::command_error::CommandError;
use selection::Selection;

/// Measurements that are taken together, and how.
struct Family {
    names: &'static [&'static str],
    run: fn(&Path, &Selection) -> Result<Vec<Measured>, CommandError>,
}

/// Every measurement there is, in the order in which they are taken.
const FAMILIES: &[Family] = &[
    Family { names: &["append.1", "append.floor.1"], run: |dir, _| append::run(dir, 1) },
    Family { names: &["append.64", "append.floor.64"], run: |dir, _| append::run(dir, 64) },
    Family { names: &["append.256", "append.floor.256"], run: |dir, _| append::run(dir, 256) },
    Family { names: &["session.64"], run: |dir, _| session::cycles(dir, "session.64", 64) },
    Family { names: &["session.serial"], run: |dir, _| session::cycles(dir, "session.serial", 1) },
    Family { names: &["coordination.one_item"], run: |dir, _| session::one_item(dir) },
    Family { names: &["steps.10"], run: |dir, _| session::steps(dir) },
    Family { names: &["fanout.100"], run: |dir, _| session::fan_out(dir) },
    Family { names: &["signal.memory"], run: |dir, _| signal::heard(dir, "signal.memory", true) },
    Family {
        names: &["signal.durable"],
        run: |dir, _| signal::heard(dir, "signal.durable", false),
    },
    Family { names: &["signal.senders.64"], run: |dir, _| signal::senders(dir) },
    Family {
        names: &["signal.socket.memory"],
        run: |dir, _| signal::socket(dir, "signal.socket.memory", true),
    },
    Family {
        names: &["signal.socket.durable"],
        run: |dir, _| signal::socket(dir, "signal.socket.durable", false),
    },
    Family {
        names: &["signal.history.1k", "signal.history.1m", "signal.bytes", "signal.open.1m"],
        run: |dir, _| signal::history(dir),
    },
    Family { names: &["signal.cli"], run: |dir, _| signal::command(dir) },
    Family { names: &["key.set"], run: |dir, _| keys::set(dir) },
    Family { names: &["keys.100k"], run: |dir, _| keys::many(dir) },
    Family { names: &["context.100", "context.100.update"], run: |dir, _| keys::contexts(dir) },
    Family { names: &["wait.10k", "wait.10k.keys", "wait.10k.idle"], run: |dir, _| wait::run(dir) },
    Family { names: &["spawn.direct"], run: |_, _| process::direct() },
    Family { names: &["spawn.session"], run: |dir, _| process::session(dir) },
    Family { names: &["session.process.64"], run: |dir, _| process::many(dir) },
    Family { names: &["run.noop.fresh", "run.noop"], run: |dir, _| command::run(dir) },
    Family { names: &["run.detach"], run: |dir, _| detach::run(dir) },
    Family { names: &["run.version"], run: |_, _| command::version() },
    Family {
        names: &["running.engine.rss", "running.warden.pss", "running.warden.rss"],
        run: |dir, _| resident::run(dir),
    },
    Family { names: &["kernel.100k"], run: |_, _| kernel::run() },
    Family { names: &["followers.0", "followers.10k"], run: |dir, _| followers::run(dir) },
    Family { names: &["snapshot.100k"], run: |dir, _| snapshot::run(dir) },
    Family { names: &["replay", "verify"], run: replay::run },
    Family { names: &["open.1m"], run: |dir, _| replay::open(dir) },
    Family { names: &["retry.2000"], run: |dir, _| retry::run(dir) },
    Family { names: &["route.four", "route.rules.10"], run: |_, _| routing::run() },
    Family { names: &["idle.rss"], run: |dir, _| idle::run(dir) },
    Family { names: &["bytes_per_session_event"], run: |dir, _| session::bytes(dir) },
];

/// The measurements that are named, or whose names begin so; all of them if none is given.
pub(crate) fn select(given: &[String]) -> Result<Selection, CommandError> {
    let known: Vec<&str> = FAMILIES.iter().flat_map(|family| family.names).copied().collect();
    Selection::among(&known, given)
}

/// Takes the measurements that are selected, in a directory of their own. One that fails costs no
/// other: its names are given beside what was measured.
pub(crate) fn run(dir: &Path, selection: &Selection) -> (Vec<Measured>, Vec<String>) {
    let (mut results, mut failed) = (Vec::new(), Vec::new());
    for family in
        FAMILIES.iter().filter(|family| family.names.iter().any(|name| selection.has(name)))
    {
        let names = family.names.join(", ");
        anstream::eprintln!("measuring {names}");
        match (family.run)(dir, selection) {
            Ok(measured) => {
                results.extend(measured.into_iter().filter(|one| selection.has(&one.name)));
            }
            Err(error) => {
                anstream::eprintln!("error: {names}: {}", error.message());
                failed.push(names);
            }
        }
    }
    (results, failed)
}

#[cfg(test)]
mod tests {
    use super::select;

    fn selected(names: &[&str]) -> Vec<&'static str> {
        select(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .expect("known names")
            .names()
            .to_vec()
    }

    #[test]
    fn a_name_stands_for_itself_and_a_beginning_for_all_that_begin_so() {
        assert_eq!(selected(&["append.1"]), ["append.1"]);
        assert_eq!(
            selected(&["append.floor"]),
            ["append.floor.1", "append.floor.64", "append.floor.256"]
        );
        assert_eq!(
            selected(&["replay", "session."]),
            ["session.64", "session.serial", "session.process.64", "replay"]
        );
        assert_eq!(selected(&["run.noop", "spawn"]), ["spawn.direct", "spawn.session", "run.noop"]);
        assert_eq!(selected(&[]).len(), 50);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(select(&["apend".to_owned()]).is_err());
    }
}
