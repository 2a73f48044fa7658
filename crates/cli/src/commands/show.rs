//! `antiphon show`: one item with everything that is known of it.

mod text;

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon::items::{ItemDetails, RunItems};
use antiphon_server::Item;

use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::ledger::Ledger;
use crate::named::Target;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

/// Show an item: its command, its attempts, what it waited for
///
/// Shows its command line with everything filled in, its directory and environment (secrets by name
/// only), what it waited for, and how each attempt ended. Of a group or a matrix, shows every item.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let (run, chosen) = self.target.find_items(&ledger, "show")?;
        let items = on_a_runtime(details(&ledger, &run, &chosen.items))?;
        let mut output = Stdout::open();
        for (place, item) in items.iter().enumerate() {
            match options.json {
                true => output.json(item)?,
                false => {
                    if place > 0 {
                        output.line("")?;
                    }
                    text::print(item, &mut output)?;
                }
            }
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What the engine says of an item, or the ledger at rest where none runs or there are several.
async fn details(
    ledger: &Ledger,
    run: &CoordinationId,
    items: &[String],
) -> Result<Vec<Item>, CommandError> {
    if let ([item], Some(client)) = (items, Connection::probe(&ledger.dir).await?) {
        return Ok(vec![client.item(run, item).await?]);
    }
    let store = ledger.store.as_ref();
    if let [item] = items {
        return Ok(vec![Item::from(&ItemDetails::read(store, run, item)?)]);
    }
    // The events are read once for all of them.
    let record = RunItems::read(store, run)?;
    let shown = |item: &String| Ok(Item::from(&ItemDetails::of_many(store, &record, item)?));
    items.iter().map(shown).collect()
}
