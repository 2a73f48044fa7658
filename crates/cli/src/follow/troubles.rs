//! Trouble of the engine's surroundings: told once, and waited for.

use std::time::Duration;

use antiphon_server::{Client, ClientError, Code};
use tokio::time::sleep;

use super::followed_run::Stopped;
use super::runs::Runs;
use crate::command_error::CommandError;
use crate::connection::{Interrupt, Interrupts, passing, trouble};
use crate::view::View;

/// Time between two tries to submit a run to a ledger that takes nothing in.
const AGAIN: Duration = Duration::from_millis(500);

/// What was last told of the engine's trouble.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    told: Option<String>,
}

impl Troubles {
    /// Asks the engine how it is, and says what is news.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        view: &mut View,
    ) -> Result<(), CommandError> {
        let Ok(found) = trouble(client).await else { return Ok(()) };
        match (found, &self.told) {
            (Some(trouble), told) if told.as_ref() != Some(&trouble) => {
                view.tell(&trouble)?;
                self.told = Some(trouble);
            }
            (None, Some(_)) => {
                view.tell("that is over; the run goes on")?;
                self.told = None;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Has the engine carry the runs out, and waits for a ledger that takes nothing in now. Gives the
/// interrupt that ended the wait, if one did.
pub(super) async fn taken_in(
    client: &Client,
    runs: &Runs,
    interrupts: &mut Interrupts,
    tell: impl FnMut(&str) -> Result<(), CommandError>,
) -> Result<Option<Interrupt>, Stopped> {
    let taken_in = recorded(async || asked(client, runs).await, interrupts, tell).await?;
    Ok(taken_in.err())
}

/// Asks until the ledger takes something in again, or an interrupt ends the wait.
pub(super) async fn recorded<T>(
    ask: impl AsyncFn() -> Result<T, ClientError>,
    interrupts: &mut Interrupts,
    mut tell: impl FnMut(&str) -> Result<(), CommandError>,
) -> Result<Result<T, Interrupt>, Stopped> {
    let mut told = false;
    loop {
        let refused = match ask().await {
            Ok(answer) => return Ok(Ok(answer)),
            Err(refused) => refused,
        };
        // Whatever became of it: a run has an id, under which it begins once.
        let Some(problem) = passing(&refused) else { return Err(refused.into()) };
        if !std::mem::replace(&mut told, true) {
            tell(&format!("{problem}; waiting to have it recorded"))?;
        }
        tokio::select! {
            () = sleep(AGAIN) => {}
            interrupt = interrupts.next() => return Ok(Err(interrupt)),
        }
    }
}

async fn asked(client: &Client, runs: &Runs) -> Result<(), ClientError> {
    match runs {
        Runs::Attached => {}
        Runs::Submitted(request) => drop(client.submit(request, None).await?),
        Runs::Retried(retry) => drop(retry.ask(client).await?),
        Runs::Resumed(ids) => {
            for (id, request) in ids {
                match client.resume(&id.outermost(), request, None).await {
                    // What ended meanwhile is shown with its end.
                    Err(error) if ended(&error) => {}
                    answer => drop(answer?),
                }
            }
        }
    }
    Ok(())
}

/// Whether a command came too late, as the run has ended.
pub(super) fn ended(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.known_code() == Some(Code::RunEnded))
}
