//! How far one run was followed.

use std::collections::BTreeSet;
use std::path::Path;

use antiphon::coordination::Stage;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, Version};
use antiphon::ledger::{Location, LockHolder};
use antiphon_server::{Client, ClientError, Pause};

use super::paused::{is_in, paused_below, waits_for};
use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, has_gone};
use crate::continuation::{Lack, advice, continued_by};
use crate::ledger::Ledger;
use crate::run_outcome::RunOutcome;
use crate::view::View;

/// One coordination as far as it was seen.
pub(super) struct FollowedRun {
    id: CoordinationId,
    version: Version,
    outcome: Option<RunOutcome>,
    is_paused: bool,
    /// Whether its plan names a command for its end.
    has_on_end: bool,
    /// Whether it was submitted from here.
    is_own: bool,
    /// What continues it where it is paused, as far as the engine said.
    pause: Option<Pause>,
    /// What it needed when it was found, if it was not submitted from here.
    lack: Lack,
    /// The nested runs that were said to be paused.
    told: BTreeSet<CoordinationId>,
}

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
    pub(super) fn of(id: &CoordinationId, is_own: bool, lack: Lack) -> Self {
        Self {
            id: id.clone(),
            version: Version(0),
            outcome: None,
            is_paused: false,
            has_on_end: false,
            is_own,
            pause: None,
            lack,
            told: BTreeSet::new(),
        }
    }

    pub(super) fn id(&self) -> &CoordinationId {
        &self.id
    }

    /// The last event that was seen.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn see(&mut self, recorded: &Recorded) {
        self.version = recorded.version;
        match CoordinationEvent::of(recorded) {
            Ok(CoordinationEvent::Started(started)) => self.has_on_end = started.on_end.is_some(),
            Ok(CoordinationEvent::Paused(_)) => self.is_paused = true,
            Ok(CoordinationEvent::Continued(_)) => {
                self.is_paused = false;
                self.pause = None;
            }
            _ => {}
        }
        self.outcome = RunOutcome::of(recorded).or(self.outcome.take());
    }

    /// How it ended, after its last event.
    pub(super) fn outcome(&self) -> Option<&RunOutcome> {
        self.outcome.as_ref()
    }

    /// Its id, if it has ended and a command is carried out for that.
    pub(super) fn ended_with_command(&self) -> Option<CoordinationId> {
        (self.has_on_end && self.outcome.is_some()).then(|| self.id.clone())
    }

    /// What is said where this process no longer carries the run out.
    pub(super) fn left_unfinished(&self, dir: &Path) -> String {
        let id = &self.id;
        let brought = match self.is_own {
            // The secrets that it was started with are told as far as they can be read.
            true => Lack::secrets_of(id, &Ledger::at(dir)).ok(),
            false => None,
        };
        let brought = brought.filter(|lack| *lack != Lack::Secrets(Vec::new()));
        let continued = self.is_paused.then(|| continued_by(id, self.pause.as_ref()));
        let advice = brought.as_ref().unwrap_or(&self.lack).advice(id, continued);
        format!("{id} is unfinished: {advice}; `antiphon cancel {id}` ends it")
    }

    /// What is said where this process leaves a run that another one carries out.
    pub(super) fn detached(&self, dir: &Path) -> String {
        detached(&self.id, dir)
    }

    /// Nobody carries it out any more, and this process does not.
    pub(super) fn not_carried_out(&self, dir: &Path) -> CommandError {
        not_carried_out(&self.id, &Ledger::at(dir))
    }

    /// Whether it is known to be recorded, and its end is not.
    pub(super) fn is_unfinished(&self) -> bool {
        self.version > Version(0) && self.outcome.is_none()
    }

    /// Whether it is left unfinished, and everything that is recorded of it was seen here.
    pub(super) async fn is_seen_unfinished(&self, client: &Client) -> Result<bool, Stopped> {
        let status = client.status(&self.id).await?;
        Ok(!status.ended && status.version <= self.version.0)
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
                view.tell(&waits_for(&connection.client, id, paused).await)?;
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
            Ok(Stage::Paused) => {
                let reason = found.why.map(|why| format!(": {why}")).unwrap_or_default();
                let continued = continued_by(id, found.pause.as_ref());
                view.tell(&format!(
                    "{id} is paused{reason}; {continued} continues it, `antiphon cancel {id}` ends it"
                ))?;
                self.pause = found.pause;
            }
            Ok(Stage::Starting) => {
                let advice = Lack::Items.advice(id, None);
                view.tell(&format!("{id} was only partly submitted; {advice}"))?;
            }
            Ok(Stage::Interrupted) => {
                view.tell(&format!("{id} is interrupted; {}", self.lack.advice(id, None)))?;
            }
            Ok(Stage::Running | Stage::Waiting) if connection.host.is_some() => {
                view.tell(&format!(
                    "{id} cannot continue by itself; `antiphon why {id}` shows what it waits for"
                ))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Nobody carries a run out that is waited for or looked at.
pub(crate) fn not_carried_out(id: &CoordinationId, ledger: &Ledger) -> CommandError {
    CommandError::new(Kind::Unfinished, format!("no engine carries {id} out"))
        .with_hint(advice(ledger, id))
}

/// What is said where a process leaves a run that another one carries out.
pub(crate) fn detached(id: &CoordinationId, dir: &Path) -> String {
    let engine = carrying(dir);
    format!(
        "detached; {id} keeps running in {engine}. `antiphon attach {id}` shows it again, \
         `antiphon cancel {id}` ends it"
    )
}

/// The process whose engine has a state directory.
pub(crate) fn carrying(dir: &Path) -> String {
    match Location::directory(dir).files().holder() {
        Ok(Some(LockHolder::Named(owner))) => format!("process {}", owner.pid),
        _ => "another process".to_owned(),
    }
}
