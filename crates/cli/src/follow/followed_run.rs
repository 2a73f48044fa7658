//! How far one run was followed, and what Ctrl-C means to it.

use std::collections::BTreeSet;
use std::time::Duration;

use antiphon::coordination::Stage;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, Version};
use antiphon_server::{Client, ClientError, Steer};
use tokio::time::timeout;

use super::paused::{is_in, paused_below, waits_for};
use crate::command_error::CommandError;
use crate::connection::{Connection, has_gone, passing};
use crate::continuation::Lack;
use crate::run_outcome::RunOutcome;
use crate::view::View;

/// How long an engine may take to accept what Ctrl-C means.
const STEERED_WITHIN: Duration = Duration::from_secs(5);

/// One coordination as far as it was seen.
pub(super) struct FollowedRun {
    id: CoordinationId,
    version: Version,
    outcome: Option<RunOutcome>,
    is_paused: bool,
    /// Whether it was submitted from here with secrets, which are not kept.
    has_secrets: bool,
    /// What it needed when it was found, if it was not submitted from here.
    lack: Lack,
    /// The nested runs that were said to be paused.
    told: BTreeSet<CoordinationId>,
    /// How often Ctrl-C was pressed.
    presses: u32,
    /// What that means, until an engine has accepted it.
    steering: Option<Steering>,
}

/// What Ctrl-C means to a run: how it is steered, the reason, and what the user reads.
#[derive(Clone, Copy)]
struct Steering(Steer, &'static str, &'static str);

/// Why watching stopped short.
pub(super) enum Stopped {
    /// The engine has gone; another one can take over.
    Gone,
    Failed(CommandError),
}

impl From<CommandError> for Stopped {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

impl From<ClientError> for Stopped {
    fn from(error: ClientError) -> Self {
        if has_gone(&error) { Self::Gone } else { Self::Failed(error.into()) }
    }
}

impl FollowedRun {
    pub(super) fn of(id: &CoordinationId, has_secrets: bool, lack: Lack) -> Self {
        Self {
            id: id.clone(),
            version: Version(0),
            outcome: None,
            is_paused: false,
            has_secrets,
            lack,
            told: BTreeSet::new(),
            presses: 0,
            steering: None,
        }
    }

    pub(super) fn id(&self) -> &CoordinationId {
        &self.id
    }

    /// The last event that was seen.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// How often Ctrl-C was pressed.
    pub(super) fn presses(&self) -> u32 {
        self.presses
    }

    pub(super) fn see(&mut self, recorded: &Recorded) {
        self.version = recorded.version;
        match CoordinationEvent::of(recorded) {
            Ok(CoordinationEvent::Paused(_)) => self.is_paused = true,
            Ok(CoordinationEvent::Continued(_)) => self.is_paused = false,
            _ => {}
        }
        self.outcome = RunOutcome::of(recorded).or(self.outcome.take());
    }

    /// How it ended, after its last event.
    pub(super) fn outcome(&self) -> Option<&RunOutcome> {
        self.outcome.as_ref()
    }

    /// What is said where this command ends before the run does; `hosts` says that its engine ends
    /// with it.
    pub(super) fn interrupted(&self, hosts: bool) -> String {
        let id = &self.id;
        if !hosts {
            return format!("interrupted; the engine keeps running {id}");
        }
        let while_paused = if self.is_paused { " while paused" } else { "" };
        let advice = match (self.has_secrets, self.is_paused) {
            (false, true) => self.lack.advice(id, Stage::Paused),
            (false, false) => self.lack.advice(id, Stage::Running),
            (true, false) => format!("{} continues it", self.repeated()),
            (true, true) => {
                format!("`antiphon continue {id}`, then {} continue it", self.repeated())
            }
        };
        format!("interrupted{while_paused}; {advice}")
    }

    /// The command that brings the secrets of the run again.
    fn repeated(&self) -> String {
        format!("the same command with `--id {}`, which brings its secrets again,", self.id)
    }

    /// Whether there is something to send to the engine.
    pub(super) fn is_steering(&self) -> bool {
        self.steering.is_some()
    }

    /// Ctrl-C once: nothing new starts. Twice: it ends.
    pub(super) fn press(&mut self) {
        self.presses += 1;
        self.steering = Some(match self.presses {
            1 => Steering(
                Steer::Drain,
                "interrupted",
                "waiting for running sessions; press Ctrl-C again to stop them",
            ),
            _ => Steering(Steer::Cancel, "interrupted twice", "stopping running sessions"),
        });
    }

    /// Sends what Ctrl-C means to the engine. If that engine goes away meanwhile, the next one gets
    /// it.
    pub(super) async fn steer(&mut self, client: &Client, view: &mut View) -> Result<(), Stopped> {
        let Some(Steering(how, reason, text)) = self.steering else { return Ok(()) };
        match timeout(STEERED_WITHIN, client.steer(&self.id, how, reason, None)).await {
            Ok(Ok(_)) => view.tell(text)?,
            Ok(Err(error)) if has_gone(&error) => return Err(Stopped::Gone),
            // Given again until the ledger takes something in.
            Ok(Err(error)) if passing(&error).is_some() => return Ok(()),
            Ok(Err(error)) => view.tell(&error.to_string())?,
            Err(_) => view.tell("the engine does not answer; it is stopped (Ctrl-Z) or hung")?,
        }
        self.steering = None;
        Ok(())
    }

    /// Says what the run waits for if it cannot continue by itself, as far as that is known here.
    pub(super) async fn report_if_stuck(
        &mut self,
        connection: &Connection,
        view: &mut View,
    ) -> Result<(), CommandError> {
        let id = &self.id;
        let paused = paused_below(&connection.client, id).await;
        for paused in &paused {
            if self.told.insert(paused.clone()) {
                view.tell(&waits_for(id, paused))?;
            }
        }
        if !paused.is_empty() {
            return Ok(());
        }
        let at_work = match &connection.host {
            Some(host) => match host.at_work().await? {
                Some(at_work) => at_work,
                None => return Ok(()),
            },
            None => BTreeSet::new(),
        };
        // Work below a nested coordination counts for the one that it is in.
        if at_work.iter().any(|at_work| is_in(id, at_work)) {
            return Ok(());
        }
        let Ok(found) = connection.client.status(id).await else { return Ok(()) };
        match found.status.parse() {
            Ok(Stage::Paused) => view.tell(&format!(
                "{id} is paused; `antiphon continue {id}` continues it, with --sessions, --duration, --tokens or \
                 --cost to raise a ceiling"
            ))?,
            Ok(Stage::Starting) => {
                let advice = Lack::Items.advice(id, Stage::Starting);
                view.tell(&format!("{id} was only partly submitted; {advice}"))?;
            }
            Ok(Stage::Running) if connection.host.is_some() => {
                view.tell(&format!("{id} cannot continue by itself; `antiphon why {id}` shows what it waits for"))?;
            }
            _ => {}
        }
        Ok(())
    }
}
