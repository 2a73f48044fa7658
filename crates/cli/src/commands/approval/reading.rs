//! Questions as a command reads them: what the engine says that runs, else what is recorded.

use antiphon::approvals::RecordedQuestions;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};
use antiphon_server::{Client, ClientError, QuestionLine};

use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::ledger::{COORDINATIONS, Ledger};

/// Most questions that are asked for at a time.
const PAGE: usize = 1_000;

/// The questions that are open, of one run or of all, by run and id.
pub(in crate::commands) async fn open(
    ledger: &Ledger,
    run: Option<&CoordinationId>,
) -> Result<Vec<QuestionLine>, CommandError> {
    match Connection::probe(&ledger.dir).await? {
        Some(client) => Ok(open_at(&client, run).await?),
        None => recorded_open(ledger, run),
    }
}

async fn open_at(
    client: &Client,
    run: Option<&CoordinationId>,
) -> Result<Vec<QuestionLine>, ClientError> {
    let (mut found, mut next) = (Vec::new(), None::<String>);
    loop {
        let page = match run {
            Some(run) => client.questions(run, true, next.as_deref(), PAGE).await?,
            None => client.open_questions(next.as_deref(), PAGE).await?,
        };
        found.extend(page.questions);
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

fn recorded_open(
    ledger: &Ledger,
    run: Option<&CoordinationId>,
) -> Result<Vec<QuestionLine>, CommandError> {
    let runs = match run {
        Some(run) => vec![run.clone()],
        None => unended(ledger)?,
    };
    let mut found = Vec::new();
    for run in runs {
        let lines = recorded(ledger, &run)?.into_iter();
        found.extend(lines.filter(|line| line.answer.is_none() && !line.ended));
    }
    Ok(found)
}

fn unended(ledger: &Ledger) -> Result<Vec<CoordinationId>, CommandError> {
    let filter = HeadFilter {
        prefix: COORDINATIONS.to_owned(),
        ended: Some(false),
        limit: usize::MAX,
        ..HeadFilter::default()
    };
    let heads = ledger.store.heads(&HeadQuery::List(filter))?;
    let mut runs: Vec<_> = heads
        .into_iter()
        .filter_map(|head| match head.stream {
            StreamName::Coordination(id) => Some(id),
            _ => None,
        })
        .collect();
    runs.sort();
    Ok(runs)
}

/// The questions of a run as they are recorded.
pub(in crate::commands) fn recorded(
    ledger: &Ledger,
    run: &CoordinationId,
) -> Result<Vec<QuestionLine>, CommandError> {
    let found = RecordedQuestions::of(ledger.store.as_ref(), run).all()?;
    Ok(found.iter().map(|found| QuestionLine::of(run, found)).collect())
}
