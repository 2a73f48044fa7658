//! `antiphon list`: runs at a glance, from head rows alone.

use std::collections::BTreeMap;
use std::process::ExitCode;

use antiphon::append::HeadRow;
use antiphon::coordination::{Counts, Ending, Stage, StopCondition, Verdict};
use antiphon::head::RunSummary;
use antiphon::id::StreamName;
use antiphon::ledger::{HeadFilter, HeadQuery};
use antiphon::report::RunReport;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::command_error::CommandError;
use crate::connection::{asking_in, waiting_in};
use crate::describe::questions_open;
use crate::ledger::{self, COORDINATIONS, Ledger};
use crate::options::Options;
use crate::stderr;
use crate::stdout::Stdout;
use crate::table::Table;
use crate::timestamps;
use crate::view::item_counts;

/// List runs, newest first
///
/// Shows how each run is or how it ended, and how many of its items have failed. With --json, prints one
/// object on a line for each run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only runs with this status
    #[arg(long, ignore_case = true, value_name = "STATUS", value_parser = stages())]
    status: Option<Stage>,
    /// Show at most N runs; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Only runs that have ended
    #[arg(long, conflicts_with = "running")]
    ended: bool,
    /// Only runs that have not ended
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
struct RunJson<'a> {
    id: String,
    name: Option<&'a str>,
    status: &'static str,
    ended: bool,
    version: u64,
    hash: String,
    started: String,
    changed: String,
    /// Why it ended with work left, is paused, or waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// How many questions of it wait for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    questions: Option<usize>,
    summary: &'a RawValue,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let stages = Stages::of(&ledger)?;
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        // One more tells whether there are more.
        let mut heads = self.heads(&ledger, &stages, None, limit.saturating_add(1))?;
        let more = heads.len() > limit;
        heads.truncate(limit);
        let left_out = match heads.last().filter(|_| more) {
            Some(last) => self.heads(&ledger, &stages, Some(&last.stream), usize::MAX)?.len(),
            None => 0,
        };

        let mut output = Stdout::open();
        if options.json {
            for head in &heads {
                output.json(&line(head, &summary(head)?, &stages)?)?;
            }
        } else {
            let mut table = Table::new([
                "ID", "NAME", "STATUS", "ITEMS", "FAILED", "SESSIONS", "STARTED", "AGE", "WHY",
            ])
            .colouring(2);
            for head in &heads {
                let (stage, waits) = stages.stage(head)?;
                let summary = summary(head)?;
                let why = waits.unwrap_or_else(|| why(&ledger, head, stage, &summary));
                let why = if why.is_empty() { stages.asks(head).unwrap_or(why) } else { why };
                table.row_in(stage, row(head, stage, summary, why));
            }
            table.print("", &mut output)?;
        }
        output.finish()?;
        if left_out > 0 {
            stderr::say(format!("{left_out} more not shown; use --limit 0 to show all"));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The rows that are asked for, the newest first. What an engine left when it was killed, or what
    /// waits for secrets, is recorded as if it ran, so such rows are told apart once they are read.
    fn heads(
        &self,
        ledger: &Ledger,
        stages: &Stages,
        older_than: Option<&StreamName>,
        limit: usize,
    ) -> Result<Vec<HeadRow>, CommandError> {
        let tells_apart = self.status.is_some_and(|stage| stages.differs(stage));
        let recorded = self.status.filter(|_| !tells_apart);
        let unended = tells_apart || self.running;
        let filter = HeadFilter {
            prefix: COORDINATIONS.to_owned(),
            status: recorded.map(|stage| stage.as_str().to_owned()),
            ended: if self.ended { Some(true) } else { unended.then_some(false) },
            older_than: older_than.cloned(),
            limit: if tells_apart { usize::MAX } else { limit },
        };
        let mut heads = ledger.store.heads(&HeadQuery::List(filter))?;
        if tells_apart {
            let mut asked = Vec::new();
            for head in heads {
                if Some(stages.stage(&head)?.0) == self.status {
                    asked.push(head);
                }
            }
            asked.truncate(limit);
            heads = asked;
        }
        Ok(heads)
    }
}

/// Where runs are in their lives, besides what their head rows say.
struct Stages {
    is_held: bool,
    /// The runs that only wait for secrets, and what is said of that.
    waiting: BTreeMap<String, Option<String>>,
    /// How many questions of the runs wait for a person, as far as an engine says so.
    asking: BTreeMap<String, usize>,
}

impl Stages {
    fn of(ledger: &Ledger) -> Result<Self, CommandError> {
        let is_held = ledger.is_held()?;
        let waiting = if is_held { waiting_in(&ledger.dir) } else { Vec::new() };
        let waiting = waiting.into_iter().map(|run| (run.id, run.why)).collect();
        let asking = if is_held { asking_in(&ledger.dir) } else { BTreeMap::new() };
        Ok(Self { is_held, waiting, asking })
    }

    /// Where a run is in its life, and why it waits if it does.
    fn stage(&self, head: &HeadRow) -> Result<(Stage, Option<String>), CommandError> {
        let stage = ledger::stage(head, self.is_held)?;
        Ok(match self.waiting.get(&id(head)) {
            Some(why) if stage == Stage::Running => (Stage::Waiting, why.clone()),
            _ => (stage, None),
        })
    }

    /// That questions of a run wait for a person, if any do.
    fn asks(&self, head: &HeadRow) -> Option<String> {
        let open = self.asking.get(&id(head))?;
        Some(format!("{}: antiphon waiting", questions_open(*open)))
    }

    /// Whether a stage may not be what the head rows say.
    fn differs(&self, stage: Stage) -> bool {
        match stage {
            Stage::Waiting => true,
            Stage::Running => !self.is_held || !self.waiting.is_empty(),
            Stage::Paused | Stage::Interrupted => !self.is_held,
            _ => false,
        }
    }
}

fn summary(head: &HeadRow) -> Result<RunSummary, CommandError> {
    head.run_summary().map_err(ledger::unreadable)
}

fn id(head: &HeadRow) -> String {
    let name = head.stream.to_string();
    name.strip_prefix(COORDINATIONS).unwrap_or(&name).to_owned()
}

/// Why a run ended with work left or is paused, else what became of its items if not all is well.
/// Which items tripped its breaker is in its events alone; where they cannot be read, that it tripped
/// is told.
fn why(ledger: &Ledger, head: &HeadRow, stage: Stage, summary: &RunSummary) -> String {
    let tripped =
        matches!(summary.ending, Some(Ending::Completed(StopCondition::CircuitBreakerTripped)));
    let named = match &head.stream {
        StreamName::Coordination(id) if tripped => {
            RunReport::read(ledger.store.as_ref(), id).ok().flatten().and_then(|report| report.why)
        }
        _ => None,
    };
    let counts = || match stage {
        Stage::Ended(Verdict::Succeeded) => None,
        Stage::Ended(_) => Some(item_counts(&summary.totals)),
        _ => None,
    };
    named.or_else(|| summary.why()).or_else(counts).unwrap_or_default()
}

fn row(head: &HeadRow, stage: Stage, summary: RunSummary, why: String) -> [String; 9] {
    let Counts { work_succeeded, work_failed, work_skipped, work_skipped_by_rule, .. } =
        summary.totals;
    let done = work_succeeded + work_failed + work_skipped + work_skipped_by_rule;
    [
        id(head),
        summary.name.clone().unwrap_or_else(|| "-".to_owned()),
        stage.to_string(),
        format!("{done}/{}", summary.work),
        work_failed.to_string(),
        (summary.totals.sessions + summary.running).to_string(),
        timestamps::seconds(head.started),
        timestamps::age(head.started),
        why,
    ]
}

fn line<'a>(
    head: &'a HeadRow,
    summary: &'a RunSummary,
    stages: &Stages,
) -> Result<RunJson<'a>, CommandError> {
    let (stage, waits) = stages.stage(head)?;
    Ok(RunJson {
        id: id(head),
        name: summary.name.as_deref(),
        status: stage.as_str(),
        ended: head.ended,
        version: head.tip.version.0,
        hash: head.tip.hash.to_string(),
        started: timestamps::exact(head.started),
        changed: timestamps::exact(head.changed.1),
        why: waits.or_else(|| summary.why()),
        questions: stages.asking.get(&id(head)).copied(),
        summary: serde_json::from_str(&head.summary).map_err(CommandError::internal)?,
    })
}
