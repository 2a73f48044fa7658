//! `antiphon backup`: a copy of the ledger that an engine can go on from, made beside whatever
//! engine owns it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use antiphon::ledger::{Backup, BackupError};
use serde_json::json;

use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::output::Output;
use crate::text::printable;
use crate::timestamps;

/// Copy the ledger, also while an engine writes to it
///
/// DEST becomes a state directory that holds the ledger as of one commit:
/// `antiphon verify --dir DEST` checks it, and every command goes on with it under --dir DEST. It
/// is there whole or not at all; while it is made it is DEST.unfinished. Sessions that run now are
/// lost to the copy, and would be tried again there. See docs/backup.md.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the copy goes; there must be nothing yet, or an empty directory
    #[arg(value_name = "DEST")]
    place: PathBuf,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let begun = Instant::now();
        let backup = ledger.location.backup(&self.place)?;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut output = Output::stdout();
        let Backup { ledger: id, epoch, commits, events, blob_files, bytes } = backup;
        if options.json {
            output.json(&json!({
                "dir": self.place,
                "ledger": id.to_string(),
                "epoch": epoch.0,
                "commits": commits.number.0,
                "head": commits.hash.to_string(),
                "events": events.0,
                "blob_files": blob_files,
                "bytes": bytes,
                "elapsed_ns": took,
            }))?;
        } else {
            let place = self.place.display();
            let (number, took) = (commits.number, timestamps::span(took));
            output.line(format!(
                "{} events in {number} commits, {bytes} bytes, in {took}",
                events.0
            ))?;
            output.line(format!(
                "to check it: antiphon verify --dir {}",
                printable(&place.to_string())
            ))?;
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl From<BackupError> for CommandError {
    fn from(error: BackupError) -> Self {
        let told = |kind| Self::because(kind, &error);
        match &error {
            BackupError::Taken { .. }
            | BackupError::Inside { .. }
            | BackupError::InTheWay { .. } => told(Kind::Usage),
            BackupError::Mark(_) | BackupError::Identity(_) => {
                told(Kind::State).with_hint("`antiphon doctor` tells what is safe to do")
            }
            BackupError::Write(_) => told(Kind::State).with_hint(
                "see that the place can be written and has room; its parent must be there",
            ),
            BackupError::Read(_)
            | BackupError::Format(_)
            | BackupError::Underway { .. }
            | BackupError::Overtaken => told(Kind::State),
        }
    }
}
