//! `antiphon key watch`: changes of keys as they come.

use std::process::ExitCode;

use antiphon::id::{CoordinationId, Version};
use antiphon::keys::RecordedKeys;
use antiphon::ledger::{ReadError, Store};
use antiphon::time::WallTime;
use antiphon_server::{Client, FollowAfter, KeyChangeLine, KeyStream};

use crate::command_error::CommandError;
use crate::describe::changed;
use crate::heard::{Heard, Wanted};
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::timestamps;

/// Print what becomes of keys as it comes, until the run has ended
///
/// If no engine runs, one is started that stays as long as it is used. Ctrl-C, SIGTERM and SIGHUP end it
/// with 8.
///
/// Examples:
///   antiphon key watch --prefix gate/
///   antiphon key watch --after beginning --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only keys that begin so
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Where to begin: `beginning`, `now`, or behind a version of the run's stream
    #[arg(long, value_name = "WHERE", default_value = "now", value_parser = FollowAfter::read)]
    after: FollowAfter,
    #[command(flatten)]
    run: SpokenRun,
}

/// Changes of the keys that begin so.
struct Below(String);

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let run = self.run.existing(&ledger)?;
        let heard = Heard::new(&ledger, run, Below(self.prefix), self.after);
        heard.print_all(|output, change| match options.json {
            true => output.json(change),
            false => {
                let time = timestamps::seconds(WallTime(change.wall));
                output.line(format!("{time}  {}", changed(change)))
            }
        })
    }
}

impl Wanted for Below {
    type Line = KeyChangeLine;

    fn stream(&self, client: &Client, run: &CoordinationId, after: FollowAfter) -> KeyStream {
        client.watch_keys(run, &self.0, after)
    }

    fn recorded(
        &self,
        store: &dyn Store,
        run: &CoordinationId,
        after: Version,
    ) -> Result<Vec<KeyChangeLine>, ReadError> {
        let changes = RecordedKeys::of(store, run).changes(&self.0, after)?;
        Ok(changes.iter().map(KeyChangeLine::from).collect())
    }
}
