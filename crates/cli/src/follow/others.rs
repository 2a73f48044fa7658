//! What others run in the engine of this process, which would be interrupted by its end.

use std::collections::BTreeSet;
use std::time::Duration;

use antiphon::id::CoordinationId;

use crate::command_error::CommandError;
use crate::connection::{Host, Interrupt, Interrupts};
use crate::stderr;

/// Time between two looks at a ledger that takes nothing in.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Runs that are named before the rest is counted.
const NAMED: usize = 5;

/// Stays while anything is running that the end of this process would interrupt.
pub(super) async fn wait(host: &Host, interrupts: &mut Interrupts) -> Result<(), CommandError> {
    let mut named = BTreeSet::new();
    let mut asked = false;
    loop {
        let Some(others) = host.at_work().await? else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        let Some(first) = others.first() else { return Ok(()) };
        let names = some_of(&others);
        if !others.is_subset(&named) {
            stderr::say(format!(
                "this process keeps running until runs submitted to it by others are done: {names}"
            ));
            named.clone_from(&others);
        }
        let run = host.engine.run(first)?;
        let version = run.status().await?.version;
        let mut events = run.follow_after(version).await?;
        tokio::select! {
            event = events.next() => drop(event?),
            interrupt = interrupts.next() => {
                if asked || interrupt == Interrupt::Terminate {
                    return Ok(());
                }
                asked = true;
                stderr::say(format!("stopping now would interrupt {names} until the next engine resumes them; press Ctrl-C again to stop"));
            }
        }
    }
}

/// A few names, and how many more there are.
fn some_of(names: &BTreeSet<CoordinationId>) -> String {
    let mut text = names.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    text
}
