//! `antiphon plan show`: a plan at a glance, as text or as a Mermaid graph.

use std::path::PathBuf;
use std::process::ExitCode;

use antiphon::plan::{Outline, OutlineItem};

use super::check::checked;
use crate::command_error::CommandError;
use crate::diagnostics::refused;
use crate::options::Options;
use crate::stdout::Stdout;
use crate::table::Table;
use crate::text::printable;

/// Show the items of a plan and what they need
///
/// Items come after what they need; a matrix is one line. With --json, prints one object: name,
/// sessions, duration_ms, tokens, cost, concurrency, items (id, cells, runs, group, needs,
/// routes_to, routed, critical).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan file; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print a Mermaid flowchart instead
    #[arg(long, conflicts_with = "json")]
    mermaid: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let plan = match checked(&self.file) {
            Ok(plan) => plan,
            Err(problems) => return refused(&problems, options),
        };
        let outline = plan.outline();
        let mut output = Stdout::open();
        if options.json {
            output.json(&outline)?;
        } else if self.mermaid {
            output.bytes(outline.mermaid().as_bytes())?;
        } else {
            print(&outline, &mut output)?;
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print(outline: &Outline, output: &mut Stdout) -> Result<(), CommandError> {
    let at_once = match outline.concurrency {
        1 => "one session at a time".to_owned(),
        many => format!("{many} sessions at a time"),
    };
    output.line(printable(&format!("{}: {}, {at_once}", outline.name, outline.budget())))?;
    output.line("")?;
    let mut table = Table::new(["ITEM", "RUNS", "GROUP", "NEEDS"]);
    for item in &outline.items {
        table.row(row(item));
    }
    table.print("", output)
}

fn row(item: &OutlineItem) -> [String; 4] {
    let cells = if item.cells == 1 { String::new() } else { format!(" x{}", item.cells) };
    let critical = if item.critical { " (critical)" } else { "" };
    let route = item.routed.then(|| "a route".to_owned());
    let needs: Vec<String> = item.needs.iter().cloned().chain(route).collect();
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        format!("{}{cells}{critical}", item.id),
        item.runs.clone(),
        or_none(item.group.clone().unwrap_or_default()),
        or_none(needs.join(", ")),
    ]
}
