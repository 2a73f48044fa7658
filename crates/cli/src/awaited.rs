//! What a command waits for in a run, by the engine that runs, or one that is started for it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use antiphon::id::CoordinationId;
use antiphon::plan::Millis;
use antiphon_server::{MetNeed, NeedRequest, WaitAnswer, WaitEnd, WaitRequest};
use tokio::time::sleep;

use crate::command_error::{CommandError, Kind};
use crate::connection::{Interrupts, has_gone, serving};
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

/// Pause before another engine is asked: one that is about to end says so at once.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits for one thing in the run that is meant, and says what met it.
pub(crate) fn wait_for(
    options: &Options,
    run: &SpokenRun,
    need: NeedRequest,
    within: Option<Millis>,
) -> Result<ExitCode, CommandError> {
    let ledger = Ledger::find(options)?;
    let run = run.existing(&ledger)?;
    on_a_runtime(async {
        let mut interrupts = Interrupts::catch()?;
        let answer = tokio::select! {
            answer = waited(&ledger, &run, need, within) => answer?,
            _ = interrupts.next() => return Ok(Kind::Aborted.into()),
        };
        let met = met(answer, within)?;
        let mut output = Stdout::open();
        match options.json {
            true => output.json(&met)?,
            false => {
                let version = met.version.map(|version| format!(", version {version}"));
                output.line(format!(
                    "waited for {} in {run}{}",
                    met.need,
                    version.unwrap_or_default()
                ))?;
            }
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    })
}

/// How a wait for one thing ended.
pub(crate) async fn waited(
    ledger: &Ledger,
    run: &CoordinationId,
    need: NeedRequest,
    within: Option<Millis>,
) -> Result<WaitAnswer, CommandError> {
    let (began, needs) = (Instant::now(), vec![need]);
    loop {
        let passed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let timeout_ms = within.map(|within| within.0.saturating_sub(passed));
        let client = serving(&ledger.dir).await?;
        let request = WaitRequest { needs: needs.clone(), timeout_ms };
        match client.wait_for(run, &request).await {
            // Nobody waits any more where an engine has gone: another is asked.
            Err(error) if has_gone(&error) => sleep(LOOK_AGAIN).await,
            waited => return Ok(waited?),
        }
    }
}

/// What was waited for, unless it did not come.
fn met(answer: WaitAnswer, within: Option<Millis>) -> Result<MetNeed, CommandError> {
    let WaitAnswer { run, waited, met, unmet } = answer;
    let what = unmet.join(", ");
    let unfinished = |text| CommandError::new(Kind::Unfinished, text);
    match waited {
        WaitEnd::Met => {
            let first = met.into_iter().next();
            first.ok_or_else(|| CommandError::internal("the engine does not say what was met"))
        }
        WaitEnd::TimedOut => {
            let within = within.map(|within| within.to_string()).unwrap_or_default();
            Err(unfinished(format!("waited {within} in vain for {what} in {run}")))
        }
        WaitEnd::RunEnded => Err(unfinished(format!("waited in vain for {what}: {run} has ended"))),
    }
}
