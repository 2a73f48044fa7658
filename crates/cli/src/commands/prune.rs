//! `antiphon prune`: erases what ended runs have left.

use std::process::ExitCode;

use antiphon::plan::Millis;
use antiphon::prune::Survey;
use antiphon_server::{Code, Problem, PruneAnswer, PruneRequest};

use crate::command_error::{CommandError, Kind};
use crate::connection::Connection;
use crate::labels::counted;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;

/// Runs that are named before the rest is counted.
const NAMED: usize = 20;

/// Said where nothing says which runs may go.
const NOTHING_ERASED: &str =
    "nothing was erased; say which runs may go with --older-than 30d, --keep 20, or both";

/// What to do where the disk is full.
const MAKE_ROOM: &str = "to record what is erased takes room itself, of a megabyte or two: remove \
    another file, and prune again";

/// Erase the inputs, outputs and logs of runs that have ended
///
/// How the runs ended stays, with their ids and receipts, and the ledger can still be verified. With
/// both --older-than and --keep, only runs go to which both apply; without either, nothing goes and
/// it says what could.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only runs that ended longer ago, such as 30d
    #[arg(long, value_name = "DURATION")]
    older_than: Option<Millis>,
    /// Keep the newest N runs that have ended
    #[arg(long, value_name = "N")]
    keep: Option<u32>,
    /// Also prune runs of which a run that stays is a retry; the outputs that it took over stay
    #[arg(long)]
    forerunners: bool,
    /// Only show what would be erased
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let mut request = PruneRequest {
            older_than_ms: self.older_than.map(|age| age.0),
            keep: self.keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX)),
            forerunners: self.forerunners,
            dry_run: self.dry_run,
        };
        let is_limited = request.asked().is_limited();
        if !is_limited {
            (request.keep, request.dry_run) = (Some(0), true);
        }
        let answer = match request.dry_run {
            true => on_a_runtime(would_go(&ledger, &request))?,
            false => on_a_runtime(all_that_may_go(&ledger, &request))?,
        };
        let mut output = Stdout::open();
        match options.json {
            true => output.json(&answer)?,
            false => print(&answer, &mut output)?,
        }
        output.finish()?;
        if !is_limited && !options.json {
            stderr::say(NOTHING_ERASED);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What would go, as the engine says, or the ledger where none runs: nothing is written for it.
async fn would_go(ledger: &Ledger, request: &PruneRequest) -> Result<PruneAnswer, CommandError> {
    if let Some(connection) = Connection::guest(&ledger.dir).await? {
        return Ok(connection.client.prune(request).await?);
    }
    let survey = Survey::of(ledger.store.as_ref(), &request.asked())?;
    Ok(PruneAnswer::of(&survey.pruned(), true))
}

/// Prunes until nothing is left that may go: one request takes a bounded number of runs.
async fn all_that_may_go(
    ledger: &Ledger,
    request: &PruneRequest,
) -> Result<PruneAnswer, CommandError> {
    let prune = async |connection: &Connection, _: &str| connection.client.prune(request).await;
    let (mut all, _) = Connection::command_unless(lacking_room, &ledger.dir, prune).await?;
    while all.left > 0 {
        let (next, _) = Connection::command_unless(lacking_room, &ledger.dir, prune).await?;
        all.runs += next.runs;
        all.ids.extend(next.ids);
        all.nested += next.nested;
        all.payloads += next.payloads;
        all.blobs += next.blobs;
        all.bytes += next.bytes;
        all.bytes_after = next.bytes_after.or(all.bytes_after);
        (all.needed, all.left) = (next.needed, next.left);
    }
    Ok(all)
}

/// A full disk is not waited for: who prunes may do it to make room.
fn lacking_room(problem: &Problem) -> Result<(), CommandError> {
    match problem.known_code() {
        Some(Code::ReadOnly) => {
            Err(CommandError::new(Kind::State, &problem.detail).with_hint(MAKE_ROOM))
        }
        _ => Ok(()),
    }
}

fn print(answer: &PruneAnswer, output: &mut Stdout) -> Result<(), CommandError> {
    let PruneAnswer { runs, ids, nested, payloads, blobs, bytes, needed, left, .. } = answer;
    let (done, erased) = match answer.dry_run {
        true => ("would prune", "to be erased"),
        false => ("pruned", "erased"),
    };
    if *runs == 0 {
        output.line("nothing to prune")?;
    } else {
        let nested = match nested {
            0 => String::new(),
            nested => format!(", with {} in them", counted(*nested, "nested run")),
        };
        let named = some_of(ids, *runs);
        let more = match left {
            0 => String::new(),
            left => format!("; {left} more after that"),
        };
        let runs = counted(*runs, "run");
        output.line(format!("{done} {runs}{nested}: {named}{more}"))?;
        let (payloads, blobs) = (counted(*payloads, "payload"), counted(*blobs, "blob"));
        output.line(format!("{payloads} and {blobs} {erased}, {}", mebibytes(*bytes)))?;
    }
    if !needed.is_empty() {
        output.line(format!(
            "kept, as others that stay have taken over from them: {}; --forerunners prunes them too",
            some_of(needed, needed.len() as u64)
        ))?;
    }
    if let (Some(before), Some(after)) = (answer.bytes_before, answer.bytes_after) {
        let (before, after) = (mebibytes(before), mebibytes(after));
        output.line(format!("{before} in use before, {after} now"))?;
    }
    Ok(())
}

/// A few names, and how many more there are.
fn some_of(names: &[String], all: u64) -> String {
    let shown = &names[..names.len().min(NAMED)];
    let (mut text, rest) = (shown.join(", "), all.saturating_sub(shown.len() as u64));
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    printable(&text).into_owned()
}

fn mebibytes(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
