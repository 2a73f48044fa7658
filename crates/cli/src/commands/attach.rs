//! `antiphon attach`: the display of a run that another process carries out.

use std::process::ExitCode;

use antiphon::id::CoordinationId;

use super::ended::EndedRun;
use super::record::check;
use crate::command_error::{CommandError, Kind};
use crate::connection::Connection;
use crate::follow::{Outcome, RunFollower, not_carried_out};
use crate::ledger::{self, Ledger};
use crate::named;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::view::View;

/// Show a run that another process carries out, until it ends
///
/// The same display as of `run`: lines where standard output is no terminal, events with --json. What
/// happened before is shown first. Ctrl-C, SIGTERM and SIGHUP detach, and the run goes on in its own
/// process. A run that has ended is shown with its result. Nothing is started: where no engine
/// carries the run out, that is said at once, with the command that continues it.
///
/// Exits like `run`; with 8 if it is left before the run has ended, with 12 if no engine carries it out.
///
/// Examples:
///   antiphon attach
///   antiphon attach build
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The run, or the beginning of its id; by default the newest
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: Option<CoordinationId>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let id = named::shown(&ledger, self.id.as_ref())?;
        on_a_runtime(attach(ledger, id, options.json))
    }
}

async fn attach(ledger: Ledger, id: CoordinationId, json: bool) -> Result<ExitCode, CommandError> {
    let view = View::choose(id.clone(), json);
    if let Some(ended) = EndedRun::find(&ledger, &id)? {
        return ended.show(view, None).map(|outcome| outcome.exit_code());
    }
    let Some(connection) = Connection::guest(&ledger.dir).await? else {
        // It may have ended with the engine that carried it out.
        return match EndedRun::find(&ledger, &id)? {
            Some(ended) => ended.show(view, None).map(|outcome| outcome.exit_code()),
            None => Err(not_carried_out(&id, &ledger)),
        };
    };
    if ledger.is_interrupted(&id)? {
        return Err(not_carried_out(&id, &ledger));
    }
    let mut view = view;
    let mut follower = RunFollower::attach(connection)?;
    match follower.follow(&id, &mut view).await? {
        Outcome::Ended(mut outcome) => {
            let checked = check(&ledger.dir, &id);
            outcome.checked(&checked);
            outcome.explain(ledger.store.as_ref(), &id);
            view.end(&outcome)?;
            follower.tell_of_on_end().await;
            checked?;
            Ok(outcome.exit_code())
        }
        Outcome::Left(_) => Ok(Kind::Aborted.into()),
    }
}
