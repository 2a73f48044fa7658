//! `antiphon why`: what keeps an item from running.

use std::collections::BTreeMap;
use std::process::ExitCode;

use antiphon::coordination::{Blocked, Coordination, Runners};
use antiphon::id::StreamName;
use antiphon::time::Now;
use antiphon_server::Why;
use serde_json::json;

use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::continuation::{Lack, pause_ended_by};
use crate::ledger::Ledger;
use crate::named::{Chosen, Target};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;
use crate::timestamps;
use crate::view::{Board, Row, Rows};

/// Items that are explained when none is named.
const MOST: usize = 50;

/// Explain why an item is not running
///
/// Without an item, explains every unfinished one (the first 50).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
}

/// What keeps one item.
struct Explanation {
    work: String,
    reasons: Vec<String>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let (id, chosen) = self.target.find(&ledger)?;
        let run = ledger.replayed(&id)?;
        let works = wanted(&run, chosen);
        on_a_runtime(async {
            let explanations = match Connection::probe(&ledger.dir).await? {
                Some(client) if !run.status().is_terminal() => {
                    let mut explanations = Vec::new();
                    for work in works {
                        let reasons = client.why(&id, &work).await?.reasons;
                        let is_paused = reasons.iter().any(|why| why.reason == "paused");
                        let tried = |why: Why| match why.reason.as_str() {
                            "delayed" if !options.json => {
                                tried_again(&ledger, &run, &work, true, why.text)
                            }
                            _ => Ok(why.text),
                        };
                        let mut reasons: Vec<String> =
                            reasons.into_iter().map(tried).collect::<Result<_, _>>()?;
                        reasons.extend(nested(&run, &work));
                        let continued = pause_ended_by(&run).filter(|_| is_paused);
                        reasons.extend(continued.map(|command| format!("{command} continues it")));
                        explanations.push(Explanation { work, reasons });
                    }
                    explanations
                }
                _ => {
                    let advice = match run.is_ended() {
                        true => None,
                        false => Some(Lack::of(&run, &ledger)?.advice(&id, pause_ended_by(&run))),
                    };
                    let recorded =
                        |work| recorded(&ledger, &run, work, advice.as_deref(), options.json);
                    works.into_iter().map(recorded).collect::<Result<_, _>>()?
                }
            };
            let mut output = Stdout::open();
            for Explanation { work, reasons } in &explanations {
                if options.json {
                    output.json(&json!({ "work": work, "reasons": reasons }))?;
                } else if reasons.is_empty() {
                    output.line(format!("{}: nothing, it is about to start", printable(work)))?;
                } else {
                    output.line(format!(
                        "{}: {}",
                        printable(work),
                        printable(&reasons.join("; "))
                    ))?;
                }
            }
            output.finish()?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// The items that were named, else all unfinished ones.
fn wanted(run: &Coordination, chosen: Option<Chosen>) -> Vec<String> {
    if let Some(chosen) = chosen {
        return chosen.items;
    }
    let unfinished = run
        .work_queue()
        .filter(|work| run.work_stage(work.as_str()).is_some_and(|stage| !stage.has_outcome()));
    let works: Vec<String> = unfinished.take(MOST).map(ToString::to_string).collect();
    if works.is_empty() {
        let id = run.coordination_id();
        stderr::say(format!("every item of {id} is finished; `antiphon status {id}` shows them"));
    }
    works
}

/// Where to look on, for an item that a nested run carries out.
fn nested(run: &Coordination, work: &str) -> Option<String> {
    let (binding, _) = run.bindings().find(|(_, bound)| bound.as_str() == work)?;
    let (_, spec) = run.binding(binding.session)?;
    let id = run.session_id(binding.session);
    spec.runner.is_plan().then(|| format!("`antiphon why {id}` shows what that run waits for"))
}

/// How the last session of an item ended and when the next one starts, as `status` says it.
fn tried_again(
    ledger: &Ledger,
    run: &Coordination,
    work: &str,
    is_carried_out: bool,
    otherwise: String,
) -> Result<String, CommandError> {
    let mut board = Board::new(run.coordination_id().clone());
    ledger.each_event(&StreamName::Coordination(run.coordination_id().clone()), |event| {
        board.take(event);
        Ok(())
    })?;
    let now = match is_carried_out {
        true => board.present(timestamps::now()),
        false => board.standstill(),
    };
    let said = BTreeMap::new();
    let row = board.place(work).map(|place| Rows::new(&board, now, &said).row(place));
    Ok(row.filter(Row::is_tried_again).map_or(otherwise, |row| row.detail()))
}

/// What the record says where no engine runs, and what continues the run.
fn recorded(
    ledger: &Ledger,
    run: &Coordination,
    work: String,
    advice: Option<&str>,
    json: bool,
) -> Result<Explanation, CommandError> {
    let (at, wall) = run.last_times();
    let mut runners = Runners::default();
    runners.allow_processes();
    let blocked = run
        .why(&work, &Now { at, wall, random: [0; 32] }, &runners)
        .map_err(CommandError::internal)?;
    let tried = |blocked: &Blocked| match blocked {
        Blocked::Delayed { .. } if !json => {
            tried_again(ledger, run, &work, false, blocked.to_string())
        }
        // Its engine may have left without a word.
        Blocked::Running { .. } => Ok(Blocked::Interrupted { reason: String::new() }.to_string()),
        _ => Ok(blocked.to_string()),
    };
    let mut reasons: Vec<String> = blocked.iter().map(tried).collect::<Result<_, _>>()?;
    reasons.extend(advice.map(|advice| format!("no engine is running; {advice}")));
    Ok(Explanation { work, reasons })
}
