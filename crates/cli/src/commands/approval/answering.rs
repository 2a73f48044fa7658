//! Answering a question: recorded by the engine that runs, or by one that is here for it alone.

use std::process::ExitCode;

use antiphon::id::CoordinationId;
use antiphon_server::{AnswerRequest, Code, Problem};

use super::reading::open;
use crate::command_error::{CommandError, Kind};
use crate::connection::Connection;
use crate::ledger::{self, Ledger};
use crate::named::{existing, newest};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir::session_run;
use crate::stdout::Stdout;

/// What to do where there is no such question.
const WAITING: &str = "`antiphon waiting` shows the questions that are open";

/// Which question is answered.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Answered {
    /// Which question, as `antiphon waiting` shows it
    #[arg(value_name = "ID")]
    question: String,
    /// The run that asks, or the beginning of its id; needed where several ask under this id
    #[arg(long = "run", value_name = "ID", value_parser = ledger::coordination)]
    run: Option<CoordinationId>,
}

impl Answered {
    /// Answers it, and says what was done: `what`, as in `approved`.
    pub(in crate::commands) fn with(
        &self,
        options: &Options,
        request: &AnswerRequest,
        what: &str,
    ) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let question = self.question.as_str();
        on_a_runtime(async {
            let run = self.run(&ledger).await?;
            let answer = async |connection: &Connection, key: &str| {
                connection.client.answer(&run, question, request, Some(key)).await
            };
            let answered = Connection::command(&ledger.dir, answer).await;
            let (accepted, _) =
                answered.map_err(|error| match error.problem().and_then(Problem::known_code) {
                    Some(Code::UnknownQuestion) => error.with_hint(WAITING),
                    _ => error,
                })?;
            let mut output = Stdout::open();
            match options.json {
                true => output.json(&accepted)?,
                false => {
                    let version = accepted.version;
                    output.line(format!("{question} {what} in {run}, version {version}"))?;
                }
            }
            output.finish()?;
            Ok(ExitCode::SUCCESS)
        })
    }

    /// The run that is meant: the one in which the question is open, else the newest, whose question
    /// may have its answer.
    async fn run(&self, ledger: &Ledger) -> Result<CoordinationId, CommandError> {
        // The engine refuses a session, which reads no run but its own.
        match (&self.run, session_run(&ledger.dir)) {
            (Some(run), Some(_)) => return Ok(run.clone()),
            (Some(run), None) => return existing(ledger, run),
            (None, Some(own)) => return Ok(own),
            (None, None) => {}
        }
        let open = open(ledger, None).await?;
        let mut runs = open.into_iter().filter(|line| line.id == self.question);
        match (runs.next(), runs.next()) {
            (None, _) => {
                let newest = newest(ledger)?;
                match ledger.outcome(&newest)? {
                    None => Ok(newest),
                    Some(_) => {
                        let text = format!("no question {} is open", self.question);
                        Err(CommandError::new(Kind::Usage, text).with_hint(WAITING))
                    }
                }
            }
            (Some(only), None) => ledger::coordination(&only.run).map_err(CommandError::internal),
            (Some(first), Some(second)) => {
                let others = [first, second].into_iter().chain(runs);
                let runs: Vec<String> = others.map(|line| line.run).collect();
                let text = format!(
                    "question {} is open in more than one run: {}",
                    self.question,
                    runs.join(", ")
                );
                Err(CommandError::new(Kind::Usage, text).with_hint("name the run with --run"))
            }
        }
    }
}
