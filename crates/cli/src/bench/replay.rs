//! Reading a ledger back: replay of what is live, verification of all of it, and the time until a
//! large one serves.

use std::path::Path;
use std::time::Instant;

use antiphon::Engine;
use antiphon::ledger::Location;
use antiphon::ledger::verify::Scope;

use super::history;
use super::report::Measured;
use super::scratch::{fresh, runtime};
use super::selection::Selection;
use super::session::{config, items};
use crate::command_error::CommandError;

const ROUNDS: usize = 5;

/// Live coordinations of about 2,000 events each that are replayed.
const LIVE: usize = 64;

/// Ended and live coordinations that make a million events.
const MILLION: (usize, usize) = (436, 64);

/// Opens a ledger of live coordinations without snapshots, which replays it with every hash
/// checked; and verifies it.
pub(super) fn run(dir: &Path, selection: &Selection) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let events = history::make(dir.path(), 0, LIVE)?;
    let mut results = Vec::new();
    if selection.has("replay") {
        let open = || Engine::builder(dir.path()).map(drop).map_err(CommandError::internal);
        results.push(repeated("replay", events, open)?);
    }
    if selection.has("verify") {
        let check = || {
            let report = Location::directory(dir.path())
                .verify(&Scope::Ledger)
                .map_err(CommandError::internal)?;
            if report.is_sound() {
                Ok(())
            } else {
                Err(CommandError::internal("the ledger that was made is not sound"))
            }
        };
        results.push(repeated("verify", events, check)?);
    }
    Ok(results)
}

fn repeated(
    name: &str,
    events: u64,
    act: impl Fn() -> Result<(), CommandError>,
) -> Result<Measured, CommandError> {
    let (mut times, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = Instant::now();
        act()?;
        let taken = before.elapsed();
        times.push(taken);
        rates.push(events as f64 / taken.as_secs_f64());
    }
    Ok(Measured::timed(name, "ms", &mut times, &mut rates))
}

/// From nothing to the first acknowledged submission, on a ledger of a million events.
pub(super) fn open(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let (ended, live) = MILLION;
    let events = history::make(dir.path(), ended, live)?;
    let serve = || {
        runtime()?.block_on(async {
            let setup = Engine::builder(dir.path()).map_err(CommandError::internal)?;
            let engine = setup.start().await.map_err(CommandError::internal)?;
            engine.submit(config(items(1)?)?).await.map(drop).map_err(CommandError::internal)
        })
    };
    Ok(vec![repeated("open.1m", events, serve)?])
}
