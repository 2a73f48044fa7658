//! Changing keys: recorded by the engine that runs, or by one that is here for it alone.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon_server::{Accepted, Client, ClientError, Code, KeysRequest, Problem};

use crate::command_error::{CommandError, Kind};
use crate::connection::Connection;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

/// Changes keys, and says what was done: `what`, as in `phase set`.
pub(in crate::commands) fn change(
    options: &Options,
    run: &SpokenRun,
    request: &KeysRequest,
    what: &str,
) -> Result<ExitCode, CommandError> {
    recorded(options, run, &format!("{what} in"), async |client, id, key| {
        client.change_keys(id, request, Some(key)).await
    })
}

/// Has something recorded in the run that is meant, under a key that makes it one, and says what was
/// done: `what` with its preposition, as in `docs added to`.
pub(in crate::commands) fn recorded(
    options: &Options,
    run: &SpokenRun,
    what: &str,
    command: impl AsyncFn(&Client, &CoordinationId, &str) -> Result<Accepted, ClientError>,
) -> Result<ExitCode, CommandError> {
    let ledger = Ledger::find(options)?;
    let (id, unknown) = run.addressed(&ledger)?;
    on_a_runtime(async {
        let change =
            async |connection: &Connection, key: &str| command(&connection.client, &id, key).await;
        let changed = Connection::command(&ledger.dir, change).await;
        let (accepted, _) = changed.map_err(|error| {
            let code = error.problem().and_then(Problem::known_code);
            match unknown {
                Some(unknown) if code == Some(Code::UnknownRun) => unknown,
                _ if error.kind() == Kind::Conflict => {
                    error.with_hint("nothing was changed; `antiphon key list` shows the versions")
                }
                _ => error,
            }
        })?;
        let mut output = Stdout::open();
        match options.json {
            true => output.json(&accepted)?,
            false => output.line(format!("{what} {id}, version {}", accepted.version))?,
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Some keys, in words.
pub(super) fn named<'a>(mut keys: impl ExactSizeIterator<Item = &'a String>) -> String {
    match (keys.len(), keys.next()) {
        (1, Some(key)) => key.clone(),
        (count, _) => format!("{count} keys"),
    }
}
