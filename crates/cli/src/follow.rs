//! Seeing a coordination through: showing what happens, passing on what Ctrl-C means, and going on
//! where the engine went.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use antiphon::coordination::Stage;
use antiphon::id::{CoordinationId, SessionId, Version, WorkId};
use antiphon_server::{Client, ClientError, EventLine, EventStream, Steer, SubmitRequest};
use tokio::time::{Instant, interval, sleep_until, timeout};

use crate::command_error::{CommandError, Kind};
use crate::connection::{Connection, Host, Interrupt, Interrupts, Sessions, has_gone};
use crate::run_outcome::RunOutcome;
use crate::view::View;

/// Time between two frames of a live display.
const FRAME: Duration = Duration::from_millis(100);

/// Time between two questions why items do not run.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Coordinations that are named before the rest is counted.
const NAMED: usize = 5;

/// Silence after which it is looked whether anything can go on.
const SILENCE: Duration = Duration::from_secs(1);

/// How long an engine may take to take in what Ctrl-C means.
const STEERED_WITHIN: Duration = Duration::from_secs(5);

/// How it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has ended.
    Ended(RunOutcome),
    /// This process was told to stop.
    Terminated,
}

/// Somebody who sees coordinations of one state directory through, and runs the engine for that if
/// nobody else does.
pub(crate) struct RunFollower {
    dir: PathBuf,
    access: Connection,
    interrupts: Interrupts,
}

/// One coordination as far as it was seen.
struct Progress {
    id: CoordinationId,
    version: Version,
    outcome: Option<RunOutcome>,
    /// How often Ctrl-C was pressed.
    asked: u32,
    /// What that means, until an engine has taken it in.
    steering: Option<Steering>,
}

/// What Ctrl-C means to a coordination: how it is steered, why, and what is told.
#[derive(Clone, Copy)]
struct Steering(Steer, &'static str, &'static str);

/// Why watching stopped short.
enum Stopped {
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

impl RunFollower {
    pub(crate) async fn connect(dir: &Path) -> Result<Self, CommandError> {
        let mut interrupts = Interrupts::catch()?;
        tokio::select! {
            access = Connection::open(dir, Sessions::Run) => Ok(Self { dir: dir.to_owned(), access: access?, interrupts }),
            _ = interrupts.next() => Err(CommandError::new(Kind::Aborted, "interrupted before anything was done")),
        }
    }

    /// Puts coordinations that go on before those that wait for somebody, as far as that is known
    /// here.
    pub(crate) async fn sort_running_first(
        &self,
        ids: &mut [CoordinationId],
    ) -> Result<(), CommandError> {
        if let Some(host) = &self.access.host {
            let at_work = host.at_work().await?;
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
        let mut progress = Progress {
            id: id.clone(),
            version: Version(0),
            outcome: None,
            asked: 0,
            steering: None,
        };
        loop {
            match self.watch(&mut progress, request, view).await {
                Ok(parted) => return Ok(parted),
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::Gone) if self.access.host.is_some() => {
                    let what = "the engine of this process has stopped by itself";
                    return Err(CommandError::new(Kind::State, what)
                        .with_hint("`antiphon doctor` looks at the state directory"));
                }
                Err(Stopped::Gone) => {
                    if !self.reconnect(&mut progress, view).await? {
                        return Ok(Outcome::Terminated);
                    }
                    view.tell(match self.access.host {
                        Some(_) => "the engine that carried this out has gone; this process goes on with it",
                        None => "the engine that carried this out has gone; another one goes on with it",
                    })?;
                }
            }
        }
    }

    /// Looks for an engine again, or becomes it. Gives whether there is one: Ctrl-C twice ends the
    /// search.
    async fn reconnect(
        &mut self,
        progress: &mut Progress,
        view: &mut View,
    ) -> Result<bool, CommandError> {
        let mut search = pin!(Connection::reconnect(&self.dir, Sessions::Run));
        loop {
            let interrupt = tokio::select! {
                access = &mut search => {
                    self.access = access?;
                    return Ok(true);
                }
                interrupt = self.interrupts.next() => interrupt,
            };
            if interrupt == Interrupt::Terminate || progress.asked > 0 {
                view.tell(&terminated_text(&progress.id, true))?;
                return Ok(false);
            }
            progress.press();
            view.tell(
                "nothing new starts once there is an engine again; Ctrl-C again ends this process",
            )?;
        }
    }

    async fn watch(
        &mut self,
        progress: &mut Progress,
        request: Option<&SubmitRequest>,
        view: &mut View,
    ) -> Result<Outcome, Stopped> {
        let Connection { client, host } = &self.access;
        if let Some(request) = request {
            client.submit(request, None).await?;
        }
        if progress.steering.is_some() {
            progress.steer(client, view).await?;
        }
        // Kept over frames: a connection that is slow to open would be given up for each.
        let mut coming = pin!(following(client.follow(&progress.id, progress.version)));
        let mut frames = view.wants_ticks().then(|| interval(FRAME));
        let mut since_asked = Instant::now();
        // Looked at once for each silence.
        let mut silent_from = Some(Instant::now() + SILENCE);
        loop {
            tokio::select! {
                (events, event) = &mut coming => {
                    let Some(line) = event? else { break };
                    coming.set(following(events));
                    let recorded = line.recorded()?;
                    progress.version = recorded.version;
                    progress.outcome = RunOutcome::of(&recorded).or(progress.outcome.take());
                    view.event(&recorded)?;
                    silent_from = Some(Instant::now() + SILENCE);
                }
                interrupt = self.interrupts.next() => match interrupt {
                    Interrupt::CtrlC if host.is_some() || progress.asked < 2 => {
                        progress.press();
                        progress.steer(client, view).await?;
                    }
                    Interrupt::CtrlC | Interrupt::Terminate => {
                        view.tell(&terminated_text(&progress.id, host.is_some()))?;
                        return Ok(Outcome::Terminated);
                    }
                },
                () = next(&mut frames) => {
                    if since_asked.elapsed() >= ASK_AGAIN {
                        view.waits(&reasons(client, &progress.id, view.unexplained()).await);
                        since_asked = Instant::now();
                    }
                    view.tick()?;
                }
                () = until(silent_from) => {
                    silent_from = None;
                    progress.report_if_stuck(&self.access, view).await?;
                }
            }
        }
        match progress.outcome.take() {
            Some(outcome) => Ok(Outcome::Ended(outcome)),
            None => Err(Stopped::Failed(CommandError::new(
                Kind::State,
                format!("the end of {} is not readable", progress.id),
            ))),
        }
    }

    /// Leaves in good order: an engine of this process stays while it carries something out for
    /// others, unless it was told to stop.
    pub(crate) async fn detach(
        mut self,
        progress: Result<Outcome, CommandError>,
    ) -> Result<Outcome, CommandError> {
        let stayed = match (&self.access.host, &progress) {
            (Some(host), Ok(Outcome::Ended(_))) => stay(host, &mut self.interrupts).await,
            _ => Ok(()),
        };
        let closed = self.access.close().await;
        let parted = progress?;
        stayed?;
        closed?;
        Ok(parted)
    }
}

impl Progress {
    /// Ctrl-C once: nothing new starts. Twice: it ends.
    fn press(&mut self) {
        self.asked += 1;
        self.steering = Some(match self.asked {
            1 => Steering(
                Steer::Drain,
                "interrupted",
                "nothing new starts; running sessions may end. Ctrl-C again ends them",
            ),
            _ => Steering(Steer::Cancel, "interrupted twice", "running sessions are ended"),
        });
    }

    /// Tells the engine what Ctrl-C means. If it goes away over it, the next one is told.
    async fn steer(&mut self, client: &Client, view: &mut View) -> Result<(), Stopped> {
        let Some(Steering(how, reason, text)) = self.steering else { return Ok(()) };
        match timeout(STEERED_WITHIN, client.steer(&self.id, how, reason, None)).await {
            Ok(Ok(_)) => view.tell(text)?,
            Ok(Err(error)) if has_gone(&error) => return Err(Stopped::Gone),
            Ok(Err(error)) => view.tell(&error.to_string())?,
            Err(_) => {
                view.tell("the engine does not answer; it is stopped, as by Ctrl-Z, or hangs")?
            }
        }
        self.steering = None;
        Ok(())
    }

    /// Tells what is waited for if nothing goes on by itself, as far as that is known here.
    async fn report_if_stuck(
        &self,
        access: &Connection,
        view: &mut View,
    ) -> Result<(), CommandError> {
        let id = &self.id;
        let at_work = match &access.host {
            Some(host) => host.at_work().await?,
            None => BTreeSet::new(),
        };
        // Work below a nested coordination counts for the one that it is in.
        if at_work.iter().any(|at_work| is_in(id, at_work)) {
            return Ok(());
        }
        let Ok(found) = access.client.status(id).await else { return Ok(()) };
        match found.status.parse() {
            Ok(Stage::Paused) => view.tell(&format!(
                "{id} is paused, and this process waits; `antiphon continue {id}` lets it go on, with --sessions, --duration, --tokens \
                 or --cost for a higher ceiling"
            ))?,
            Ok(Stage::Starting) => view.tell(&format!("{id} was not submitted whole; the same submission again completes it"))?,
            Ok(Stage::Running) if access.host.is_some() => {
                view.tell(&format!("{id} cannot go on by itself; `antiphon why {id}` tells what it waits for"))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a coordination is another one, or carries out a session of it, however deep.
fn is_in(id: &CoordinationId, outer: &CoordinationId) -> bool {
    let above = id.as_str().parse::<SessionId>().map(|session| session.coordination);
    id == outer || above.is_ok_and(|above| is_in(&above, outer))
}

/// Why items do not run, as the engine says. What it does not answer is not shown.
async fn reasons(
    client: &Client,
    id: &CoordinationId,
    works: Vec<WorkId>,
) -> Vec<(WorkId, String)> {
    let mut reasons = Vec::new();
    for work in works {
        let Ok(terminated_text) = client.why(id, work.as_str()).await else { continue };
        let texts: Vec<String> = terminated_text.reasons.into_iter().map(|why| why.text).collect();
        if !texts.is_empty() {
            reasons.push((work, texts.join("; ")));
        }
    }
    reasons
}

fn terminated_text(id: &CoordinationId, hosts: bool) -> String {
    match hosts {
        true => format!("this process was told to stop; `antiphon resume {id}` goes on"),
        false => format!("this process was told to stop; the engine goes on with {id}"),
    }
}

/// Stays while anything goes on that the end of this process would interrupt.
async fn stay(host: &Host, interrupts: &mut Interrupts) -> Result<(), CommandError> {
    let mut named = BTreeSet::new();
    let mut asked = false;
    loop {
        let others = host.at_work().await?;
        let Some(first) = others.first() else { return Ok(()) };
        let names = some_of(&others);
        if !others.is_subset(&named) {
            anstream::eprintln!(
                "this process stays until what others submitted to it is done: {names}"
            );
            named.clone_from(&others);
        }
        let version = host.engine.status(first).await?.version;
        let mut events = host.engine.follow(first, version).await?;
        tokio::select! {
            event = events.next() => drop(event?),
            interrupt = interrupts.next() => {
                if asked || interrupt == Interrupt::Terminate {
                    return Ok(());
                }
                asked = true;
                anstream::eprintln!("ending now would interrupt {names}, which would go on with the next engine; Ctrl-C again ends");
            }
        }
    }
}

/// A few names, and how many more there are.
fn some_of(names: &BTreeSet<CoordinationId>) -> String {
    let mut text = names.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    text
}

/// The next event, with the stream that it came from.
async fn following(
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
