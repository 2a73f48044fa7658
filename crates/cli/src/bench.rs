//! What this machine does: every measurement by name, the conditions, and how both are printed.

mod append;
mod command;
mod conditions;
mod history;
mod idle;
mod kernel;
mod process;
mod replay;
mod report;
mod resident;
mod session;

use std::path::Path;

pub(crate) use conditions::Conditions;
pub(crate) use idle::{idle, kernel_memory};
pub(crate) use report::{Measured, Report};
pub(crate) use resident::sessions_memory;

use crate::command_error::{CommandError, Kind};

/// Measurements that are taken together, and how.
struct Family {
    names: &'static [&'static str],
    run: fn(&Path, &Wanted) -> Result<Vec<Measured>, CommandError>,
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
    Family { names: &["spawn.direct"], run: |_, _| process::direct() },
    Family { names: &["spawn.session"], run: |dir, _| process::session(dir) },
    Family { names: &["session.process.64"], run: |dir, _| process::many(dir) },
    Family { names: &["run.noop.fresh", "run.noop"], run: |dir, _| command::run(dir) },
    Family { names: &["run.version"], run: |_, _| command::version() },
    Family {
        names: &["running.engine.rss", "running.warden.pss", "running.warden.rss"],
        run: |dir, _| resident::run(dir),
    },
    Family { names: &["kernel.100k"], run: |_, _| kernel::run() },
    Family { names: &["replay", "verify"], run: replay::run },
    Family { names: &["open.1m"], run: |dir, _| replay::open(dir) },
    Family { names: &["idle.rss"], run: |dir, _| idle::run(dir) },
    Family { names: &["bytes_per_session_event"], run: |dir, _| session::bytes(dir) },
];

/// Which measurements were asked for.
#[derive(Debug)]
pub(crate) struct Wanted(Vec<&'static str>);

impl Wanted {
    /// Finds measurements by their names or the beginnings of their names; all of them if none is
    /// given.
    pub(crate) fn of(given: &[String]) -> Result<Self, CommandError> {
        let all = || FAMILIES.iter().flat_map(|family| family.names).copied();
        if let Some(unknown) =
            given.iter().find(|name| !all().any(|known| known.starts_with(name.as_str())))
        {
            let hint = format!(
                "known are {}; the beginning of a name stands for all that begin so",
                all().collect::<Vec<_>>().join(", ")
            );
            return Err(CommandError::new(
                Kind::Usage,
                format!("there is no measurement {unknown:?}"),
            )
            .with_hint(hint));
        }
        let asked = |known: &&'static str| {
            let exact = |name: &String| name == known;
            let begins = |name: &String| {
                known.starts_with(name.as_str()) && !all().any(|other| other == name)
            };
            given.is_empty() || given.iter().any(|name| exact(name) || begins(name))
        };
        Ok(Self(all().filter(asked).collect()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }
}

/// Takes the measurements that are wanted, in a directory of their own.
pub(crate) fn run(dir: &Path, wanted: &Wanted) -> Result<Vec<Measured>, CommandError> {
    let mut results = Vec::new();
    for family in FAMILIES.iter().filter(|family| family.names.iter().any(|name| wanted.has(name)))
    {
        anstream::eprintln!("measuring {}", family.names.join(", "));
        results.extend(
            (family.run)(dir, wanted)?.into_iter().filter(|measured| wanted.has(&measured.name)),
        );
    }
    Ok(results)
}

/// A new directory for one measurement.
fn fresh(dir: &Path) -> Result<tempfile::TempDir, CommandError> {
    tempfile::tempdir_in(dir).map_err(|error| {
        CommandError::new(
            Kind::State,
            format!("cannot make a directory in {}: {error}", dir.display()),
        )
    })
}

/// A runtime as a program that embeds the engine has it.
fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Runtime::new().map_err(CommandError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&str]) -> Vec<&'static str> {
        Wanted::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .expect("known names")
            .0
    }

    #[test]
    fn a_name_stands_for_itself_and_a_beginning_for_all_that_begin_so() {
        assert_eq!(wanted(&["append.1"]), ["append.1"]);
        assert_eq!(
            wanted(&["append.floor"]),
            ["append.floor.1", "append.floor.64", "append.floor.256"]
        );
        assert_eq!(
            wanted(&["replay", "session."]),
            ["session.64", "session.serial", "session.process.64", "replay"]
        );
        assert_eq!(wanted(&["run.noop", "spawn"]), ["spawn.direct", "spawn.session", "run.noop"]);
        assert_eq!(wanted(&[]).len(), 26);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(Wanted::of(&["apend".to_owned()]).is_err());
    }
}
