//! `antiphon list`: coordinations at a glance, from head rows alone.

use std::io::Write as _;
use std::process::ExitCode;

use antiphon::append::HeadRow;
use antiphon::coordination::{Counts, Stage};
use antiphon::head::RunSummary;
use antiphon::ledger::{HeadFilter, HeadQuery};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::command_error::{CommandError, Kind};
use crate::ledger::{COORDINATIONS, Ledger};
use crate::options::Options;
use crate::output::Output;
use crate::table::Table;
use crate::timestamps;

/// List coordinations, newest first
///
/// With --json, one object on a line: id, name, status, ended, version, hash, started, changed,
/// summary.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those in this state
    #[arg(long, ignore_case = true, value_name = "STATUS", value_parser = stages())]
    status: Option<Stage>,
    /// At most so many; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Only those that have ended
    #[arg(long, conflicts_with = "running")]
    ended: bool,
    /// Only those that have not ended
    #[arg(long)]
    running: bool,
}

/// Reads a stage, in whatever case; the help lists them.
fn stages() -> impl TypedValueParser<Value = Stage> {
    PossibleValuesParser::new(Stage::ALL.map(Stage::as_str))
        .try_map(|text| text.to_lowercase().parse::<Stage>())
}

/// A coordination as JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: String,
    name: Option<&'a str>,
    status: &'a str,
    ended: bool,
    version: u64,
    hash: String,
    started: String,
    changed: String,
    summary: &'a RawValue,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let filter = HeadFilter {
            prefix: COORDINATIONS.to_owned(),
            status: self.status.map(|stage| stage.as_str().to_owned()),
            ended: if self.ended { Some(true) } else { self.running.then_some(false) },
            older_than: None,
            // One more tells whether there are more.
            limit: limit.saturating_add(1),
        };
        let mut heads = ledger.store.heads(&HeadQuery::List(filter))?;
        let more = heads.len() > limit;
        heads.truncate(limit);

        let mut output = Output::stdout();
        if options.json {
            for head in &heads {
                output.json(&line(head, &summary(head)?)?)?;
            }
        } else {
            let mut table =
                Table::new(["ID", "NAME", "STATUS", "WORK", "SESSIONS", "STARTED", "AGE"])
                    .coloured_by(2);
            for head in &heads {
                table.row(row(head, summary(head)?));
            }
            table.print("", &mut output)?;
        }
        output.finish()?;
        if more {
            let _told = writeln!(anstream::stderr(), "there are more; --limit 0 shows all");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn summary(head: &HeadRow) -> Result<RunSummary, CommandError> {
    head.run_summary().map_err(|error| {
        CommandError::new(Kind::State, error.to_string())
            .with_hint("read the ledger with the version that wrote it, or run `antiphon verify`")
    })
}

fn id(head: &HeadRow) -> String {
    let name = head.stream.to_string();
    name.strip_prefix(COORDINATIONS).unwrap_or(&name).to_owned()
}

fn row(head: &HeadRow, summary: RunSummary) -> [String; 7] {
    let Counts { work_succeeded, work_failed, work_skipped, work_skipped_by_rule, .. } =
        summary.totals;
    let done = work_succeeded + work_failed + work_skipped + work_skipped_by_rule;
    [
        id(head),
        summary.name.unwrap_or_else(|| "-".to_owned()),
        head.status.clone(),
        format!("{done}/{}", summary.work),
        (summary.totals.sessions + summary.running).to_string(),
        timestamps::seconds(head.started),
        timestamps::age(head.started),
    ]
}

fn line<'a>(head: &'a HeadRow, summary: &'a RunSummary) -> Result<Line<'a>, CommandError> {
    Ok(Line {
        id: id(head),
        name: summary.name.as_deref(),
        status: &head.status,
        ended: head.ended,
        version: head.tip.version.0,
        hash: head.tip.hash.to_string(),
        started: timestamps::exact(head.started),
        changed: timestamps::exact(head.changed.1),
        summary: serde_json::from_str(&head.summary).map_err(CommandError::internal)?,
    })
}
