//! One agent says that it is done, another one waits to hear it. Who comes late misses nothing, and
//! what a session does is told as signals, too, without anybody sending them.
//!
//! Run it with `cargo run --example signals`.

use std::fmt::Write;
use std::time::Duration;

use antiphon::signals::{From, HeardSignal, JsonText, Signal, SignalFilter};
use antiphon::{Budget, CoordinationConfig, Engine, Failed, Output, SessionContext, WorkSpec};
use serde_json::json;

/// What it prints.
const TOLD: &str = "\
model-generator is done: 5 models, quality 0.95
from the beginning:
    agent_completed from model-generator
    agent_initialized from validator-generator
    review.requested from validator-generator to model-generator
    agent_completed from validator-generator, failed
for model-generator, newest first:
    agent_completed from validator-generator, failed
    review.requested from validator-generator to model-generator
    agent_initialized from validator-generator
    agent_completed from model-generator
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("validators", |session: SessionContext| async move {
        let review = Signal::new("review.requested".parse()?).to("model-generator".parse()?);
        let data = JsonText::new(json!({ "file": "validators.py" }).to_string())?;
        session.signal(review.with_data(data)?).await?;
        Err(Failed::because("a validator does not compile")) as Result<Output, _>
    })?;
    let engine = builder.start().await?;
    let budget = Budget::sessions(10).within(Duration::from_secs(60)).build()?;
    let config = CoordinationConfig::open(Vec::new(), budget)?.with_id("codegen-session-1")?;
    let run = engine.submit(config).await?;

    let done = Signal::new("agent_completed".parse()?).from("model-generator".parse()?);
    let data = json!({ "models": 5, "quality_score": 0.95, "execution_time_ms": 1234.5 });
    // It is durable once this returns.
    run.signal(done.with_data(JsonText::new(data.to_string())?)?).await?;

    // Whoever subscribes now still hears it.
    let mut told = String::new();
    let completed = SignalFilter::new().of_type("agent_completed")?;
    let mut signals = run.signals(completed, From::Beginning).await?;
    while let Some(signal) = signals.next().await? {
        if signal.about.as_str() == "model-generator" {
            let (who, data) = (&signal.from, signal.json()?);
            let (models, quality) = (&data["models"], &data["quality_score"]);
            writeln!(told, "{who} is done: {models} models, quality {quality}")?;
            break;
        }
    }

    // An item speaks under its id. That it begins and ends is known from its record.
    let validators = WorkSpec::function("validator-generator", "validators")?.with_attempts(1);
    run.add_work(validators).await?;
    run.close("that is all").await?;
    run.wait().await?;

    writeln!(told, "from the beginning:")?;
    let mut all = run.signals(SignalFilter::new(), From::Beginning).await?;
    while let Some(signal) = all.next().await? {
        tell(&signal, &mut told)?;
    }
    writeln!(told, "for model-generator, newest first:")?;
    let addressed = SignalFilter::new().to("model-generator".parse()?);
    for signal in run.signal_history(addressed, 10).await? {
        tell(&signal, &mut told)?;
    }
    engine.close().await?;

    print!("{told}");
    assert_eq!(told, TOLD);
    Ok(())
}

fn tell(signal: &HeardSignal, told: &mut String) -> std::fmt::Result {
    let to = signal.to.first().map(|to| format!(" to {to}")).unwrap_or_default();
    let failed = if signal.failed { ", failed" } else { "" };
    writeln!(told, "    {} from {}{to}{failed}", signal.kind, signal.from)
}
