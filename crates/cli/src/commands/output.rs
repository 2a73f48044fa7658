//! `antiphon output`: the value that an item puts out.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon::items;
use antiphon_server::ItemValue;
use serde_json::{Value, json};

use crate::command_error::{CommandError, Kind};
use crate::connection::Connection;
use crate::ledger::Ledger;
use crate::named::Target;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;
use crate::text::ShownOutput;
use crate::text::quoted;

/// Print the value that an item puts out
///
/// The value is what its result file says or the files that it declares, and for an item without
/// either its standard output, byte for byte. What an item printed is shown by `antiphon logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Print control characters as they are, also on a terminal, which obeys them
    #[arg(long)]
    raw: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let (run, chosen) = self.target.find_items(&ledger, "output")?;
        let values = on_a_runtime(values(&ledger, &run, &chosen.items))?;
        let mut output = Stdout::open();
        let mut missing = Vec::new();
        for (item, value) in chosen.items.iter().zip(values) {
            let ItemValue { source, bytes } = match value {
                Ok(value) => value,
                // The others have theirs all the same.
                Err(error) if error.kind() == Kind::Usage => {
                    missing.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if options.json {
                let text = String::from_utf8_lossy(&bytes);
                let mut object =
                    json!({ "run": run, "item": item, "source": source, "text": text });
                if source == "output"
                    && let Ok(value) = serde_json::from_slice::<Value>(&bytes)
                {
                    object["value"] = value;
                }
                output.json(&object)?;
            } else if output.is_terminal() && !self.raw {
                output.bytes(&ShownOutput::of(&bytes).into_bytes())?;
            } else {
                output.bytes(&bytes)?;
            }
        }
        output.finish()?;
        let count = missing.len();
        match missing.into_iter().next() {
            None => Ok(ExitCode::SUCCESS),
            Some(error) if count == 1 => Err(error),
            Some(_) => {
                let of = chosen.items.len();
                let text =
                    format!("{count} of the {of} items of {} have put out no value", chosen.name);
                let hint = format!("`antiphon show {run} {}` shows why", quoted(&chosen.name));
                Err(CommandError::new(Kind::Usage, text).with_hint(hint))
            }
        }
    }
}

/// What the engine says of the values, or the ledger at rest where none runs.
async fn values(
    ledger: &Ledger,
    run: &CoordinationId,
    items: &[String],
) -> Result<Vec<Result<ItemValue, CommandError>>, CommandError> {
    let client = Connection::probe(&ledger.dir).await?;
    let mut values = Vec::new();
    for item in items {
        let value = match &client {
            Some(client) => client.output(run, item).await.map_err(CommandError::from),
            None => items::Value::read(ledger.store.as_ref(), run, item)
                .map(|value| ItemValue {
                    source: value.source.as_str().to_owned(),
                    bytes: value.bytes,
                })
                .map_err(CommandError::from),
        };
        let hint = format!("`antiphon logs {run} {}` shows what it printed", quoted(item));
        values.push(value.map_err(|error| error.with_hint(hint)));
    }
    Ok(values)
}
