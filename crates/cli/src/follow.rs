//! Following runs to their ends: showing what happens, what Ctrl-C means, and finding the next engine
//! where one has gone.

mod followed_run;
mod interruption;
mod on_end;
mod others;
mod paused;
mod runs;
mod troubles;
mod unfinished;

use std::future::pending;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use antiphon::coordination::Stage;
use antiphon::id::CoordinationId;
use antiphon_server::{Client, ClientError, EventLine, EventStream, RetryAnswer, SubmitRequest};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::command_error::{CommandError, Kind};
use crate::connection::{
    Connection, Interrupt, Interrupts, SessionPolicy, has_gone, is_waiting, reasons,
};
use crate::continuation::Lack;
use crate::ledger::Ledger;
use crate::run_outcome::RunOutcome;
use crate::stderr;
use crate::taken_over::TakenOver;
use crate::text::printable;
use crate::view::View;
use followed_run::{FollowedRun, Stopped};
pub(crate) use followed_run::{carrying, detached, not_carried_out};
use interruption::Interruption;
pub(crate) use on_end::tell_of_on_end;
pub(crate) use others::{leave, names};
pub(crate) use paused::{is_in, paused_below, waits_for};
pub(crate) use runs::{Retrial, Runs};
use troubles::{Troubles, recorded, taken_in};
use unfinished::Inheritance;

/// Time between two frames of a live display.
const FRAME: Duration = Duration::from_millis(100);

/// Time between two questions why items do not run.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Time between two questions whether the engine has trouble.
const LOOK: Duration = Duration::from_secs(1);

/// Silence after which it is looked whether anything can go on.
const SILENCE: Duration = Duration::from_secs(1);

/// Time between two looks whether what was interrupted still runs.
const LOOK_FOR_REST: Duration = Duration::from_millis(50);

/// How it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ended(RunOutcome),
    /// This process was asked to stop before it ended.
    Left(Interrupt),
}

/// Follows runs of one state directory to their ends, and hosts the engine itself if no other
/// process does.
pub(crate) struct RunFollower {
    connection: Connection,
    interrupts: Interrupts,
    runs: Runs,
    interruption: Interruption,
    /// The runs that were seen to end and have a command for it.
    with_on_end: Vec<CoordinationId>,
    inheritance: Inheritance,
}

impl RunFollower {
    pub(crate) async fn connect(dir: &Path, runs: Runs) -> Result<Self, CommandError> {
        let mut interrupts = Interrupts::catch()?;
        let connection = tokio::select! {
            connection = Connection::open(dir, SessionPolicy::Run) => connection?,
            interrupt = interrupts.next() => {
                let text = "interrupted before the run was submitted";
                return Err(CommandError::new(Kind::Aborted, text).after_signal(interrupt.signal()));
            }
        };
        Ok(Self::of(connection, interrupts, runs))
    }

    fn of(connection: Connection, interrupts: Interrupts, runs: Runs) -> Self {
        let (interruption, inheritance) = (Interruption::default(), Inheritance::default());
        Self { connection, interrupts, runs, interruption, with_on_end: Vec::new(), inheritance }
    }

    /// Says which other runs of the directory nobody carries out.
    pub(crate) async fn announce_unfinished(
        &self,
        own: &CoordinationId,
    ) -> Result<(), CommandError> {
        announce_unfinished(&self.connection.client, own).await
    }

    /// Whether a run that is about to be submitted has ended before. Where that cannot be told now,
    /// submitting it tells more.
    pub(crate) async fn is_over(&self, id: &CoordinationId) -> bool {
        self.connection.client.status(id).await.is_ok_and(|run| run.ended)
    }

    /// Has the runs taken in, and nothing followed. Gives the interrupt that ended the wait for a
    /// ledger that takes nothing in, if one did.
    pub(crate) async fn submit(
        &mut self,
        view: &mut View,
    ) -> Result<Option<Interrupt>, CommandError> {
        let client = &self.connection.client;
        let tell = |text: &str| view.tell(text);
        match taken_in(client, &self.runs, &mut self.interrupts, tell).await {
            Ok(interrupt) => Ok(interrupt),
            Err(Stopped::Failed(error)) => Err(error),
            Err(Stopped::Gone) => Err(gone()),
        }
    }

    /// Has a run retried, unless an interrupt ends the wait for a ledger that takes nothing in.
    pub(crate) async fn retry(
        &mut self,
        retry: &Retrial,
    ) -> Result<Result<RetryAnswer, Interrupt>, CommandError> {
        retried(&self.connection.client, retry, &mut self.interrupts).await
    }

    /// Looks at what the engine of another process carries out, and never runs one here.
    pub(crate) fn attach(connection: Connection) -> Result<Self, CommandError> {
        Ok(Self::of(connection, Interrupts::catch()?, Runs::Attached))
    }

    /// Has the runs carried out, and puts those that make progress before those that wait for a
    /// person, as far as that is known here.
    pub(crate) async fn sort_running_first(
        &mut self,
        ids: &mut [CoordinationId],
        view: &mut View,
    ) -> Result<(), CommandError> {
        if let Some(host) = &self.connection.host {
            let client = &self.connection.client;
            let tell = |text: &str| view.tell(text);
            match taken_in(client, &self.runs, &mut self.interrupts, tell).await {
                Ok(_) | Err(Stopped::Gone) => {}
                Err(Stopped::Failed(error)) => return Err(error),
            }
            let at_work = host.at_work().await?.unwrap_or_default();
            ids.sort_by_key(|id| !at_work.iter().any(|at_work| is_in(id, at_work)));
        }
        Ok(())
    }

    /// Has the runs carried out, and shows one of them until it ends or this process is to stop.
    pub(crate) async fn follow(
        &mut self,
        id: &CoordinationId,
        view: &mut View,
    ) -> Result<Outcome, CommandError> {
        let (is_own, lack) = match &self.runs {
            Runs::Submitted(_) | Runs::Retried(_) => (true, Lack::Engine),
            Runs::Resumed(_) | Runs::Attached => {
                let ledger = Ledger::at(self.connection.site.path());
                let run = ledger.replayed(id)?;
                if let Some(taken_over) = TakenOver::of(&run, &ledger)? {
                    view.tell(&taken_over.to_string())?;
                }
                (false, Lack::of(&run, &ledger)?)
            }
        };
        let mut progress = FollowedRun::of(id, is_own, lack);
        loop {
            let watched = self.watch(&mut progress, view).await;
            // Whatever came of it: there is no record of it any more.
            self.connection.stands()?;
            match watched {
                Ok(outcome) => {
                    self.tell_of_inheritance(&progress, view).await?;
                    self.with_on_end.extend(progress.ended_with_command());
                    return Ok(outcome);
                }
                Err(Stopped::Failed(error)) => {
                    self.tell_what_is_left(&progress);
                    return Err(error);
                }
                Err(Stopped::Gone) => {
                    if let Some(host) = &self.connection.host {
                        return Err(host.stopped().await);
                    }
                    if let Some(outcome) = self.reconnect(&progress, view).await? {
                        return Ok(outcome);
                    }
                    if self.connection.host.is_some() {
                        self.inheritance.begin();
                        view.tell("the engine exited; this process takes over")?;
                    } else {
                        view.tell("the engine exited; another engine takes over")?;
                    }
                }
            }
        }
    }

    /// Says which runs the engine has left to nobody whose place this process took, if that is still to
    /// be said.
    async fn tell_of_inheritance(
        &mut self,
        progress: &FollowedRun,
        view: &mut View,
    ) -> Result<(), CommandError> {
        let own = self.runs.outermost(progress.id());
        for note in self.inheritance.take(&self.connection.client, &own).await {
            view.tell(&note)?;
        }
        Ok(())
    }

    /// Says that a run goes on without this process, or is left unfinished by it, where nothing more
    /// can be shown of it: standard error may still be read.
    fn tell_what_is_left(&self, progress: &FollowedRun) {
        if progress.is_unfinished() {
            let dir = self.connection.site.path();
            stderr::say(printable(&match self.connection.host {
                Some(_) => progress.left_unfinished(dir),
                None => progress.detached(dir),
            }));
        }
    }

    /// Says of runs that are not shown, and that have not ended, whether they are left unfinished with
    /// the one that is.
    pub(crate) fn tell_of_the_others(&self, ids: &[CoordinationId]) -> Result<(), CommandError> {
        let ledger = Ledger::at(self.connection.site.path());
        let carried_elsewhere = self.connection.host.is_none() && !self.interruption.has_begun();
        let (mut unfinished, mut running) = (Vec::new(), Vec::new());
        for id in ids {
            match ledger.stage(id, carried_elsewhere)? {
                Stage::Ended(_) => {}
                Stage::Interrupted | Stage::Starting => unfinished.push(id),
                _ => running.push(id),
            }
        }
        if !unfinished.is_empty() {
            let named = names(unfinished);
            let text = format!("also unfinished: {named}; `antiphon resume` continues all of them");
            stderr::say(printable(&text));
        }
        if !running.is_empty() {
            stderr::say(printable(&format!("also running there: {}", names(running))));
        }
        Ok(())
    }

    /// Looks for an engine again, or becomes it, unless this process only looks. Gives how the run is
    /// left if an interrupt ended the search.
    async fn reconnect(
        &mut self,
        progress: &FollowedRun,
        view: &mut View,
    ) -> Result<Option<Outcome>, CommandError> {
        let site = self.connection.site.clone();
        let attached = matches!(self.runs, Runs::Attached);
        let search = async {
            match attached {
                true => Connection::again(site, progress.id()).await,
                false => Connection::reconnect(site, SessionPolicy::Run).await.map(Some),
            }
        };
        tokio::select! {
            connection = search => match connection? {
                Some(connection) => {
                    self.connection = connection;
                    Ok(None)
                }
                None => Err(progress.not_carried_out(self.connection.site.path())),
            },
            interrupt = self.interrupts.next() => {
                self.interruption.advance(interrupt);
                // It may have ended with the engine that has gone. One that cannot be looked up may
                // not even have been submitted.
                let ledger = Ledger::at(self.connection.site.path());
                if let Ok(Some(outcome)) = ledger.outcome(progress.id()) {
                    return Ok(Some(Outcome::Ended(outcome)));
                }
                view.tell(&progress.left_unfinished(self.connection.site.path()))?;
                Ok(Some(Outcome::Left(interrupt)))
            }
        }
    }

    async fn watch(
        &mut self,
        progress: &mut FollowedRun,
        view: &mut View,
    ) -> Result<Outcome, Stopped> {
        let own = self.runs.outermost(progress.id());
        let Connection { client, host, .. } = &self.connection;
        if self.interruption.has_begun() {
            // The engine that was told of it is gone; whoever becomes the next takes nothing up.
        } else if let Some(interrupt) =
            taken_in(client, &self.runs, &mut self.interrupts, |text| view.tell(text)).await?
        {
            view.tell("interrupted before the run was submitted")?;
            return Ok(Outcome::Left(interrupt));
        }
        // Kept over frames: a connection that is slow to open would be given up for each.
        let mut coming = pin!(following(client.follow(progress.id(), progress.version())));
        let mut frames = view.wants_ticks().then(|| interval(FRAME));
        let mut since_asked = Instant::now();
        let mut troubles = Troubles::default();
        let mut rest = interval(LOOK_FOR_REST);
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
                interrupt = self.interrupts.next() => {
                    if host.is_none() {
                        view.tell(&progress.detached(self.connection.site.path()))?;
                        return Ok(Outcome::Left(interrupt));
                    }
                    self.interruption.advance(interrupt);
                }
                _ = rest.tick(), if self.interruption.has_begun() => {
                    let (Some(host), Some(last)) = (host, self.interruption.last()) else {
                        continue;
                    };
                    self.interruption.say(client, host, &own, view).await?;
                    let rests = self.interruption.is_complete(host, &own).await?;
                    if self.interruption.leaves()
                        || (rests && progress.is_seen_unfinished(client).await?)
                    {
                        view.tell(&progress.left_unfinished(self.connection.site.path()))?;
                        return Ok(Outcome::Left(last));
                    }
                }
                () = next(&mut frames) => {
                    if since_asked.elapsed() >= ASK_AGAIN {
                        let unexplained = view.unexplained();
                        let reasons = reasons(client, progress.id(), &unexplained).await;
                        let for_secrets =
                            !unexplained.is_empty() && is_waiting(client, progress.id()).await;
                        view.waits(reasons, for_secrets);
                        since_asked = Instant::now();
                    }
                    view.tick()?;
                }
                _ = look.tick() => {
                    self.connection.stands()?;
                    troubles.look(client, view).await?;
                }
                () = until(self.inheritance.told_at()) => {
                    for note in self.inheritance.take(client, &own).await {
                        view.tell(&note)?;
                    }
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

    /// Waits for the commands of the runs that have ended here, and says which failed. Returns whether
    /// it waited to the end.
    pub(crate) async fn tell_of_on_end(&mut self) -> bool {
        let runs = std::mem::take(&mut self.with_on_end);
        on_end::stay_for(&self.connection, &mut self.interrupts, runs).await
    }

    /// Leaves in good order: an engine of this process stays while it carries something out for
    /// others, unless it was asked to stop.
    pub(crate) async fn detach<T>(
        mut self,
        followed: Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let mut waits = !self.interruption.terminates() && self.tell_of_on_end().await;
        let stayed = match (&self.connection.host, &followed) {
            (Some(host), Ok(_)) => others::leave(host, waits.then_some(&mut self.interrupts)).await,
            _ => Ok(()),
        };
        // Those of runs that have ended meanwhile.
        waits &= stayed.is_ok() && followed.is_ok();
        if waits {
            self.tell_of_on_end().await;
        }
        let closed = self.connection.close().await;
        let outcome = followed?;
        stayed?;
        closed?;
        Ok(outcome)
    }
}

/// Submits a run to an engine that stays, after it was said which others nobody carries out. Gives
/// whether it was submitted: an interrupt ends the wait for a ledger that takes nothing in.
pub(crate) async fn hand_over(
    client: &Client,
    id: &CoordinationId,
    request: SubmitRequest,
) -> Result<bool, CommandError> {
    let mut interrupts = Interrupts::catch()?;
    announce_unfinished(client, id).await?;
    let tell = |text: &str| {
        stderr::say(printable(text));
        Ok(())
    };
    let runs = Runs::Submitted(Box::new(request));
    let taken_in = taken_in(client, &runs, &mut interrupts, tell).await;
    taken_in.map(|interrupt| interrupt.is_none()).map_err(|stopped| match stopped {
        Stopped::Failed(error) => error,
        Stopped::Gone => gone(),
    })
}

/// Has an engine that stays retry a run, unless an interrupt ends the wait for a ledger that takes
/// nothing in.
pub(crate) async fn retry_there(
    client: &Client,
    retry: &Retrial,
) -> Result<Result<RetryAnswer, Interrupt>, CommandError> {
    let mut interrupts = Interrupts::catch()?;
    retried(client, retry, &mut interrupts).await
}

async fn announce_unfinished(client: &Client, own: &CoordinationId) -> Result<(), CommandError> {
    let notes = match unfinished::notes(client, std::slice::from_ref(own)).await {
        Ok(notes) => notes,
        // Whoever follows the run finds the next engine, or takes its place and tells of them then.
        Err(error) if has_gone(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for note in notes {
        stderr::say(printable(&note));
    }
    Ok(())
}

async fn retried(
    client: &Client,
    retry: &Retrial,
    interrupts: &mut Interrupts,
) -> Result<Result<RetryAnswer, Interrupt>, CommandError> {
    let tell = |text: &str| {
        stderr::say(printable(text));
        Ok(())
    };
    let answer = recorded(async || retry.ask(client).await, interrupts, tell).await;
    answer.map_err(|stopped| match stopped {
        Stopped::Failed(error) => error,
        Stopped::Gone => gone(),
    })
}

fn gone() -> CommandError {
    CommandError::new(Kind::State, "the engine went away before it had the run")
        .with_hint("give the command again")
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
