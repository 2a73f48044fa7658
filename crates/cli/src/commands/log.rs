//! `antiphon log`: the events of one stream, each on a line.

mod filter;

use std::os::fd::AsFd as _;
use std::process::ExitCode;

use antiphon::coordination::Stage;
use antiphon::envelope::Recorded;
use antiphon::id::{CoordinationId, StreamName, Version, WorkId};
use antiphon::ledger::{Events, ReadError, Store, Woken};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::command_error::{CommandError, Kind};
use crate::connection::{Interrupts, TAKEN_OVER_WITHIN, trouble_in};
use crate::describe::{self, Narration};
use crate::follow::{detached, not_carried_out};
use crate::ledger::{self, Ledger};
use crate::named;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;
use crate::timestamps::{self, Since};
use filter::{EventKinds, Filter};

/// Events that are read at a time to find where a session began.
const LOOKED_BACK: usize = 1_000;

/// Print the events of a run
///
/// With --follow, keeps printing events as they are recorded until the run has ended, also where
/// another engine takes it over; it exits when its output is closed, with 12 where no engine carries the
/// run out, and with 8 on Ctrl-C, SIGTERM and SIGHUP. With --json, prints one
/// object per line: the event's envelope, its payload as stored, and `time`, which is `wall` in
/// readable form.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id of a run, `ledger`, or the name of another stream; by default the run that `status`
    /// shows
    #[arg(value_name = "RUN | STREAM", value_parser = ledger::stream)]
    stream: Option<StreamName>,
    /// Start at this version
    #[arg(long, value_name = "VERSION", conflicts_with = "after")]
    from: Option<u64>,
    /// Start after this version
    #[arg(long, value_name = "VERSION")]
    after: Option<u64>,
    /// Only events recorded since then: a duration ago, such as `10m`, `1h30m` or `2d`, or a time,
    /// such as `2026-11-21T08:30` (local unless it says otherwise)
    #[arg(long, value_name = "DURATION | TIME", value_parser = timestamps::since)]
    since: Option<Since>,
    /// Only the last N matching events; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 0)]
    limit: usize,
    /// Keep printing new events until the run has ended
    #[arg(long, short)]
    follow: bool,
    /// Only events of this type, such as `session_bound` or `coordination.session_bound`; `*`
    /// matches any text. May be given more than once
    #[arg(long = "type", short = 't', value_name = "PATTERN", value_parser = filter::kinds)]
    kinds: Vec<EventKinds>,
    /// Only events of this item, group or matrix, or of the one item whose name begins so
    #[arg(long, value_name = "ID", value_parser = filter::work)]
    work: Option<WorkId>,
    /// Only events of the session with this number
    #[arg(long, value_name = "N")]
    session: Option<u64>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        on_a_runtime(self.print(options))
    }

    async fn print(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let mut watch = match self.follow {
            true => {
                let files = ledger.on_disk("`antiphon log --follow`")?;
                Some(files.watch().map_err(CommandError::internal)?)
            }
            false => None,
        };
        let stream = match self.stream {
            Some(StreamName::Coordination(id)) => {
                StreamName::Coordination(named::existing(&ledger, &id)?)
            }
            Some(stream) => stream,
            None => newest(&ledger)?,
        };
        let mut carried = match &stream {
            StreamName::Coordination(run) if self.follow => Some(CarriedOut::of(&ledger, run)?),
            _ => None,
        };
        let head = ledger.head(&stream)?;
        let works = meant(&ledger, &stream, self.work.as_ref())?;
        let begin = Version(self.after.unwrap_or_else(|| self.from.unwrap_or(1).saturating_sub(1)));
        let mut filter = Filter::new(
            ledger.store.as_ref(),
            &stream,
            &self.kinds,
            (self.work, works),
            self.session,
            self.since.map(Since::wall),
        );
        let mut after = filter.last(begin, head.tip.version, self.limit)?;
        let mut lines = Lines::after(after, head.tip.version);
        let mut printed = false;
        let mut troubles = Troubles::default();
        let mut output = Stdout::open();
        let mut interrupts = match self.follow {
            true => Some(Interrupts::catch()?),
            false => None,
        };
        while output.is_open() {
            for event in Events::after(ledger.store.as_ref(), stream.clone(), after) {
                let event = event?;
                after = event.version;
                let wanted = filter.wants(&event)?;
                printed |= wanted;
                match (wanted, options.json) {
                    (true, true) => output.json(&describe::json(&event))?,
                    (true, false) => output.line(lines.of(&event, ledger.store.as_ref())?)?,
                    (false, _) => lines.pass(&event),
                }
                if !output.is_open() {
                    break;
                }
            }
            let Some(interrupts) = interrupts.as_mut().filter(|_| output.is_open()) else { break };
            let Some(mut waiting) = watch.take() else { break };
            let now = ledger.head(&stream)?;
            if now.ended && now.tip.version <= after {
                break;
            }
            output.flush()?;
            if let Some(carried) = &mut carried {
                carried.look(&ledger)?;
            }
            let woken = spawn_blocking(move || {
                let woken = waiting.wait(std::io::stdout().as_fd());
                (waiting, woken)
            });
            let (waited, woken) = tokio::select! {
                woken = woken => woken.map_err(CommandError::internal)?,
                _ = interrupts.next() => return Ok(left(&stream, &ledger)),
            };
            watch = Some(waited);
            match woken.map_err(CommandError::internal)? {
                Woken::Changed => {}
                Woken::Quiet => troubles.look(&ledger).await,
                Woken::HungUp => break,
                Woken::Gone(gone) => return Err(gone.into()),
            }
        }
        output.finish()?;
        if !self.follow && !ledger.head(&stream)?.ended && ledger.is_held()? {
            troubles.look(&ledger).await;
        }
        if !printed && !self.follow {
            // An empty answer is right, but may come of a mistake.
            stderr::say(printable(&filter.why_nothing(begin, head.tip.version)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says that what was followed goes on, where this process is asked to stop.
fn left(stream: &StreamName, ledger: &Ledger) -> ExitCode {
    if let StreamName::Coordination(run) = stream {
        stderr::say(printable(&detached(run, &ledger.dir)));
    }
    Kind::Aborted.into()
}

/// Whether somebody carries out the run that is followed.
struct CarriedOut {
    run: CoordinationId,
    /// The last time that somebody did.
    last: Option<Instant>,
}

impl CarriedOut {
    fn of(ledger: &Ledger, run: &CoordinationId) -> Result<Self, CommandError> {
        let is_left = ledger.stage(run, ledger.is_held()?)? == Stage::Interrupted;
        Ok(Self { run: run.clone(), last: (!is_left).then(Instant::now) })
    }

    /// Looks again. Where an engine has gone, another one may take over in a moment, or its directory
    /// has gone with it.
    ///
    /// # Errors
    /// If nobody does, and nobody takes over.
    fn look(&mut self, ledger: &Ledger) -> Result<(), CommandError> {
        if ledger.stage(&self.run, ledger.is_held()?)? != Stage::Interrupted {
            self.last = Some(Instant::now());
            return Ok(());
        }
        match self.last {
            Some(last) if last.elapsed() < TAKEN_OVER_WITHIN => Ok(()),
            _ => Err(not_carried_out(&self.run, ledger)),
        }
    }
}

/// The items that are asked for. One that is not there is looked for like any other, and nothing is
/// found of it.
fn meant(
    ledger: &Ledger,
    stream: &StreamName,
    work: Option<&WorkId>,
) -> Result<Vec<WorkId>, CommandError> {
    match (stream, work) {
        (StreamName::Coordination(run), Some(work)) => named::items(ledger, run, work),
        (_, work) => Ok(work.cloned().into_iter().collect()),
    }
}

/// What was last told of the engine's trouble: it is no event, and stands on standard error.
#[derive(Default)]
struct Troubles {
    told: Option<String>,
}

impl Troubles {
    async fn look(&mut self, ledger: &Ledger) {
        let found = trouble_in(&ledger.dir).await;
        if let Some(trouble) = found.as_ref().filter(|found| self.told.as_ref() != Some(found)) {
            stderr::say(printable(trouble));
        }
        self.told = found;
    }
}

/// The stream of the newest run, announced on stderr since the user did not name it.
fn newest(ledger: &Ledger) -> Result<StreamName, CommandError> {
    let stream = StreamName::Coordination(named::newest(ledger)?);
    stderr::say(format!("showing {stream}, the newest run"));
    Ok(stream)
}

/// Events as lines.
struct Lines {
    narration: Narration,
    /// The version after which all events were seen.
    seen_after: Version,
    /// Columns of the versions.
    width: usize,
}

impl Lines {
    /// The lines of the events after a version, up to another one and maybe more.
    fn after(after: Version, last: Version) -> Self {
        let width = last.to_string().len();
        Self { narration: Narration::default(), seen_after: after, width }
    }

    /// Takes in an event that has no line.
    fn pass(&mut self, event: &Recorded) {
        self.narration.pass(event);
    }

    fn of(&mut self, event: &Recorded, store: &dyn Store) -> Result<String, ReadError> {
        self.look_back(event, store)?;
        // As wide as the longest type of the stream.
        let types = match event.stream {
            StreamName::Ledger => "ledger.opened".len(),
            _ => "coordination.session_unbound".len(),
        };
        let width = self.width;
        let line = format!(
            "{:>width$}  {}  {:types$}  {}",
            event.version.0,
            timestamps::millis(event.wall),
            event.kind,
            self.narration.tell(event)
        );
        Ok(line.trim_end().to_owned())
    }

    /// Reads back to where the session began that an event ends.
    fn look_back(&mut self, event: &Recorded, store: &dyn Store) -> Result<(), ReadError> {
        while self.seen_after > Version(0) && self.narration.lacks(event) {
            let end = self.seen_after;
            let begin = Version(end.0.saturating_sub(LOOKED_BACK as u64));
            let page = store.read_stream(&event.stream, begin, LOOKED_BACK)?;
            page.iter().filter(|event| event.version <= end).for_each(|event| self.pass(event));
            self.seen_after = begin;
        }
        Ok(())
    }
}
