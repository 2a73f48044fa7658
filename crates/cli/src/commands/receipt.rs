//! `antiphon receipt`: the result of a run, and the evidence for it.

mod exchange;
mod items;
mod rendering;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::export::{Export, export};
use serde_json::json;

use crate::command_error::{CommandError, Kind};
use crate::ledger::{self, Ledger};
use crate::named;
use crate::options::Options;
use crate::stdout::Stdout;
use crate::text::ShownOutput;

/// Said of a run whose events cannot vouch for its receipt any more.
const ERASED: &str = "\
The payloads of this run were erased. The receipt is as it was recorded; it cannot be rebuilt
from the events any more, and only its hash can be compared.";

/// Show or export the receipt of a run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the result of a run: verdict, usage, every item, evidence
    ///
    /// With --json, prints the receipt's hash, the receipt, and all items, including those that the
    /// receipt holds as digests; of a pruned run these are left out.
    Show {
        /// A run that has ended; by default the newest run
        #[arg(value_name = "ID", value_parser = ledger::coordination)]
        id: Option<CoordinationId>,
    },
    /// Write a receipt with its evidence to a file that `antiphon verify` can check without the
    /// ledger
    Export {
        /// A run that has ended
        #[arg(value_name = "ID", value_parser = ledger::coordination)]
        id: CoordinationId,
        /// Output file, standard output by default; a file with other contents is not overwritten
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        match self.action {
            Action::Show { id } => show(&evidence(&ledger, id.as_ref())?, &ledger, options)?,
            Action::Export { id, output } => {
                write(&evidence(&ledger, Some(&id))?, output.as_deref(), options)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn evidence(ledger: &Ledger, id: Option<&CoordinationId>) -> Result<Export, CommandError> {
    let id = named::shown(ledger, id)?;
    Ok(export(ledger.store.as_ref(), &id)?)
}

fn show(export: &Export, ledger: &Ledger, options: &Options) -> Result<(), CommandError> {
    let mut output = Stdout::open();
    let receipt = export.recorded().map_err(CommandError::internal)?;
    let is_erased = export.rendering.is_none();
    let items = match receipt.outcome_chunks.as_slice() {
        [] => receipt.work_outcomes.clone(),
        _ if is_erased => receipt.work_outcomes.clone(),
        _ => items::replayed(ledger, &export.coordination)?,
    };
    if options.json {
        output.json(&json!({ "hash": export.receipt, "receipt": receipt, "items": items }))?;
    } else {
        let head = ledger.head(&StreamName::Coordination(export.coordination.clone()))?;
        rendering::print(&receipt, &items, &head, &mut output)?;
        if is_erased {
            output.line("")?;
            output.line(ERASED)?;
        }
    }
    output.finish()
}

fn write(export: &Export, file: Option<&Path>, options: &Options) -> Result<(), CommandError> {
    let bytes = export.to_bytes();
    let mut output = Stdout::open();
    match file {
        None if output.is_terminal() => output.bytes(ShownOutput::of(&bytes).as_bytes())?,
        None => output.bytes(&bytes)?,
        Some(file) => {
            create(file, &bytes)?;
            if options.json {
                output
                    .json(&json!({ "file": file, "hash": export.receipt, "bytes": bytes.len() }))?;
            } else {
                output.line(format!("{}  {}", export.receipt, file.display()))?;
            }
        }
    }
    output.finish()
}

/// Creates a file, whole or not at all. An existing one with the same bytes is as good.
fn create(file: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let failed = |error: &std::io::Error| {
        CommandError::new(Kind::Internal, format!("could not write {}: {error}", file.display()))
    };
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    draft
        .write_all(bytes)
        .and_then(|()| draft.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    match draft.persist_noclobber(file) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => match std::fs::read(file) {
            Ok(there) if there == bytes => Ok(()),
            _ => Err(CommandError::new(
                Kind::Usage,
                format!("{} already exists with other contents", file.display()),
            )
            .with_hint("choose another file, or remove that one")),
        },
        Err(error) => Err(failed(&error.error)),
    }
}
