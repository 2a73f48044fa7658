//! Seeing a coordination through: showing what happens, passing on what Ctrl-C means, and going on where the engine went.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::id::{CoordinationId, Version, WorkId};
use antiphon_server::{Client, ClientError, Steer, SubmitRequest};
use tokio::time::{Instant, interval, sleep_until};

use crate::command_error::{CommandError, Kind};
use crate::door::{Door, Host, Interrupt, Interrupts, Sessions, has_gone};
use crate::ending::Ending;
use crate::view::View;

/// Time between two frames of a live display.
const FRAME: Duration = Duration::from_millis(100);

/// Time between two questions why items do not run.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Silence after which it is looked whether anything can go on.
const SILENCE: Duration = Duration::from_secs(1);

/// How it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parted {
    /// It has ended.
    Ended(Ending),
    /// This process was told to stop.
    Told,
}

/// Somebody who sees coordinations of one state directory through, and runs the engine for that if nobody else does.
pub(crate) struct Attendant {
    dir: PathBuf,
    door: Door,
    interrupts: Interrupts,
}

/// One coordination as far as it was seen.
struct Seen {
    id: CoordinationId,
    version: Version,
    ending: Option<Ending>,
    /// How often Ctrl-C was pressed.
    asked: u32,
}

/// Why watching stopped short.
enum Short {
    /// The engine has gone; another one can take over.
    Gone,
    Failed(CommandError),
}

impl From<CommandError> for Short {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

impl From<ClientError> for Short {
    fn from(error: ClientError) -> Self {
        if has_gone(&error) { Self::Gone } else { Self::Failed(error.into()) }
    }
}

impl Attendant {
    pub(crate) async fn arrive(dir: &Path) -> Result<Self, CommandError> {
        let interrupts = Interrupts::catch()?;
        let door = Door::open(dir, Sessions::Run).await?;
        Ok(Self { dir: dir.to_owned(), door, interrupts })
    }

    /// Submits a coordination, if it is given with what it takes, and shows it until it ends.
    pub(crate) async fn see(
        &mut self,
        id: &CoordinationId,
        request: Option<&SubmitRequest>,
        view: &mut View,
    ) -> Result<Parted, CommandError> {
        let mut seen = Seen { id: id.clone(), version: Version(0), ending: None, asked: 0 };
        loop {
            match self.watch(&mut seen, request, view).await {
                Ok(parted) => return Ok(parted),
                Err(Short::Failed(error)) => return Err(error),
                Err(Short::Gone) if self.door.host.is_some() => {
                    let what = "the engine of this process has stopped by itself; its log says why";
                    return Err(CommandError::new(Kind::State, what).with_hint("`antiphon doctor` looks at the state directory"));
                }
                Err(Short::Gone) => {
                    self.door = Door::open_again(&self.dir, Sessions::Run).await?;
                    view.tell(match self.door.host {
                        Some(_) => "the engine that carried this out has gone; this process goes on with it",
                        None => "the engine that carried this out has gone; another one goes on with it",
                    })?;
                }
            }
        }
    }

    async fn watch(&mut self, seen: &mut Seen, request: Option<&SubmitRequest>, view: &mut View) -> Result<Parted, Short> {
        let Door { client, host } = &self.door;
        if let Some(request) = request {
            client.submit(request, None).await?;
        }
        let mut events = client.follow(&seen.id, seen.version);
        let mut frames = view.wants_ticks().then(|| interval(FRAME));
        let mut since_asked = Instant::now();
        // Looked at once for each silence.
        let mut silent_from = Some(Instant::now() + SILENCE);
        loop {
            tokio::select! {
                event = events.next() => {
                    let Some(line) = event? else { break };
                    let recorded = line.recorded()?;
                    seen.version = recorded.version;
                    seen.ending = Ending::of(&recorded).or(seen.ending.take());
                    view.event(&recorded)?;
                    silent_from = Some(Instant::now() + SILENCE);
                }
                interrupt = self.interrupts.next() => match interrupt {
                    Interrupt::Asked => seen.steer(client, view).await?,
                    Interrupt::Told => {
                        view.tell(&told(&seen.id, host.is_some()))?;
                        return Ok(Parted::Told);
                    }
                },
                () = next(&mut frames) => {
                    if since_asked.elapsed() >= ASK_AGAIN {
                        view.waits(&reasons(client, &seen.id, view.unexplained()).await);
                        since_asked = Instant::now();
                    }
                    view.tick()?;
                }
                () = until(silent_from) => {
                    silent_from = None;
                    if let Some(host) = host {
                        seen.look_whether_stuck(host, view).await?;
                    }
                }
            }
        }
        match seen.ending.take() {
            Some(ending) => Ok(Parted::Ended(ending)),
            None => Err(Short::Failed(CommandError::new(Kind::State, format!("the end of {} is not readable", seen.id)))),
        }
    }

    /// Leaves in good order: an engine of this process stays while it carries something out for others, unless it was told to stop.
    pub(crate) async fn leave(mut self, seen: Result<Parted, CommandError>) -> Result<Parted, CommandError> {
        let stayed = match (&self.door.host, &seen) {
            (Some(host), Ok(Parted::Ended(_))) => stay(host, &mut self.interrupts).await,
            _ => Ok(()),
        };
        let closed = self.door.close().await;
        let parted = seen?;
        stayed?;
        closed?;
        Ok(parted)
    }
}

impl Seen {
    /// Ctrl-C once: nothing new starts. Twice: it ends.
    async fn steer(&mut self, client: &Client, view: &mut View) -> Result<(), CommandError> {
        self.asked += 1;
        let (how, reason, text) = match self.asked {
            1 => (Steer::Drain, "interrupted", "nothing new starts; running sessions may end. Ctrl-C again ends them"),
            _ => (Steer::Cancel, "interrupted twice", "running sessions are ended"),
        };
        match client.steer(&self.id, how, reason, None).await {
            Ok(_) => view.tell(text),
            Err(error) => view.tell(&error.to_string()),
        }
    }

    /// Tells what is waited for if nothing goes on by itself.
    async fn look_whether_stuck(&self, host: &Host, view: &mut View) -> Result<(), CommandError> {
        if host.at_work().await?.contains(&self.id) {
            return Ok(());
        }
        let Ok(status) = host.engine.status(&self.id).await else { return Ok(()) };
        let id = &self.id;
        match status.state.as_str() {
            "paused" => view.tell(&format!(
                "{id} is paused, and this process waits; `antiphon continue {id}` lets it go on, with --sessions, --duration, --tokens \
                 or --cost for a higher ceiling"
            ))?,
            "running" => view.tell(&format!("{id} cannot go on by itself; `antiphon why {id}` tells what it waits for"))?,
            _ => {}
        }
        Ok(())
    }
}

/// Why items do not run, as the engine says. What it does not answer is not shown.
async fn reasons(client: &Client, id: &CoordinationId, works: Vec<WorkId>) -> Vec<(WorkId, String)> {
    let mut reasons = Vec::new();
    for work in works {
        let Ok(told) = client.why(id, work.as_str()).await else { continue };
        let texts: Vec<String> = told.reasons.into_iter().map(|why| why.text).collect();
        if !texts.is_empty() {
            reasons.push((work, texts.join("; ")));
        }
    }
    reasons
}

fn told(id: &CoordinationId, hosts: bool) -> String {
    match hosts {
        true => format!("this process was told to stop; `antiphon resume {id}` goes on"),
        false => format!("this process was told to stop; the engine goes on with {id}"),
    }
}

/// Stays while anything goes on that the end of this process would interrupt.
async fn stay(host: &Host, interrupts: &mut Interrupts) -> Result<(), CommandError> {
    let mut named = String::new();
    let mut asked = false;
    loop {
        let others = host.at_work().await?;
        let Some(first) = others.first() else { return Ok(()) };
        let names = others.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if names != named {
            anstream::eprintln!("this process stays until what others submitted to it is done: {names}");
            named.clone_from(&names);
        }
        let version = host.engine.status(first).await?.version;
        let mut events = host.engine.follow(first, version).await?;
        tokio::select! {
            event = events.next() => drop(event?),
            interrupt = interrupts.next() => {
                if asked || interrupt == Interrupt::Told {
                    return Ok(());
                }
                asked = true;
                anstream::eprintln!("ending now would interrupt {names}, which would go on with the next engine; Ctrl-C again ends");
            }
        }
    }
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
