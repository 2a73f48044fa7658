//! `antiphon key list`: the keys that there are.

use std::process::ExitCode;

use super::reading::below;
use crate::command_error::CommandError;
use crate::describe::shortened;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::table::Table;
use crate::text::printable;

/// List the keys of a run by name, with their versions and the beginnings of their values
///
/// With --json, prints one object on a line for each key, with its whole value.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only keys that begin so
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let run = self.run.existing(&ledger)?;
        let found = on_a_runtime(below(&ledger, &run, &self.prefix))?;
        let mut output = Stdout::open();
        if options.json {
            for key in &found {
                output.json(key)?;
            }
        } else if !found.is_empty() {
            let mut table = Table::new(["KEY", "VERSION", "VALUE"]);
            for key in found.iter() {
                let (version, value) = (key.version.to_string(), shortened(key.value.get()));
                table.row([key.key.clone(), version, value]);
            }
            table.print("", &mut output)?;
        }
        output.finish()?;
        if found.is_empty() {
            stderr::say(printable(&format!("there is no such key in {run}")));
        }
        Ok(ExitCode::SUCCESS)
    }
}
