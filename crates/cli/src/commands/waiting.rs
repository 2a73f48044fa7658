//! `antiphon waiting`: the questions that wait for a person.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon_server::QuestionLine;

use super::approval::reading::open;
use crate::command_error::CommandError;
use crate::ledger::{self, Ledger};
use crate::named::existing;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir::session_run;
use crate::stderr;
use crate::stdout::Stdout;
use crate::table::Table;
use crate::timestamps;

/// List the questions that wait for an answer, of all runs: who asks what, and for how long yet
///
/// `antiphon approve ID` and `antiphon deny ID` answer them. One that expires is answered with no then; no
/// time passes while nobody carries its run out. With --json, prints one object on a line for each question.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this run, or of the one whose id begins so
    #[arg(long = "run", value_name = "ID", value_parser = ledger::coordination)]
    run: Option<CoordinationId>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let run = match (&self.run, session_run(&ledger.dir)) {
            (Some(word), _) => Some(existing(&ledger, word)?),
            (None, own) => own,
        };
        let questions = on_a_runtime(open(&ledger, run.as_ref()))?;
        let mut output = Stdout::open();
        if options.json {
            for question in &questions {
                output.json(question)?;
            }
        } else if !questions.is_empty() {
            let mut table = Table::new(["ID", "RUN", "BY", "OPEN", "EXPIRES", "QUESTION"]);
            for question in &questions {
                table.row(row(question));
            }
            table.print("", &mut output)?;
        }
        output.finish()?;
        if questions.is_empty() {
            stderr::say("no question is open");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(line: &QuestionLine) -> [String; 6] {
    let open = timestamps::of_api(&line.asked).map_or_else(|| "-".to_owned(), timestamps::age);
    let expires = line.expires.as_deref().and_then(timestamps::of_api);
    let left = expires.map(|at| at.0.saturating_sub(timestamps::now().0));
    let expires =
        left.map_or_else(|| "-".to_owned(), |left| format!("in {}", timestamps::elapsed(left)));
    [line.id.clone(), line.run.clone(), line.by.clone(), open, expires, line.question.clone()]
}
