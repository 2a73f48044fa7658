//! What this process carries out for others, which its end would interrupt.

use std::collections::BTreeSet;
use std::time::Duration;

use antiphon::AskError;
use antiphon::id::CoordinationId;

use crate::command_error::CommandError;
use crate::connection::{Host, Interrupts};
use crate::stderr;

/// Time between two looks at a ledger that takes nothing in.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Stays while anything is running that the end of this process would interrupt, unless it is not to
/// wait or is interrupted; what still runs then is left unfinished, and named.
pub(crate) async fn leave(
    host: &Host,
    interrupts: Option<&mut Interrupts>,
) -> Result<(), CommandError> {
    if let Some(interrupts) = interrupts {
        tokio::select! {
            stayed = wait(host) => return stayed,
            _ = interrupts.next() => {}
        }
    }
    let left = host.at_work().await?.unwrap_or_default();
    if left.is_empty() {
        return Ok(());
    }
    for run in &left {
        let answer = host.engine.run(run)?.interrupt_now("its engine was asked to stop").await;
        match answer {
            // One that has ended meanwhile has nothing to be interrupted.
            Err(AskError::Rejected(rejection)) if rejection.is_not_running() => {}
            Err(error) => stderr::say(format!("{run} was left without a record of it: {error}")),
            Ok(_) => {}
        }
    }
    stderr::say(format!(
        "left unfinished, unless who follows them takes over: {}; `antiphon resume` continues them",
        names(&left)
    ));
    Ok(())
}

/// Waits until nothing is carried out any more, and says for whom.
async fn wait(host: &Host) -> Result<(), CommandError> {
    let mut named = BTreeSet::new();
    loop {
        let Some(others) = host.at_work().await? else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        let Some(first) = others.first() else { return Ok(()) };
        if !others.is_subset(&named) {
            stderr::say(format!(
                "this process stays for runs that others submitted to it: {}; Ctrl-C leaves them \
                 unfinished",
                names(&others)
            ));
            named.clone_from(&others);
        }
        host.next_event(first).await?;
    }
}

/// The names of runs, each of them: what is left without a word is not looked for.
pub(crate) fn names<'a>(runs: impl IntoIterator<Item = &'a CoordinationId>) -> String {
    runs.into_iter().map(CoordinationId::as_str).collect::<Vec<_>>().join(", ")
}
