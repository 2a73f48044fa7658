//! The ground for agents that work together: an engine with a run, whose keys are what they share.
//! Each change has a version, may rest on one, and outlives the engine.
//!
//! Run it with `cargo run --example shared_state`.

use std::fmt::Write;
use std::time::Duration;

use antiphon::keys::{Expected, JsonText, KeyWrite};
use antiphon::{Budget, CoordinationConfig, Engine, Run};
use serde_json::{Value, json};

/// What it prints.
const TOLD: &str = "\
2 keys have version 2
state/files = 5 at version 3
refused: key state/files was set at version 3, and was expected to be as of version 2; read it again
measured: context_distribution_per_agent_ms, context_distribution_time_ms, context_size_bytes, \
dependency_resolution_time_ms, routing_decision_time_ms, routing_decisions_count, \
signal_propagation_time_ms, signals_received, signals_sent
after a restart:
state/files = 5 at version 3
state/phase = \"parsing\" at version 2
state/files was 5, 3
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?; // yours would outlive the program
    let mut told = String::new();

    let engine = Engine::open(dir.path().join(".antiphon")).await?;
    let budget = Budget::sessions(10).within(Duration::from_secs(60)).build()?;
    // An open run takes work and messages until it is closed.
    let config = CoordinationConfig::open(Vec::new(), budget)?.with_id("codegen")?;
    let run = engine.submit(config).await?;

    // Both are changed together or not at all.
    let changes = [set("state/phase", &json!("parsing"))?, set("state/files", &json!(3))?];
    let first = run.set_keys(changes).await?;
    writeln!(told, "2 keys have version {first}")?;

    // Of two that read the same version and change it, one wins.
    let parser = set("state/files", &json!(5))?.expecting(Expected::At(first));
    let other = set("state/files", &json!(4))?.expecting(Expected::At(first));
    run.set_keys([parser]).await?;
    tell(&run, "state/files", &mut told).await?;
    if let Err(refused) = run.set_keys([other]).await {
        writeln!(told, "refused: {refused}")?;
    }

    let measured: Vec<&str> = engine.stats().all().into_keys().collect();
    writeln!(told, "measured: {}", measured.join(", "))?;
    engine.close().await?;

    let engine = Engine::open(dir.path().join(".antiphon")).await?;
    let run = engine.run("codegen")?;
    writeln!(told, "after a restart:")?;
    tell(&run, "state/", &mut told).await?;
    let history = run.key_history("state/files", 10).await?;
    let values = history.iter().filter_map(|record| record.value.as_ref());
    let values: Vec<&str> = values.map(JsonText::as_str).collect();
    writeln!(told, "state/files was {}", values.join(", "))?;
    engine.close().await?;

    print!("{told}");
    assert_eq!(told, TOLD);
    Ok(())
}

fn set(key: &str, value: &Value) -> Result<KeyWrite, Box<dyn std::error::Error>> {
    Ok(KeyWrite::set(key.parse()?, JsonText::new(value.to_string())?)?)
}

/// Tells the keys that begin so.
async fn tell(
    run: &Run,
    prefix: &str,
    told: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    for found in run.keys(prefix, None, 100).await? {
        let (key, value) = (&found.key, found.value.as_str());
        writeln!(told, "{key} = {value} at version {}", found.version)?;
    }
    Ok(())
}
