//! `antiphon plan check`: everything that is wrong with a plan, at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon::plan::{Environment, Plan, PlanError};
use serde_json::json;

use crate::colour::{Colour, painted};
use crate::command_error::CommandError;
use crate::diagnostics::refused;
use crate::labels::counted;
use crate::options::Options;
use crate::stdout::Stdout;
use crate::text::printable;

/// List everything that is wrong with a plan file
///
/// Checks the plan, the plans nested in it and the files they name, and runs nothing. Exits with 0
/// if the plan can be run, 5 if it cannot. With --json, prints one object: ok, problems (code,
/// message, hint, path, line, column, text), left_out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan file; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let checked = checked(&self.file);
        let mut output = Stdout::open();
        match &checked {
            Ok(_) if options.json => {
                output.json(&json!({ "ok": true, "problems": [], "left_out": 0 }))?;
            }
            Ok(plan) => {
                let outline = plan.outline();
                let items: usize = outline.items.iter().map(|item| item.cells).sum();
                let (items, budget) = (counted(items, "item"), outline.budget());
                let text = format!("{} can be run: {items}, {budget}", self.file.display());
                output.line(painted(&printable(&text), Colour::Good))?;
            }
            Err(problems) => return refused(problems, options),
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A plan that can be run.
pub(super) fn checked(file: &Path) -> Result<Plan, PlanError> {
    let plan = super::source::read(file)?;
    // What only the kernel refuses comes up here; nothing is taken from the environment.
    plan.compile(&Environment::Unknown)?;
    Ok(plan)
}
