//! `antiphon ask`: a question that a person answers.

use std::process::ExitCode;
use std::time::Duration;

use antiphon::id::CoordinationId;
use antiphon::plan::Millis;
use antiphon_server::{
    AnswerLine, AskedLine, Client, Code, Problem, QuestionLine, QuestionRequest,
};
use tokio::time::timeout;

use super::approval::reading::recorded;
use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, Interrupts, has_gone, serving};
use crate::ledger::{self, Ledger};
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;

/// Ask a person something, who answers with `antiphon approve` or `antiphon deny`
///
/// Returns once the question is durable, and prints its id; `antiphon waiting` shows it. Asking the same
/// again under an id of its own finds the question, with its answer. With --wait, waits for the answer and
/// prints it: exits with 0 where it is yes, 15 where it is no, and 12 where the time is over or the run has
/// ended without one. If no engine runs, one is started for that which stays as long as it is used. Ctrl-C,
/// SIGTERM and SIGHUP end the wait with 8, and the question stays.
///
/// Examples:
///   antiphon ask "Deploy to production?" --id deploy --wait
///   antiphon ask "Delete the old data?" --expires 1h --wait 10m
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// What is asked
    #[arg(value_name = "TEXT", required_unless_present = "wait")]
    text: Option<String>,
    /// An id under which asking again finds the question
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// After this time without an answer, the answer is no
    #[arg(long, value_name = "DURATION")]
    expires: Option<Millis>,
    /// Wait for the answer, no longer than this if a time is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "a flag whose value may be left out")]
    wait: Option<Option<String>>,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let Self { text, id, expires, wait, run } = self;
        let (text, wait) = meant(text, wait)?;
        let ledger = Ledger::find(options)?;
        let (run, unknown) = run.addressed(&ledger)?;
        let request =
            QuestionRequest { question: text, id, expires_in_ms: expires.map(|time| time.0) };
        on_a_runtime(async {
            let mut interrupts = Interrupts::catch()?;
            let ask = async |connection: &Connection, key: &str| {
                connection.client.ask(&run, &request, Some(key)).await
            };
            let asked = Connection::command(&ledger.dir, ask).await;
            let (asked, _) = asked.map_err(|error| {
                let code = error.problem().and_then(Problem::known_code);
                unknown.filter(|_| code == Some(Code::UnknownRun)).unwrap_or(error)
            })?;
            let Some(within) = wait else {
                told(options, &asked)?;
                return Ok(ExitCode::SUCCESS);
            };
            let given = match asked.answer {
                Some(given) => given,
                None => tokio::select! {
                    given = given(&ledger, &asked, expires.is_some(), within) => given?,
                    _ = interrupts.next() => return Ok(Kind::Aborted.into()),
                },
            };
            let code = match given.answer.as_str() {
                "yes" => ExitCode::SUCCESS,
                _ => Kind::Denied.into(),
            };
            told(options, &AskedLine { answer: Some(given), ..asked })?;
            Ok(code)
        })
    }
}

/// What is asked, and how long it is waited for, if it is. A text behind `--wait` that is no time is
/// the question.
#[expect(clippy::option_option, reason = "a flag whose value may be left out")]
fn meant(
    text: Option<String>,
    wait: Option<Option<String>>,
) -> Result<(String, Option<Option<Millis>>), CommandError> {
    let usage = |what: String| CommandError::new(Kind::Usage, what);
    match (text, wait) {
        (Some(text), None) => Ok((text, None)),
        (Some(text), Some(None)) => Ok((text, Some(None))),
        (Some(text), Some(Some(time))) => {
            let read = time.parse::<Millis>();
            let read = read.map_err(|error| usage(format!("--wait {time}: {error}")))?;
            Ok((text, Some(Some(read))))
        }
        (None, Some(Some(text))) if text.parse::<Millis>().is_err() => Ok((text, Some(None))),
        (None, _) => Err(usage("nothing is asked".to_owned())
            .with_hint("give the question as a text, as in `antiphon ask \"Deploy?\" --wait`")),
    }
}

/// Says that it is asked, or what was answered to it.
fn told(options: &Options, asked: &AskedLine) -> Result<(), CommandError> {
    let mut output = Stdout::open();
    match (options.json, &asked.answer) {
        (true, _) => output.json(asked)?,
        (false, None) => {
            output
                .line(format!("{} asked in {}, version {}", asked.id, asked.run, asked.version))?;
        }
        (false, Some(given)) => output.line(words(given))?,
    }
    output.finish()
}

fn words(given: &AnswerLine) -> String {
    let reason = given.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} by {}{reason}", given.answer, given.by)
}

/// The answer to a question, once it is given.
async fn given(
    ledger: &Ledger,
    asked: &AskedLine,
    expires: bool,
    within: Option<Millis>,
) -> Result<AnswerLine, CommandError> {
    let (run, id) = (ledger::coordination(&asked.run).map_err(CommandError::internal)?, &asked.id);
    let answered = answered(ledger, &run, id, expires);
    let answered = match within {
        Some(time) => timeout(Duration::from_millis(time.0), answered).await.map_err(|_| {
            let text = format!("nobody has answered {id} within {time}");
            CommandError::new(Kind::Unfinished, text)
                .with_hint("it stays open; `antiphon waiting` shows it")
        })?,
        None => answered.await,
    };
    answered?.answer.ok_or_else(|| {
        let text = format!("{run} has ended, and nobody has answered {id}");
        CommandError::new(Kind::Unfinished, text)
    })
}

/// The question once it is answered, or once its run has ended.
async fn answered(
    ledger: &Ledger,
    run: &CoordinationId,
    id: &str,
    expires: bool,
) -> Result<QuestionLine, CommandError> {
    let mut told = !expires;
    loop {
        if ledger.outcome(run)?.is_some() {
            let found = recorded(ledger, run)?.into_iter().find(|line| line.id == id);
            return found.ok_or_else(|| {
                CommandError::new(Kind::State, format!("the record of question {id} is gone"))
            });
        }
        let client = serving(&ledger.dir).await?;
        let stands = async |client: &Client| {
            let line = client.question(run, id).await;
            line.is_ok_and(|line| line.expires.is_none() && line.answer.is_none() && !line.ended)
        };
        if !std::mem::replace(&mut told, true) && stands(&client).await {
            stderr::say(format!(
                "{run} is carried out by nobody, so its questions do not expire; `antiphon resume {run}` \
                 continues it"
            ));
        }
        match client.answered(run, id).await {
            // Another may take its place, or the run has ended with it.
            Err(error) if has_gone(&error) => {}
            answered => return Ok(answered?),
        }
    }
}
