//! The keys of a run as a command reads them: what the engine says that runs, else what is recorded.

use antiphon::id::CoordinationId;
use antiphon::keys::RecordedKeys;
use antiphon_server::KeyLine;

use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::ledger::Ledger;

/// Most keys that are asked for at a time.
const PAGE: usize = 1_000;

/// The key, if it is there.
pub(in crate::commands) async fn key(
    ledger: &Ledger,
    run: &CoordinationId,
    name: &str,
) -> Result<Option<KeyLine>, CommandError> {
    let first = match Connection::probe(&ledger.dir).await? {
        Some(client) => client.keys(run, name, None, 1).await?.keys,
        None => recorded(ledger, run, name)?,
    };
    Ok(first.into_iter().find(|line| line.key == name))
}

/// The keys that begin so, by name.
pub(super) async fn below(
    ledger: &Ledger,
    run: &CoordinationId,
    prefix: &str,
) -> Result<Vec<KeyLine>, CommandError> {
    let Some(client) = Connection::probe(&ledger.dir).await? else {
        return recorded(ledger, run, prefix);
    };
    let mut found: Vec<KeyLine> = Vec::new();
    loop {
        let after = found.last().map(|last| last.key.as_str());
        let page = client.keys(run, prefix, after, PAGE).await?;
        found.extend(page.keys);
        if !page.more {
            return Ok(found);
        }
    }
}

fn recorded(
    ledger: &Ledger,
    run: &CoordinationId,
    prefix: &str,
) -> Result<Vec<KeyLine>, CommandError> {
    let found = RecordedKeys::of(ledger.store.as_ref(), run).below(prefix)?;
    Ok(found.iter().map(KeyLine::from).collect())
}
