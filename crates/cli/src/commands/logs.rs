//! `antiphon logs`: what the sessions of a run printed, and print.

mod lines;
mod source;

use std::collections::BTreeSet;
use std::future::pending;
use std::os::fd::AsFd as _;
use std::pin::pin;
use std::process::ExitCode;

use antiphon::QueryError;
use antiphon::id::{CoordinationId, StreamName, Version};
use antiphon::items::{ItemError, ItemRecord, RunItems};
use antiphon::ledger::Events;
use antiphon_server::LogQuery;
use tokio::io::Interest;
use tokio::net::unix::pipe;

use crate::command_error::{CommandError, Kind};
use crate::connection::Interrupts;
use crate::follow::detached;
use crate::ledger::Ledger;
use crate::named::{Chosen, Target};
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::{printable, quoted};
use lines::Shown;
use source::Source;

/// Show what the items of a run printed
///
/// Of one item, shows what its last session printed, standard error on standard error; of a run, a
/// group or a matrix, shows what all sessions printed, each line with its item in front. What an item
/// puts out for others is shown by `antiphon output`. With --follow, exits with 12 where no engine carries
/// the run out, and with 8 on Ctrl-C, SIGTERM and SIGHUP.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Keep printing until the item, or the run, has ended
    #[arg(long, short)]
    follow: bool,
    /// Only standard output
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,
    /// Only standard error
    #[arg(long)]
    stderr: bool,
    /// The item's attempt of this number, from 1
    #[arg(long, value_name = "N", conflicts_with = "session")]
    attempt: Option<u32>,
    /// The session of this number; `antiphon show ID ITEM` lists them
    #[arg(long, value_name = "N")]
    session: Option<u64>,
    /// Print control characters as they are, also on a terminal, which obeys them
    #[arg(long)]
    raw: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let (run, chosen) = match self.attempt.is_some() || self.session.is_some() {
            true => {
                let (run, chosen) = self.target.find_items(&ledger, "logs")?;
                (run, Some(chosen))
            }
            false => self.target.find(&ledger)?,
        };
        on_a_runtime(self.print(&ledger, &run, chosen, options.json))
    }

    async fn print(
        &self,
        ledger: &Ledger,
        run: &CoordinationId,
        chosen: Option<Chosen>,
        json: bool,
    ) -> Result<ExitCode, CommandError> {
        let stream = match (self.stdout, self.stderr) {
            (true, _) => Some("stdout".to_owned()),
            (_, true) => Some("stderr".to_owned()),
            _ => None,
        };
        let (attempt, session, follow) = (self.attempt, self.session, self.follow);
        let query = LogQuery { stream, attempt, session, follow, ..LogQuery::default() };
        let item = chosen.as_ref().filter(|chosen| chosen.is_item).map(|chosen| &*chosen.name);
        let opened = Source::open(ledger, run, item, &query).await;
        let mut source = match (opened, item) {
            (Err(error), Some(item)) => {
                let hint = match carried_out_as(ledger, run, item)? {
                    Some((run, item)) => {
                        format!("`antiphon logs {run} {}` shows what it printed", quoted(&item))
                    }
                    None => format!("`antiphon show {run} {}` shows its sessions", quoted(item)),
                };
                return Err(error.with_hint(hint));
            }
            (opened, _) => opened?,
        };
        let is_wanted = |item: &str| {
            chosen.as_ref().is_none_or(|chosen| chosen.items.iter().any(|wanted| wanted == item))
        };
        let mut output = Stdout::open();
        let mut shown = Shown::new(item.is_none(), self.raw, output.is_terminal());
        let mut printed = false;
        let mut hung_up = pin!(hung_up());
        let mut interrupts = match self.follow {
            true => Some(Interrupts::catch()?),
            false => None,
        };
        while output.is_open() {
            let piece = tokio::select! {
                piece = source.next() => piece?,
                () = &mut hung_up, if self.follow => break,
                () = asked_to_stop(&mut interrupts) => {
                    shown.end(&mut output)?;
                    output.finish()?;
                    stderr::say(printable(&detached(run, &ledger.dir)));
                    return Ok(Kind::Aborted.into());
                }
            };
            let Some(piece) = piece else { break };
            if !is_wanted(&piece.item) {
                continue;
            }
            printed = true;
            match json {
                true => output.json(&piece)?,
                false => shown.take(&piece, &mut output)?,
            }
            if self.follow {
                output.flush()?;
            }
        }
        shown.end(&mut output)?;
        output.finish()?;
        if !printed && !self.follow {
            if is_erased(ledger, run)? {
                let text = format!("what {run} has left was erased, and with it what it printed");
                return Err(CommandError::new(Kind::State, text)
                    .with_hint(format!("`antiphon receipt show {run}` shows how it ended")));
            }
            let nothing = match &chosen {
                Some(chosen) => format!("{} has printed nothing", chosen.name),
                None => format!("no item of {run} has printed anything"),
            };
            let items = RunItems::read(ledger.store.as_ref(), run)?;
            let mut below = items.iter().filter(|item| is_wanted(item.spec.id.as_str()));
            let below = below.find_map(|item| nested(run, item)).map(|below| {
                format!("; `antiphon logs {below}` shows what the nested run {below} printed")
            });
            stderr::say(printable(&format!("{nothing}{}", below.unwrap_or_default())));
        }
        source.check_followed()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The run that carries an item out, or did last, if that is a nested one.
fn nested(run: &CoordinationId, item: &ItemRecord) -> Option<String> {
    let last = item.attempts.iter().rev().find(|attempt| attempt.nested);
    let reused = item.spec.reused.as_ref().filter(|_| item.spec.runner.is_plan());
    match (last, reused) {
        (Some(attempt), _) => Some(format!("{run}.{}", attempt.session)),
        (None, Some(reused)) => reused.session.as_ref().map(ToString::to_string),
        (None, None) => None,
    }
}

/// The run and the item that carried an item out which was taken over, perhaps more than once.
fn carried_out_as(
    ledger: &Ledger,
    run: &CoordinationId,
    item: &str,
) -> Result<Option<(CoordinationId, String)>, CommandError> {
    let mut place = (run.clone(), item.to_owned());
    let mut seen = BTreeSet::new();
    // No run comes twice in what the engine writes.
    while seen.insert(place.0.clone()) {
        let reused = match RunItems::read(ledger.store.as_ref(), &place.0) {
            Ok(items) => items.find(&place.1).ok().and_then(|found| found.spec.reused.clone()),
            // It was erased: the run that is known last tells more.
            Err(ItemError::Query(QueryError::UnknownRun { .. } | QueryError::Erased { .. })) => {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let Some(reused) = reused else { break };
        place = (reused.from, reused.work.map_or(place.1, |work| work.to_string()));
    }
    Ok(Some(place).filter(|(found, _)| found != run))
}

/// Whether something of the record of a run was erased, as `antiphon prune` does.
fn is_erased(ledger: &Ledger, run: &CoordinationId) -> Result<bool, CommandError> {
    let stream = StreamName::Coordination(run.clone());
    for event in Events::after(ledger.store.as_ref(), stream, Version(0)) {
        if event?.payload.bytes().is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits until this process is asked to stop; for ever where that ends it at once.
async fn asked_to_stop(interrupts: &mut Option<Interrupts>) {
    match interrupts {
        Some(interrupts) => drop(interrupts.next().await),
        None => pending().await,
    }
}

/// Waits until whoever reads standard output has closed it; for ever where that cannot be told, as
/// of a file.
async fn hung_up() {
    let output = std::io::stdout().as_fd().try_clone_to_owned();
    // Nothing is written by this one, so it may block.
    match output.and_then(pipe::Sender::from_owned_fd_unchecked) {
        Ok(output) => drop(output.ready(Interest::ERROR).await),
        Err(_) => pending().await,
    }
}
