//! `antiphon backup`: a copy of the ledger that an engine can continue from, made while any engine
//! owns it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use antiphon::ledger::{Backup, BackupError};
use serde_json::json;

use crate::command_error::{CommandError, Kind};
use crate::labels::counted;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::stdout::Stdout;
use crate::text::{printable, quoted};
use crate::timestamps;

/// Copy the ledger, even while an engine writes to it
///
/// DEST becomes a state directory that holds the ledger as of one commit. Check it with
/// `antiphon verify --dir DEST`; every command works on it with --dir DEST. It appears whole or not
/// at all: until it is finished it is called DEST.unfinished. Sessions that are running now count
/// as interrupted in the copy and would be tried again there. See docs/backup.md.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the copy goes; must not exist, or be an empty directory
    #[arg(value_name = "DEST")]
    place: PathBuf,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let begun = Instant::now();
        let backup = ledger.on_disk("`antiphon backup`")?.backup(&self.place)?;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut output = Stdout::open();
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
            let place = self.place.display().to_string();
            let (number, took) = (commits.number, timestamps::span(took));
            output.line(format!(
                "{} in {}, {}, in {took}",
                counted(events.0, "event"),
                counted(number.0, "commit"),
                counted(bytes, "byte")
            ))?;
            output.line(format!(
                "check it with: antiphon verify --dir {}",
                printable(&quoted(&place))
            ))?;
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl From<BackupError> for CommandError {
    fn from(error: BackupError) -> Self {
        let refusal = |kind| Self::because(kind, &error);
        match &error {
            BackupError::Taken { .. }
            | BackupError::Inside { .. }
            | BackupError::InTheWay { .. } => refusal(Kind::Usage),
            BackupError::Mark(_) | BackupError::Identity(_) => {
                refusal(Kind::State).with_hint("`antiphon doctor` shows what is safe to do")
            }
            BackupError::Write(_) => refusal(Kind::State).with_hint(
                "check that the destination is writable and has room, and that its parent directory exists",
            ),
            BackupError::Read(_)
            | BackupError::Format(_)
            | BackupError::Underway { .. }
            | BackupError::Overtaken => refusal(Kind::State),
        }
    }
}
