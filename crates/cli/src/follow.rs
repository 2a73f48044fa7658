//! Following a run to its end: showing what happens, passing on what Ctrl-C means, and finding the
//! next engine where one has gone.

mod followed_run;
mod others;
mod paused;
mod troubles;

use std::future::pending;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use antiphon::id::{CoordinationId, WorkId};
use antiphon_server::{Client, ClientError, EventLine, EventStream, SubmitRequest};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, Interrupt, Interrupts, SessionPolicy};
use crate::continuation::Lack;
use crate::ledger::Ledger;
use crate::run_outcome::RunOutcome;
use crate::view::View;
use followed_run::{FollowedRun, Stopped};
use paused::is_in;
pub(crate) use paused::{paused_below, waits_for};
use troubles::{Troubles, submitted};

/// Time between two frames of a live display.
const FRAME: Duration = Duration::from_millis(100);

/// Time between two questions why items do not run.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Time between two questions whether the engine has trouble.
const LOOK: Duration = Duration::from_secs(1);

/// Silence after which it is looked whether anything can go on.
const SILENCE: Duration = Duration::from_secs(1);

/// How it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ended(RunOutcome),
    /// This process was asked to stop.
    Terminated,
}

/// Follows runs of one state directory to their end, and hosts the engine itself if no other
/// process does.
pub(crate) struct RunFollower {
    connection: Connection,
    interrupts: Interrupts,
}

impl RunFollower {
    pub(crate) async fn connect(dir: &Path) -> Result<Self, CommandError> {
        let mut interrupts = Interrupts::catch()?;
        tokio::select! {
            connection = Connection::open(dir, SessionPolicy::Run) => Ok(Self { connection: connection?, interrupts }),
            _ = interrupts.next() => Err(CommandError::new(Kind::Aborted, "interrupted before the run was submitted")),
        }
    }

    /// Puts runs that make progress before those that wait for a person, as far as that is known
    /// here.
    pub(crate) async fn sort_running_first(
        &self,
        ids: &mut [CoordinationId],
    ) -> Result<(), CommandError> {
        if let Some(host) = &self.connection.host {
            let at_work = host.at_work().await?.unwrap_or_default();
            ids.sort_by_key(|id| !at_work.iter().any(|at_work| is_in(id, at_work)));
        }
        Ok(())
    }

    /// Submits a coordination, if it is given with what it takes, and shows it until it ends.
    pub(crate) async fn follow(
        &mut self,
        id: &CoordinationId,
        request: Option<&SubmitRequest>,
        view: &mut View,
    ) -> Result<Outcome, CommandError> {
        let (has_secrets, lack) = match request {
            Some(request) => (!request.secrets.is_empty(), Lack::Engine),
            None => {
                let ledger = Ledger::at(self.connection.held.path());
                (false, Lack::of(&ledger.replayed(id)?, &ledger)?)
            }
        };
        let mut progress = FollowedRun::of(id, has_secrets, lack);
        loop {
            let watched = self.watch(&mut progress, request, view).await;
            // Whatever came of it: there is no record of it any more.
            self.connection.stands()?;
            match watched {
                Ok(outcome) => return Ok(outcome),
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Gone) => {
                    if let Some(host) = &self.connection.host {
                        return Err(host.stopped().await);
                    }
                    if !self.reconnect(&mut progress, view).await? {
                        return Ok(Outcome::Terminated);
                    }
                    view.tell(match self.connection.host {
                        Some(_) => "the engine exited; this process takes over",
                        None => "the engine exited; another engine takes over",
                    })?;
                }
            }
        }
    }

    /// Looks for an engine again, or becomes it. Gives whether there is one: Ctrl-C twice ends the
    /// search.
    async fn reconnect(
        &mut self,
        progress: &mut FollowedRun,
        view: &mut View,
    ) -> Result<bool, CommandError> {
        let mut search =
            pin!(Connection::reconnect(self.connection.held.clone(), SessionPolicy::Run));
        loop {
            let interrupt = tokio::select! {
                connection = &mut search => {
                    self.connection = connection?;
                    return Ok(true);
                }
                interrupt = self.interrupts.next() => interrupt,
            };
            if interrupt == Interrupt::Terminate || progress.presses() > 0 {
                view.tell(&progress.interrupted(true))?;
                return Ok(false);
            }
            progress.press();
            view.tell(
                "waiting for an engine; nothing new will start. Press Ctrl-C again to leave",
            )?;
        }
    }

    async fn watch(
        &mut self,
        progress: &mut FollowedRun,
        request: Option<&SubmitRequest>,
        view: &mut View,
    ) -> Result<Outcome, Stopped> {
        let Connection { client, host, .. } = &self.connection;
        if let Some(request) = request
            && !submitted(client, request, &mut self.interrupts, view).await?
        {
            view.tell("interrupted before the run was submitted")?;
            return Ok(Outcome::Terminated);
        }
        if progress.is_steering() {
            progress.steer(client, view).await?;
        }
        // Kept over frames: a connection that is slow to open would be given up for each.
        let mut coming = pin!(following(client.follow(progress.id(), progress.version())));
        let mut frames = view.wants_ticks().then(|| interval(FRAME));
        let mut since_asked = Instant::now();
        let mut troubles = Troubles::default();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.reset();
        // Looked at once for each silence.
        let mut silent_from = Some(Instant::now() + SILENCE);
        loop {
            tokio::select! {
                (events, event) = &mut coming => {
                    let Some(line) = event? else { break };
                    coming.set(following(events));
                    let recorded = line.recorded().map_err(ClientError::from)?;
                    progress.see(&recorded);
                    view.event(&recorded)?;
                    silent_from = Some(Instant::now() + SILENCE);
                }
                interrupt = self.interrupts.next() => match interrupt {
                    Interrupt::CtrlC if host.is_some() || progress.presses() < 2 => {
                        progress.press();
                        progress.steer(client, view).await?;
                    }
                    Interrupt::CtrlC | Interrupt::Terminate => {
                        view.tell(&progress.interrupted(host.is_some()))?;
                        return Ok(Outcome::Terminated);
                    }
                },
                () = next(&mut frames) => {
                    if since_asked.elapsed() >= ASK_AGAIN {
                        view.waits(&reasons(client, progress.id(), view.unexplained()).await);
                        since_asked = Instant::now();
                    }
                    view.tick()?;
                }
                _ = look.tick() => {
                    if progress.is_steering() {
                        progress.steer(client, view).await?;
                    }
                    self.connection.stands()?;
                    troubles.look(client, view).await?;
                }
                () = until(silent_from) => {
                    silent_from = None;
                    progress.report_if_stuck(&self.connection, view).await?;
                }
            }
        }
        match progress.outcome() {
            Some(outcome) => Ok(Outcome::Ended(outcome.clone())),
            None => Err(Stopped::Failed(CommandError::new(
                Kind::State,
                format!("cannot read how {} ended", progress.id()),
            ))),
        }
    }

    /// Whether what was followed is still on a record.
    ///
    /// # Errors
    /// If the state directory is gone.
    pub(crate) fn stands(&self) -> Result<(), CommandError> {
        self.connection.stands()
    }

    /// Leaves in good order: an engine of this process stays while it carries something out for
    /// others, unless it was asked to stop.
    pub(crate) async fn detach(
        mut self,
        followed: Result<Outcome, CommandError>,
    ) -> Result<Outcome, CommandError> {
        let stayed = match (&self.connection.host, &followed) {
            (Some(host), Ok(Outcome::Ended(_))) => others::wait(host, &mut self.interrupts).await,
            _ => Ok(()),
        };
        let closed = self.connection.close().await;
        let outcome = followed?;
        stayed?;
        closed?;
        Ok(outcome)
    }
}

/// Why items do not run, as the engine says. What it does not answer is not shown.
async fn reasons(
    client: &Client,
    id: &CoordinationId,
    works: Vec<WorkId>,
) -> Vec<(WorkId, String)> {
    let mut reasons = Vec::new();
    for work in works {
        let Ok(answer) = client.why(id, work.as_str()).await else { continue };
        let texts: Vec<String> = answer.reasons.into_iter().map(|why| why.text).collect();
        if !texts.is_empty() {
            reasons.push((work, texts.join("; ")));
        }
    }
    reasons
}

/// The next event, with the stream that it came from.
pub(crate) async fn following(
    mut events: EventStream,
) -> (EventStream, Result<Option<EventLine>, ClientError>) {
    let event = events.next().await;
    (events, event)
}

async fn next(frames: &mut Option<tokio::time::Interval>) {
    match frames {
        Some(frames) => drop(frames.tick().await),
        None => pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
