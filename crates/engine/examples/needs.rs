//! Waiting for what others do: that an agent is done, that a resource is there, that a gate has a
//! score, that a person said yes. Nothing polls, and what does not come in time is named.
//!
//! Run it with `cargo run --example needs`.

use std::fmt::Write;
use std::time::Duration;

use antiphon::approvals::{Answer, Question};
use antiphon::keys::{JsonText, KeyWrite, gate_key, millionths};
use antiphon::signals::Signal;
use antiphon::waits::{KeyCondition, KeyNeed, Met, SignalNeed, WaitError, Waited};
use antiphon::{Budget, CoordinationConfig, Engine, Need, Run};
use tokio::task::JoinHandle;

/// What it prints.
const TOLD: &str = "\
validators: no signal agent_completed about model-generator in time
validators may start: signal 3
tests may start: key 4, key 6
release: yes by operator, as the tests are green
audit: no gate security of at least 1 in time
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let engine = Engine::open(dir.path().join("state")).await?;
    let budget = Budget::sessions(10).within(Duration::from_secs(60)).build()?;
    let config = CoordinationConfig::open(Vec::new(), budget)?.with_id("coord-123")?;
    let run = engine.submit(config).await?;
    let mut told = String::new();

    // An agent that is done. That it failed does not count.
    let models =
        Need::from(SignalNeed::new("agent_completed".parse()?).about("model-generator".parse()?));
    let waited = run.wait_for([models.clone()], Some(Duration::from_millis(1))).await?;
    tell("validators", &waited, &mut told)?;
    let validators = waiting(&run, vec![models]);
    let done = Signal::new("agent_completed".parse()?).from("model-generator".parse()?);
    run.signal(done.clone().failed(true)).await?;
    run.signal(done).await?;
    tell("validators", &validators.await??, &mut told)?;

    // A resource, which is there from 0 to 1, and a gate. Both must hold at the same moment.
    let database = KeyCondition::AtLeast(millionths("1")?);
    let coverage = KeyCondition::AtLeast(millionths("0.8")?);
    let tests = waiting(
        &run,
        vec![
            Need::from(KeyNeed::new("resource/database".parse()?, database)),
            Need::from(KeyNeed::new(gate_key("coverage")?, coverage)),
        ],
    );
    run.set_keys([KeyWrite::set("resource/database".parse()?, JsonText::new("1")?)?]).await?;
    run.set_keys([score("coverage", "0.5")?]).await?;
    run.set_keys([score("coverage", "0.85")?]).await?;
    tell("tests", &tests.await??, &mut told)?;

    // A person, who answers once.
    let asked = run.ask(Question::new("Release 1.2?")?.with_id("release".parse()?)?).await?;
    run.answer(asked.question.clone(), Answer::Yes, Some("the tests are green".to_owned())).await?;
    let answered = run.answered(&asked.question).await?;
    if let Some(given) = answered.and_then(|question| question.state.answer) {
        let (answer, reason) = (given.answer, given.reason.unwrap_or_default());
        writeln!(told, "release: {answer} by {}, as {reason}", given.by)?;
    }

    let security = KeyCondition::AtLeast(millionths("1")?);
    let audit = Need::from(KeyNeed::new(gate_key("security")?, security));
    let waited = run.wait_for([audit], Some(Duration::from_millis(1))).await?;
    tell("audit", &waited, &mut told)?;
    engine.close().await?;

    print!("{told}");
    assert_eq!(told, TOLD);
    Ok(())
}

/// Waits beside what goes on, for two minutes at most.
fn waiting(run: &Run, needs: Vec<Need>) -> JoinHandle<Result<Waited, WaitError>> {
    let run = run.clone();
    tokio::spawn(async move { run.wait_for(needs, Some(Duration::from_secs(120))).await })
}

fn score(gate: &str, score: &str) -> Result<KeyWrite, Box<dyn std::error::Error>> {
    let value = JsonText::new(millionths(score)?.to_string())?;
    Ok(KeyWrite::set(gate_key(gate)?, value)?)
}

/// Tells how a wait ended, and with which of the run's events.
fn tell(who: &str, waited: &Waited, told: &mut String) -> std::fmt::Result {
    match waited {
        Waited::Met(met) => {
            let met: Vec<String> = met.iter().map(shown).collect();
            writeln!(told, "{who} may start: {}", met.join(", "))
        }
        Waited::TimedOut { unmet } => {
            let unmet: Vec<String> = unmet.iter().map(Need::to_string).collect();
            writeln!(told, "{who}: no {} in time", unmet.join(", no "))
        }
        other => writeln!(told, "{who}: {other:?}"),
    }
}

fn shown(met: &Met) -> String {
    match met {
        Met::Signal { version: Some(version) } => format!("signal {version}"),
        Met::Key { version } => format!("key {version}"),
        other => format!("{other:?}"),
    }
}
