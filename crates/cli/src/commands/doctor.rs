//! `antiphon doctor`: explains a state directory, and opens a ledger that its head mark does not
//! vouch for.

mod acceptance;
mod engine;
mod examination;
mod surroundings;

use std::process::ExitCode;

use serde_json::json;

use crate::colour::painted;
use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::state_dir;
use crate::stdout::Stdout;
use crate::text::printable;
use acceptance::Acceptance;
use examination::{CheckState, Examination};

/// Diagnose a state directory, and explain what is safe to do
///
/// Changes nothing unless one of the two --accept flags is given. Exits with 0 if nothing is wrong,
/// 4 if something is, 3 if there is no ledger or it cannot be read.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Skip verifying the whole ledger, which takes longer the more it holds
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    accepted: Acceptance,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let dir = state_dir::find(options);
        Ledger::at(&dir).on_disk("`antiphon doctor`")?;
        let examination = Examination::of(&dir, self.quick);
        let mut output = Stdout::open();
        if !options.json {
            print(&examination, &mut output)?;
        }
        let accepted = if self.accepted.is_given() {
            Some(self.accepted.carry_out(&dir, &examination)?)
        } else {
            None
        };
        if options.json {
            output.json(&json!({
                "dir": dir,
                "healthy": examination.is_healthy(),
                "checks": examination.checks,
                "accepted": accepted,
            }))?;
        } else if let Some(accepted) = &accepted {
            output.line("")?;
            output.line(accepted)?;
        }
        output.finish()?;
        Ok(match (&accepted, examination.is_readable(), examination.is_healthy()) {
            (Some(_), ..) | (None, true, true) => ExitCode::SUCCESS,
            (None, false, _) => Kind::State.into(),
            (None, true, false) => Kind::Verification.into(),
        })
    }
}

fn print(examination: &Examination, output: &mut Stdout) -> Result<(), CommandError> {
    let width = examination.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for check in &examination.checks {
        let state = check.state.as_str();
        let mut lines = check.text.lines();
        let first = printable(lines.next().unwrap_or_default());
        output.line(format!(
            "{:width$}  {}  {first}",
            check.name,
            painted(&format!("{state:7}"), check.state)
        ))?;
        let margin = width + 11;
        for line in lines {
            output.line(format!("{:margin$}{}", "", printable(line)))?;
        }
        if let Some(advice) = &check.advice {
            output.line(format!("{:margin$}what to do: {}", "", printable(advice)))?;
        }
    }
    let problems =
        examination.checks.iter().filter(|check| check.state == CheckState::Problem).count();
    output.line("")?;
    output.line(match problems {
        0 => painted("nothing is wrong", CheckState::Ok),
        1 => painted("1 problem", CheckState::Problem),
        all => painted(&format!("{all} problems"), CheckState::Problem),
    })
}
