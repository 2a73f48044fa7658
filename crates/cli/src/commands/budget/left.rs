//! `antiphon budget left`: what is left of the budget of a run, and of the grant of a session.

use std::collections::BTreeMap;
use std::process::ExitCode;

use antiphon::id::SessionId;
use serde::Serialize;

use crate::command_error::CommandError;
use crate::commands::status::run_status::RunStatus;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::state_dir::session_socket;
use crate::stdout::Stdout;
use crate::table::Table;
use crate::view::Meter;

/// What tells a session which one it is.
const SESSION: &str = "ANTIPHON_SESSION";

/// Show what is left of the budget of a run, and inside a session also what that may use
///
/// Sessions that run count as used. What has no ceiling is left out. Of a session's grant only its time is
/// known while it runs; its tokens and cost are what it was granted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    run: SpokenRun,
}

/// What is left, in the units of `status --json`.
#[derive(Debug, Serialize)]
struct Left {
    run: String,
    left: BTreeMap<&'static str, u64>,
    /// What the session may use in which this is asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    session: BTreeMap<&'static str, u64>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let run = self.run.existing(&ledger)?;
        let own = session_socket(&ledger.dir).and_then(|_| std::env::var(SESSION).ok());
        let status = RunStatus::read(&ledger, run.clone())?;
        let session: Option<SessionId> = own.and_then(|own| own.parse().ok());
        let session = granted(&status, session.as_ref());
        let meters = status.meters();
        let left = |meter: &Meter| Some((key(meter), meter.left()?));
        let left =
            Left { run: run.to_string(), left: meters.iter().filter_map(left).collect(), session };
        let mut output = Stdout::open();
        match options.json {
            true => output.json(&left)?,
            false => print(&left, &meters, &mut output)?,
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn granted(status: &RunStatus, session: Option<&SessionId>) -> BTreeMap<&'static str, u64> {
    let Some((grant, time)) = session.and_then(|session| status.grant(session)) else {
        return BTreeMap::new();
    };
    let all = [("time_ns", Some(time)), ("tokens", grant.tokens), ("cost", grant.cost)];
    all.into_iter().filter_map(|(name, amount)| Some((name, amount?))).collect()
}

fn print(left: &Left, meters: &[Meter], output: &mut Stdout) -> Result<(), CommandError> {
    let mut table = Table::new(["BUDGET", "LEFT", "OF"]);
    for meter in meters {
        if let (Some(left), Some(ceiling)) = (meter.left(), meter.ceiling) {
            table.row([meter.name.to_owned(), meter.told(left), meter.told(ceiling)]);
        }
    }
    for meter in meters {
        if let Some(amount) = left.session.get(key(meter)) {
            let name = format!("{} of this session", meter.name);
            table.row([name, meter.told(*amount), String::new()]);
        }
    }
    table.print("", output)
}

/// The name of a meter in JSON.
fn key(meter: &Meter) -> &'static str {
    if meter.name == "time" { "time_ns" } else { meter.name }
}
