//! `antiphon why`: what keeps an item from running.

use std::process::ExitCode;

use antiphon::coordination::{Coordination, Runners};
use antiphon::time::Now;
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
                        let waits = reasons.iter().any(|why| why.reason == "no_secrets");
                        let is_paused = reasons.iter().any(|why| why.reason == "paused");
                        let mut reasons: Vec<String> =
                            reasons.into_iter().map(|why| why.text).collect();
                        if waits {
                            reasons.push(Lack::secrets_of(&id, &ledger)?.advice(&id, None));
                        }
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
                    let recorded = |work| recorded(&run, work, advice.as_deref());
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

/// What the record says where no engine runs, and what continues the run.
fn recorded(
    run: &Coordination,
    work: String,
    advice: Option<&str>,
) -> Result<Explanation, CommandError> {
    let (at, wall) = run.last_times();
    let mut runners = Runners::default();
    runners.allow_processes();
    let blocked = run
        .why(&work, &Now { at, wall, random: [0; 32] }, &runners)
        .map_err(CommandError::internal)?;
    let mut reasons: Vec<String> = blocked.iter().map(ToString::to_string).collect();
    reasons.extend(advice.map(|advice| format!("no engine is running; {advice}")));
    Ok(Explanation { work, reasons })
}
