//! `antiphon wait`: until a run has ended, without a display.

use std::process::ExitCode;
use std::time::Duration;

use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, Version};
use antiphon::plan::Millis;
use antiphon_server::ClientError;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, Interrupts, has_gone};
use crate::follow::{detached, following, not_carried_out, tell_of_on_end};
use crate::ledger::{self, Ledger};
use crate::named;
use crate::options::Options;
use crate::run_outcome::RunOutcome;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;

/// Wait until a run has ended, and exit with its exit code
///
/// Exits with 12 when the time is over, and at once if no engine carries the run out: it starts none.
/// Ctrl-C, SIGTERM and SIGHUP end it with 8, and the run goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run, or the beginning of its id; by default the newest
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: Option<CoordinationId>,
    /// Wait no longer than this
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Millis>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let id = named::shown(&ledger, self.id.as_ref())?;
        on_a_runtime(self.wait(ledger, id, options.json))
    }

    async fn wait(
        self,
        ledger: Ledger,
        id: CoordinationId,
        json: bool,
    ) -> Result<ExitCode, CommandError> {
        let until = self.timeout.map(|limit| Instant::now() + Duration::from_millis(limit.0));
        let outcome = match ledger.outcome(&id)? {
            Some(outcome) => outcome,
            None => {
                let mut interrupts = Interrupts::catch()?;
                let ended = tokio::select! {
                    ended = within(until, ended(&ledger, &id)) => ended,
                    _ = interrupts.next() => {
                        stderr::say(printable(&detached(&id, &ledger.dir)));
                        return Ok(Kind::Aborted.into());
                    }
                };
                ended.unwrap_or_else(|| {
                    let limit = self.timeout.map(|limit| limit.to_string()).unwrap_or_default();
                    let text = format!("{id} has not ended within {limit}");
                    let hint = format!("`antiphon status {id}` shows how far it is");
                    Err(CommandError::new(Kind::Unfinished, text).with_hint(hint))
                })?
            }
        };
        if let Some(client) = Connection::probe(&ledger.dir).await?
            && within(until, tell_of_on_end(&client, &id)).await.is_none()
        {
            stderr::say(printable(&format!("`on_end` of {id} is still running")));
        }
        if json {
            let mut output = Stdout::open();
            output.json(&json!({
                "run": id,
                "verdict": outcome.verdict,
                "receipt": outcome.receipt,
            }))?;
            output.finish()?;
        }
        Ok(outcome.exit_code())
    }
}

/// What comes of it, unless the time is over first.
async fn within<T>(until: Option<Instant>, act: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => timeout_at(until, act).await.ok(),
        None => Some(act.await),
    }
}

/// Waits for the end of a run, whichever engine carries it out.
async fn ended(ledger: &Ledger, id: &CoordinationId) -> Result<RunOutcome, CommandError> {
    let mut connection = Connection::guest(&ledger.dir).await?;
    let mut seen = Version(0);
    while let Some(guest) = connection {
        if ledger.is_interrupted(id)? {
            break;
        }
        match watched(ledger, &guest, id, &mut seen).await? {
            Watched::Ended(outcome) => return Ok(outcome),
            Watched::Left => break,
            Watched::Gone => connection = Connection::again(guest.site.clone(), id).await?,
        }
    }
    // It may have ended with the engine that carried it out.
    ledger.outcome(id)?.ok_or_else(|| not_carried_out(id, ledger))
}

/// What came of watching a run.
enum Watched {
    Ended(RunOutcome),
    /// Nobody carries it out any more.
    Left,
    /// The engine has gone; another one may take over.
    Gone,
}

async fn watched(
    ledger: &Ledger,
    connection: &Connection,
    id: &CoordinationId,
    seen: &mut Version,
) -> Result<Watched, CommandError> {
    let gone = |error: ClientError| match has_gone(&error) {
        true => Ok(Watched::Gone),
        false => Err(error.into()),
    };
    let mut events = connection.client.follow(id, *seen);
    loop {
        let (stream, event) = following(events).await;
        events = stream;
        let recorded = match event {
            Ok(Some(line)) => line.recorded().map_err(ClientError::from)?,
            Ok(None) => return Ok(Watched::Left),
            Err(error) => return gone(error),
        };
        *seen = recorded.version;
        if let Some(outcome) = RunOutcome::of(&recorded) {
            return Ok(Watched::Ended(outcome));
        }
        let event = CoordinationEvent::of(&recorded);
        if matches!(event, Ok(CoordinationEvent::Interrupted(_))) && ledger.is_interrupted(id)? {
            return Ok(Watched::Left);
        }
    }
}
