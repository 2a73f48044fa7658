//! The words of a command line that name a run and an item of it.

use antiphon::id::CoordinationId;

use super::items::{Chosen, RunItemNames};
use super::{Found, runs};
use crate::command_error::{CommandError, Kind};
use crate::ledger::{self, Ledger};
use crate::text::quoted;

/// The run and the item that a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// The run; by default the newest one. Alone it may also be an item of the newest run
    #[arg(value_name = "ID")]
    first: Option<String>,
    /// The item, or a group of items
    #[arg(value_name = "ITEM")]
    second: Option<String>,
    /// The run, where the item is given alone
    #[arg(long = "run", value_name = "ID", conflicts_with = "second", value_parser = ledger::coordination)]
    run: Option<CoordinationId>,
}

impl Target {
    /// The run, and the items if some are named.
    pub(crate) fn find(
        &self,
        ledger: &Ledger,
    ) -> Result<(CoordinationId, Option<Chosen>), CommandError> {
        match (&self.run, &self.first, &self.second) {
            (Some(run), item, _) => {
                let run = runs::existing(ledger, run)?;
                let item = item.as_ref().map(|item| RunItemNames::read(ledger, &run)?.choose(item));
                let item = item.transpose()?;
                Ok((run, item))
            }
            (None, None, _) => Ok((runs::newest(ledger)?, None)),
            (None, Some(run), Some(item)) => {
                let run = runs::existing(ledger, &id(run)?)?;
                let item = RunItemNames::read(ledger, &run)?.choose(item)?;
                Ok((run, Some(item)))
            }
            (None, Some(word), None) => alone(ledger, word),
        }
    }

    /// The run and the items of it, where some must be named.
    pub(crate) fn find_items(
        &self,
        ledger: &Ledger,
        command: &str,
    ) -> Result<(CoordinationId, Chosen), CommandError> {
        match self.find(ledger)? {
            (run, Some(items)) => Ok((run, items)),
            (run, None) => Err(CommandError::new(
                Kind::Usage,
                format!("`antiphon {command}` is about an item of {run}, and none is named"),
            )
            .with_hint(format!(
                "`antiphon {command} {run} ITEM`; `antiphon status {run}` shows its items"
            ))),
        }
    }
}

fn id(word: &str) -> Result<CoordinationId, CommandError> {
    ledger::coordination(word)
        .map_err(|why| CommandError::new(Kind::Usage, format!("{word:?} is no id of a run: {why}")))
}

/// One word, which may be a run or an item of the newest one.
fn alone(ledger: &Ledger, word: &str) -> Result<(CoordinationId, Option<Chosen>), CommandError> {
    let as_run = match ledger::coordination(word) {
        Ok(id) => runs::look_up(ledger, &id)?,
        Err(_) => Found::Nothing,
    };
    let newest = runs::newest(ledger)?;
    let items = RunItemNames::read(ledger, &newest)?;
    let as_item = items.look_up(word);
    let (run_fit, item_fit) = (as_run.fit(), as_item.fit());
    match (as_run, as_item) {
        (Found::Exact(run) | Found::Prefix(run), Found::Exact(item) | Found::Prefix(item))
            if run_fit == item_fit =>
        {
            let text = format!(
                "{word:?} may be the run {run}, or {} {} of {newest}, the newest run",
                if item.is_item { "the item" } else { "the items" },
                item.name
            );
            let hint = format!(
                "`--run {run}` is the one, `--run {newest} {}` the other",
                quoted(&item.name)
            );
            Err(CommandError::new(Kind::Usage, text).with_hint(hint))
        }
        (Found::Exact(run) | Found::Prefix(run), _) if run_fit > item_fit => Ok((run, None)),
        (_, Found::Exact(item) | Found::Prefix(item)) => Ok((newest, Some(item))),
        (Found::Several(runs), _) => Err(super::ambiguous(word, "the ids of runs", &runs)),
        (_, Found::Several(names)) => {
            Err(super::ambiguous(word, &format!("the items of {newest}"), &names))
        }
        _ => Err(unknown(ledger, word, &newest, &items)),
    }
}

fn unknown(
    ledger: &Ledger,
    word: &str,
    newest: &CoordinationId,
    items: &RunItemNames,
) -> CommandError {
    let near = items.near(word);
    match (near.as_slice(), ledger::coordination(word)) {
        ([], _) if items.erased => items.unknown(word),
        ([], Ok(id)) => match runs::existing(ledger, &id) {
            Err(error) => error,
            Ok(_) => items.unknown(word),
        },
        ([], Err(_)) => items.unknown(word),
        (near, _) => CommandError::new(
            Kind::Usage,
            format!(
                "there is no run {word} in {}, and no item {word} in {newest}, the newest run",
                ledger.dir.display()
            ),
        )
        .with_hint(format!("did you mean {}?", near.join(" or "))),
    }
}
