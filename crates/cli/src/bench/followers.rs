//! What an event costs the engine in memory while nobody follows it, and while many do.

use std::path::Path;
use std::time::Instant;

use antiphon::Run;
use antiphon::id::Version;

use super::report::Measured;
use super::rounds::{ROUNDS, Rounds};
use super::scratch::{in_memory, runtime};
use crate::command_error::CommandError;

/// Events of one round: pauses and their ends, one after the other.
const EVENTS: usize = 1_000;

/// Followers, none of which reads: what they would do is no cost of the engine.
const MANY: usize = 10_000;

/// From a command to its answer on a ledger in memory, which is its event and little else: with no
/// follower of its run, and with many. The difference is what followers cost.
pub(super) fn run(_: &Path) -> Result<Vec<Measured>, CommandError> {
    runtime()?.block_on(async {
        let (engine, run) = in_memory().await?;
        let alone = measured("followers.0", &run).await?;
        let now = run.status().await.map_err(CommandError::internal)?.version;
        let mut followers = Vec::with_capacity(MANY);
        for _ in 0..MANY {
            followers.push(run.follow_after(now).await.map_err(CommandError::internal)?);
        }
        let followed = measured("followers.10k", &run).await?;
        // Each of them has what came first, or is told that it must read it from the ledger.
        for follower in &mut followers {
            let next = follower.next().await.map_err(CommandError::internal)?;
            if next.is_none_or(|event| event.version != Version(now.0 + 1)) {
                return Err(CommandError::internal("a follower has missed an event"));
            }
        }
        drop(followers);
        engine.close().await.map_err(CommandError::internal)?;
        Ok(vec![alone, followed])
    })
}

async fn measured(name: &str, run: &Run) -> Result<Measured, CommandError> {
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut taken = Vec::with_capacity(EVENTS);
        for event in 0..EVENTS {
            let before = Instant::now();
            let recorded = match event % 2 {
                0 => run.pause("").await,
                _ => run.unpause().await,
            };
            recorded.map_err(CommandError::internal)?;
            taken.push(before.elapsed());
        }
        rounds.add(taken, began.elapsed());
    }
    Ok(rounds.measured(name))
}
