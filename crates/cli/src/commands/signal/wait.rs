//! `antiphon signal wait`: until a signal is there.

use std::process::ExitCode;
use std::time::Duration;

use antiphon::plan::Millis;
use antiphon_server::{FollowAfter, SignalLine};
use tokio::time::timeout;

use super::heard::print;
use super::wanted::Wanted;
use crate::awaited::waited;
use crate::command_error::{CommandError, Kind};
use crate::connection::Interrupts;
use crate::heard::Heard;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir::session_run;
use crate::stdout::Stdout;

/// Wait until a signal is there, and print it
///
/// One that was sent before counts as well: the first since the run began is printed. Exits with 12 when
/// the time is over, or the run has ended without one. If no engine runs, one is started that stays as
/// long as it is used. Ctrl-C, SIGTERM and SIGHUP end it with 8.
/// Where agents of sessions would wait for each other, that is refused.
///
/// Examples:
///   antiphon signal wait tests_passed --timeout 10m
///   antiphon signal wait agent_completed --about builder --succeeded
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Its type; `review.*` stands for all that begin like this
    #[arg(value_name = "TYPE")]
    kind: String,
    #[command(flatten)]
    wanted: Wanted,
    /// Wait no longer than this
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Millis>,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let Self { kind, wanted, timeout: within, run } = self;
        let wanted = wanted.of_types(vec![kind.clone()])?;
        let run = run.existing(&ledger)?;
        let without = |what: String| {
            CommandError::new(Kind::Unfinished, what)
                .with_hint(format!("`antiphon signal history --run {run}` shows what there was"))
        };
        // The engine knows then that the agent waits, and refuses where none of several would go on.
        let need = wanted.need().filter(|_| session_run(&ledger.dir).as_ref() == Some(&run));
        let mut heard = Heard::new(&ledger, run.clone(), wanted, FollowAfter::Beginning);
        on_a_runtime(async {
            let mut interrupts = Interrupts::catch()?;
            let waited = async {
                if let Some(need) = need {
                    waited(&ledger, &run, need, None).await?;
                }
                heard.next().await
            };
            let signal = tokio::select! {
                signal = in_time(within, waited) => signal,
                _ = interrupts.next() => return Ok(Kind::Aborted.into()),
            };
            let signal: SignalLine = match signal {
                None => {
                    let within = within.map(|within| within.to_string()).unwrap_or_default();
                    return Err(without(format!("{run} has had no such {kind} within {within}")));
                }
                Some(signal) => signal?
                    .ok_or_else(|| without(format!("{run} has ended without such a {kind}")))?,
            };
            let mut output = Stdout::open();
            print(&mut output, options.json, &signal)?;
            output.finish()?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// What comes of it, unless the time is over first.
async fn in_time<T>(within: Option<Millis>, act: impl Future<Output = T>) -> Option<T> {
    match within {
        Some(within) => timeout(Duration::from_millis(within.0), act).await.ok(),
        None => Some(act.await),
    }
}
