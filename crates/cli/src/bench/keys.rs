//! Keys of a run: how long a change takes, what many of them take up, and contexts, which are keys.

use std::path::Path;
use std::time::Instant;

use antiphon::contexts::IntelligenceUpdate;
use antiphon::id::AgentId;
use antiphon::keys::{JsonText, KeyName, KeyWrite};
use antiphon::ledger::Location;
use antiphon::{Engine, Run};
use serde_json::json;

use super::memory::{in_another_process, resident};
use super::report::Measured;
use super::rounds::{ROUNDS, Rounds};
use super::scratch::{fresh, in_memory, open_run, runtime};
use crate::command_error::CommandError;

/// Changes of a round, one after the other.
const EACH: usize = 500;

/// As many keys as a run may have.
const MANY: usize = 100_000;

/// Keys that are set together.
const TOGETHER: usize = 1_000;

/// Agents that are given contexts at the same time.
const AGENTS: usize = 100;

/// How long a caller waits until a change of one key is durable.
pub(super) fn set(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let (engine, run) = on_disk(dir.path()).await?;
        let mut rounds = Rounds::default();
        for round in 0..ROUNDS {
            let (began, mut times) = (Instant::now(), Vec::with_capacity(EACH));
            for change in 0..EACH {
                let before = Instant::now();
                set_keys(&run, [write(0, round * EACH + change)?]).await?;
                times.push(before.elapsed());
            }
            rounds.add(times, began.elapsed());
        }
        engine.close().await.map_err(CommandError::internal)?;
        Ok(vec![rounds.measured("key.set")])
    })
}

/// By how much an engine grows with as many keys as a run may have, in a process of its own.
pub(super) fn many(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let bytes =
        in_another_process(&["--dir", &dir.path().to_string_lossy(), "bench", "--keys-memory"])?;
    Ok(bytes.into_iter().map(|bytes| Measured::size("keys.100k", bytes as f64)).collect())
}

/// Is the engine with the keys, and prints by how much this process has grown.
pub(crate) fn keys_memory(dir: &Path) -> Result<(), CommandError> {
    runtime()?.block_on(async {
        let (engine, run) = on_disk(dir).await?;
        // What comes only once, whatever the number of keys, is there.
        for first in 0..TOGETHER {
            set_keys(&run, [write(first, 0)?]).await?;
        }
        let before = resident()?;
        for first in (0..MANY).step_by(TOGETHER) {
            let writes = (first..first + TOGETHER).map(|key| write(key, key));
            set_keys(&run, writes.collect::<Result<Vec<_>, _>>()?).await?;
        }
        anstream::println!("{}", resident()?.saturating_sub(before));
        engine.close().await.map_err(CommandError::internal)
    })
}

/// On a ledger in memory, for each of a hundred agents: the context that it is given, and a part of it
/// that is updated for all of them.
pub(super) fn contexts(_: &Path) -> Result<Vec<Measured>, CommandError> {
    runtime()?.block_on(async {
        let (engine, run) = in_memory().await?;
        let contexts = run.contexts();
        let (mut given, mut updated) = (Rounds::default(), Rounds::default());
        for round in 0..ROUNDS * 10 {
            let mut all = Vec::with_capacity(AGENTS);
            for agent in 0..AGENTS {
                let id: AgentId =
                    format!("agent-{agent}").parse().map_err(CommandError::internal)?;
                let objective = format!("Generate part {agent} for the time {round}");
                let assignment = json!({ "objective": objective, "tasks": ["generate"] });
                all.push((id, json!({ "agent_assignment": assignment })));
            }
            let began = Instant::now();
            contexts.distribute(all).await.map_err(CommandError::internal)?;
            given.add_all(AGENTS, began.elapsed());
            let names = json!({ "class": format!("Style{round}") });
            let update = IntelligenceUpdate {
                field: "naming_conventions".to_owned(),
                data: names.as_object().cloned().unwrap_or_default(),
                agents: None,
                counts: true,
            };
            let began = Instant::now();
            contexts.update(&update).await.map_err(CommandError::internal)?;
            updated.add_all(AGENTS, began.elapsed());
        }
        engine.close().await.map_err(CommandError::internal)?;
        Ok(vec![given.measured("context.100"), updated.measured("context.100.update")])
    })
}

async fn on_disk(dir: &Path) -> Result<(Engine, Run), CommandError> {
    open_run(Engine::builder_at(&Location::directory(dir))).await
}

fn write(key: usize, value: usize) -> Result<KeyWrite, CommandError> {
    let key = KeyName::new(format!("state/{key}")).map_err(CommandError::internal)?;
    let value = JsonText::new(value.to_string()).map_err(CommandError::internal)?;
    KeyWrite::set(key, value).map_err(CommandError::internal)
}

async fn set_keys(
    run: &Run,
    writes: impl IntoIterator<Item = KeyWrite>,
) -> Result<(), CommandError> {
    run.set_keys(writes).await.map(drop).map_err(CommandError::internal)
}
