//! `antiphon key get`: the value of a key.

use std::process::ExitCode;

use super::reading::key;
use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;
use crate::text::ShownOutput;

/// Print the value of a key: a text as it is, anything else as JSON
///
/// With --json, prints the key with its version, which `antiphon key set --if-version` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which key
    #[arg(value_name = "NAME")]
    key: String,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let run = self.run.existing(&ledger)?;
        let Some(found) = on_a_runtime(key(&ledger, &run, &self.key))? else {
            return Err(CommandError::new(Kind::Usage, format!("{run} has no key {}", self.key))
                .with_hint(format!("`antiphon key list --run {run}` shows those it has")));
        };
        let mut output = Stdout::open();
        if options.json {
            output.json(&found)?;
        } else {
            let json = found.value.get();
            let mut text = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
            if output.is_terminal() {
                text = ShownOutput::of(text.as_bytes());
            }
            text.push('\n');
            output.bytes(text.as_bytes())?;
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
