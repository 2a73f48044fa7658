//! `antiphon verify`: a ledger, one run, or an exported receipt without any ledger.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use antiphon::id::StreamName;
use antiphon::ledger::export::verify_export;
use antiphon::ledger::verify::{Earlier, Scope, VerifyReport};
use serde_json::{Value, json};

use crate::colour::{Colour, painted};
use crate::command_error::{CommandError, Kind};
use crate::ledger::{self, COORDINATIONS, Ledger};
use crate::named;
use crate::options::Options;
use crate::stdout::Stdout;
use crate::text::printable;

/// Verify the ledger, a run or an exported receipt
///
/// Without an argument, verifies the whole ledger: every hash, both chains, the head mark, head
/// rows and blobs are checked, and every receipt is rebuilt. Exits with 0 if everything is sound, 4
/// if something is wrong, 3 if it cannot be read.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file that `antiphon receipt export` wrote, or the id of a run; a file with that name
    /// takes precedence, unless the run is given as `coordination/ID`
    #[arg(value_name = "RUN | FILE")]
    target: Option<String>,
    /// Also check that the ledger extends the one that issued this receipt, given as a file or hash
    #[arg(long, value_name = "FILE | HASH", conflicts_with = "target")]
    against: Option<String>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let report = match (&self.target, &self.against) {
            (Some(target), _) if is_file(target) => verify_export(&read(Path::new(target))?),
            (Some(target), _) => coordination(target, options)?,
            (None, Some(earlier)) => whole(&Scope::Against(earlier_receipt(earlier)?), options)?,
            (None, None) => whole(&Scope::Ledger, options)?,
        };
        let mut output = Stdout::open();
        if options.json {
            output.json(&as_json(&report)?)?;
        } else {
            print(&report, &mut output)?;
        }
        output.finish()?;
        Ok(if report.is_sound() { ExitCode::SUCCESS } else { Kind::Verification.into() })
    }
}

fn whole(scope: &Scope, options: &Options) -> Result<VerifyReport, CommandError> {
    let ledger = Ledger::find(options)?;
    Ok(ledger.verify(scope)?)
}

fn coordination(target: &str, options: &Options) -> Result<VerifyReport, CommandError> {
    let no_target = |how: String| {
        CommandError::new(Kind::Usage, format!("{target:?} is neither a file nor a run: {how}"))
    };
    let id = ledger::coordination(target).map_err(no_target)?;
    let ledger = Ledger::find(options)?;
    let id = match named::existing(&ledger, &id) {
        Ok(id) => id,
        // A head row that is damaged or missing although its events exist is among the findings.
        Err(error) if error.kind() == Kind::Usage && !has_events(&ledger, &id)? => {
            return Err(error);
        }
        Err(_) => id,
    };
    Ok(ledger.verify(&Scope::Coordination(id))?)
}

fn has_events(ledger: &Ledger, id: &antiphon::id::CoordinationId) -> Result<bool, CommandError> {
    Ok(!ledger
        .store
        .read_stream(&StreamName::Coordination(id.clone()), antiphon::id::Version(0), 1)?
        .is_empty())
}

fn is_file(target: &str) -> bool {
    !target.starts_with(COORDINATIONS) && Path::new(target).is_file()
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|error| {
        CommandError::new(Kind::State, format!("could not read {}: {error}", path.display()))
    })
}

fn earlier_receipt(text: &str) -> Result<Earlier, CommandError> {
    let bytes = match std::fs::read(text) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) => {
            text.as_bytes().to_vec()
        }
        Err(error) => {
            return Err(CommandError::new(Kind::State, format!("could not read {text}: {error}")));
        }
    };
    Earlier::read(&bytes).map_err(|error| {
        CommandError::new(Kind::State, format!("{text:?} is {error}"))
            .with_hint("name a file that `antiphon receipt export` wrote, or a hash that `antiphon receipt show` prints")
    })
}

fn print(report: &VerifyReport, output: &mut Stdout) -> Result<(), CommandError> {
    let text = report.to_string();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let colour = if report.is_sound() { Colour::Good } else { Colour::Bad };
        let line = printable(line);
        output.line(if lines.peek().is_none() {
            painted(&line, colour)
        } else {
            line.into_owned()
        })?;
    }
    Ok(())
}

/// The report, whether it is sound, and each finding also as text with what to do.
fn as_json(report: &VerifyReport) -> Result<Value, CommandError> {
    let mut value = serde_json::to_value(report).map_err(CommandError::internal)?;
    value["sound"] = json!(report.is_sound());
    for (index, finding) in report.findings.iter().enumerate() {
        value["findings"][index]["text"] = json!(finding.to_string());
        value["findings"][index]["remedy"] = json!(finding.wrong.remedy());
    }
    Ok(value)
}
