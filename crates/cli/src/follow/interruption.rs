//! What Ctrl-C means to the runs that a process carries out: they are left unfinished, and
//! `resume` continues them.

use std::time::Duration;

use antiphon::id::CoordinationId;
use antiphon_server::{Client, Steer};
use tokio::time::timeout;

use super::followed_run::Stopped;
use super::paused::is_in;
use super::troubles::ended;
use crate::command_error::CommandError;
use crate::connection::{Host, Interrupt, has_gone, passing};
use crate::view::View;

/// How long an engine may take to accept what Ctrl-C means.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(5);

/// How far an interruption has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nothing new starts; running sessions come to their end.
    Draining,
    /// Running sessions are ended.
    EndingSessions,
    /// This process leaves whatever runs.
    Leaving,
}

/// The interruption of runs, from the first Ctrl-C on.
#[derive(Debug, Default)]
pub(super) struct Interruption {
    stage: Option<Stage>,
    /// What is to be said to the engine, until it has accepted that.
    unsaid: Option<Steer>,
    /// Whether this process is to end, whatever else it carries out.
    terminates: bool,
    last: Option<Interrupt>,
}

impl Interruption {
    /// Takes in what the user or the system asks for: each Ctrl-C goes one step on.
    pub(super) fn advance(&mut self, interrupt: Interrupt) {
        let next = match (interrupt, self.stage) {
            (Interrupt::CtrlC, None) => Stage::Draining,
            (Interrupt::CtrlC, Some(Stage::Draining))
            | (Interrupt::Terminate | Interrupt::HangUp, None | Some(Stage::Draining)) => {
                Stage::EndingSessions
            }
            (_, Some(Stage::EndingSessions | Stage::Leaving)) => Stage::Leaving,
        };
        self.terminates |= interrupt != Interrupt::CtrlC || next == Stage::Leaving;
        self.stage = Some(next);
        self.last = Some(interrupt);
        self.unsaid = match next {
            Stage::Draining => Some(Steer::Interrupt),
            Stage::EndingSessions => Some(Steer::InterruptNow),
            Stage::Leaving => None,
        };
    }

    pub(super) fn has_begun(&self) -> bool {
        self.stage.is_some()
    }

    /// What asked for it last.
    pub(super) fn last(&self) -> Option<Interrupt> {
        self.last
    }

    /// Whether nothing is waited for any more.
    pub(super) fn leaves(&self) -> bool {
        self.stage == Some(Stage::Leaving)
    }

    /// Whether this process is to end, whatever else it carries out.
    pub(super) fn terminates(&self) -> bool {
        self.terminates
    }

    /// Says to the engine what was not said yet. If that engine goes away meanwhile, the next one
    /// hears of it.
    pub(super) async fn say(
        &mut self,
        client: &Client,
        host: &Host,
        runs: &[CoordinationId],
        view: &mut View,
    ) -> Result<(), Stopped> {
        let Some(how) = self.unsaid else { return Ok(()) };
        for run in runs {
            match timeout(ACCEPTED_WITHIN, client.steer(run, how, self.reason(), None)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) if ended(&error) => {}
                Ok(Err(error)) if has_gone(&error) => return Err(Stopped::Gone),
                // Said again until the ledger takes something in.
                Ok(Err(error)) if passing(&error).is_some() => return Ok(()),
                Ok(Err(error)) => view.tell(&error.to_string())?,
                Err(_) => {
                    view.tell("the engine does not answer; it is stopped (Ctrl-Z) or hung")?;
                }
            }
        }
        self.unsaid = None;
        if !self.is_complete(host, runs).await? {
            view.tell(match how {
                Steer::Interrupt => "waiting for running sessions; press Ctrl-C again to stop them",
                _ => "stopping running sessions",
            })?;
        }
        Ok(())
    }

    /// Whether nothing of the runs is running any more.
    pub(super) async fn is_complete(
        &self,
        host: &Host,
        runs: &[CoordinationId],
    ) -> Result<bool, CommandError> {
        if self.stage.is_none() || self.unsaid.is_some() {
            return Ok(false);
        }
        let Some(at_work) = host.at_work().await? else { return Ok(false) };
        Ok(!runs.iter().any(|run| at_work.iter().any(|at_work| is_in(at_work, run))))
    }

    /// What the record says of it.
    fn reason(&self) -> &'static str {
        match self.terminates {
            false => "Ctrl-C",
            true => "its engine was asked to stop",
        }
    }
}
