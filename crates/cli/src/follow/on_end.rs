//! The command that a plan names for the end of its run, as whoever followed the run hears of it.

use std::collections::BTreeSet;
use std::time::Duration;

use antiphon::id::CoordinationId;
use antiphon_server::{Client, OnEndState};
use tokio::time::timeout;

use crate::connection::{Connection, Interrupt, Interrupts};
use crate::stderr;
use crate::text::printable;

/// After waiting this long, the user reads what is waited for.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// Waits for the command of a run that has ended, and says if it failed. It has a limited time; an
/// engine that goes away first leaves it to the next one, which is no trouble of this command.
pub(crate) async fn tell_of_on_end(client: &Client, run: &CoordinationId) {
    let mut told = std::pin::pin!(told(client, run));
    if timeout(TOLD_AFTER, &mut told).await.is_err() {
        stderr::say(printable(&format!("waiting for `on_end` of {run}, for a minute at most")));
        told.await;
    }
}

/// Waits for the commands of these runs and, where the engine is in this process, for all others that
/// it carries out: the end of this process would cut them off. Ctrl-C says so, and a second one leaves
/// them to the next engine; another interrupt does at once. Returns whether it waited to the end.
pub(super) async fn stay_for(
    connection: &Connection,
    interrupts: &mut Interrupts,
    runs: Vec<CoordinationId>,
) -> bool {
    let Connection { client, host, .. } = connection;
    let (mut runs, mut warned, mut waited_for) = (runs, false, BTreeSet::new());
    loop {
        let mut others = match (runs.is_empty(), host) {
            (true, Some(host)) => host.on_ends().await,
            _ => Vec::new(),
        };
        others.retain(|run| !waited_for.contains(run));
        let Some(run) = runs.pop().or_else(|| others.pop()) else { return true };
        waited_for.insert(run.clone());
        tokio::select! {
            () = tell_of_on_end(client, &run) => {}
            interrupt = interrupts.next() => {
                let goes = warned || host.is_none() || interrupt != Interrupt::CtrlC;
                if host.is_none() || !goes {
                    let again = if goes { "" } else { "; Ctrl-C again leaves it to the next engine" };
                    let text = format!("`on_end` of {run} is still running{again}");
                    stderr::say(printable(&text));
                }
                if goes {
                    return false;
                }
                warned = true;
                runs.push(run);
            }
        }
    }
}

async fn told(client: &Client, run: &CoordinationId) {
    while let Ok(answer) = client.on_end(run).await {
        match (answer.on_end, answer.failure) {
            (OnEndState::Running, _) => {}
            (_, None) => return,
            (_, Some(why)) => {
                let text = format!("`on_end` of {run} failed: {why}");
                return stderr::say(printable(&text));
            }
        }
    }
}
