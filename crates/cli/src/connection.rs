//! How a command reaches the engine of a state directory: as a guest of the one that runs, or by
//! running it here.

mod host;
mod interrupts;
mod serving;
mod site;
mod submission;
mod trouble;

use std::path::Path;
use std::time::Duration;

use antiphon::id::CoordinationId;
use antiphon::ledger::Location;
use antiphon::{Engine, TakenUp};
use antiphon_server::{Client, ClientError, Code, Problem};
use tokio::time::{Instant, sleep, timeout};

use crate::command_error::{CommandError, Kind};
use crate::ledger::{self, Ledger};
use crate::stderr;
use crate::text::printable;
pub(crate) use host::{Host, HostSetup, SessionPolicy};
pub(crate) use interrupts::{Interrupt, Interrupts};
pub(crate) use serving::{READY, serving};
pub(crate) use site::Site;
pub(crate) use submission::{MissingSecret, Unsent, available, read_again, request, request_again};
pub(crate) use trouble::{
    Said, asking_in, is_waiting, reasons, said, trouble, trouble_in, waiting_in,
};

/// How long an engine that holds the directory may take from its start until it answers, as it
/// first ends what is left over; and how long a running one may take to say so.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for one that is about to end, and waits for its sessions first.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// How long the guests of an engine that has gone may take to become the next one.
pub(crate) const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(2);

/// After waiting this long, the user reads what is being waited for.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// Pause between two checks of who holds the directory.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Pause before a command is given again to a ledger that takes nothing in.
const REFUSED_AGAIN: Duration = Duration::from_millis(500);

/// The way to an engine.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// The engine, if it runs here.
    pub(crate) host: Option<Host>,
    pub(crate) site: Site,
}

impl Connection {
    /// Finds the engine of a state directory, or runs one here if there is none.
    pub(crate) async fn open(dir: &Path, sessions: SessionPolicy) -> Result<Self, CommandError> {
        Self::open_within(PATIENCE, dir, sessions, None).await
    }

    /// The same after the engine that was there has gone, or is about to: in the same directory, or
    /// not at all.
    pub(crate) async fn reconnect(
        site: Site,
        sessions: SessionPolicy,
    ) -> Result<Self, CommandError> {
        Self::open_within(LONG_PATIENCE, site.path(), sessions, Some(&site)).await
    }

    /// The engine of a state directory, if one runs.
    pub(crate) async fn guest(dir: &Path) -> Result<Option<Self>, CommandError> {
        let Some(client) = Self::probe(dir).await? else { return Ok(None) };
        let site = Site::of(dir)?;
        site.stands()?;
        Ok(Some(Self { client, host: None, site }))
    }

    /// The same after one has gone that carried a run out: a guest of it may take over in a moment, and
    /// take that run up.
    pub(crate) async fn again(
        site: Site,
        run: &CoordinationId,
    ) -> Result<Option<Self>, CommandError> {
        let ledger = Ledger::at(site.path());
        let until = Instant::now() + TAKEN_OVER_WITHIN;
        loop {
            site.stands()?;
            if let Some(client) = Self::probe(site.path()).await? {
                match ledger.is_interrupted(run) {
                    Ok(false) => return Ok(Some(Self { client, host: None, site })),
                    Ok(true) => {}
                    // It was about to end; its directory says more once it has.
                    Err(_) if ledger.is_read_over_the_socket() => {}
                    Err(error) => return Err(error),
                }
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether the state directory is still there, and the one that this connection was made to.
    ///
    /// # Errors
    /// In one sentence, if it is not.
    pub(crate) fn stands(&self) -> Result<(), CommandError> {
        self.site.stands()
    }

    async fn open_within(
        patience: Duration,
        dir: &Path,
        sessions: SessionPolicy,
        known: Option<&Site>,
    ) -> Result<Self, CommandError> {
        // An engine that begins here would make the directory anew.
        let stands = || known.map_or(Ok(()), Site::stands);
        let made = |client, host| {
            let site = match known {
                Some(known) => known.clone(),
                None => Site::of(dir)?,
            };
            site.stands()?;
            Ok(Self { client, host, site })
        };
        let (patience, mut announce_at) =
            (Instant::now() + patience, Some(Instant::now() + TOLD_AFTER));
        loop {
            stands()?;
            if let Some(client) = Self::probe(dir).await? {
                return made(client, None);
            }
            Site::may_host(dir)?;
            stands()?;
            let setup = HostSetup::new(sessions, TakenUp::Asked);
            match Host::open(&Location::directory(dir), setup).await {
                Ok(host) => return made(Client::connect(dir).await?, Some(host)),
                // It has begun just now, or is about to end.
                Err(error) if error.kind() == Kind::Held && Instant::now() < patience => {
                    if announce_at.take_if(|at| Instant::now() >= *at).is_some() {
                        stderr::say(format!(
                            "waiting for the engine that holds {} to answer or exit",
                            dir.display()
                        ));
                    }
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) if error.kind() == Kind::Held => {
                    return Err(error.with_hint(
                        "it does not answer on its socket; it is another program, or it hangs",
                    ));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The engine that runs, if one does and will go on.
    pub(crate) async fn probe(dir: &Path) -> Result<Option<Client>, CommandError> {
        let asked = async {
            let client = ledger::client(dir).await?;
            match client.health().await {
                Ok(_) => Ok(client),
                // It exists; the request itself will tell more.
                Err(ClientError::Refused(problem))
                    if problem.status == 503 && problem.known_code() != Some(Code::Stopping) =>
                {
                    Ok(client)
                }
                Err(error) => Err(error),
            }
        };
        match timeout(PATIENCE, asked)
            .await
            .unwrap_or_else(|_| Err(ClientError::Silent { dir: dir.to_owned() }))
        {
            Ok(client) => Ok(Some(client)),
            Err(error) if has_gone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a command to the engine, or has one here record it; again if the engine goes away over
    /// it, or as long as the ledger takes nothing in, under a key that makes it one. Gives the
    /// answer, and whether an engine runs that acts on it.
    pub(crate) async fn command<T>(
        dir: &Path,
        command: impl AsyncFn(&Self, &str) -> Result<T, ClientError>,
    ) -> Result<(T, bool), CommandError> {
        let mut told = false;
        let wait = |problem: &Problem| {
            if !std::mem::replace(&mut told, true) {
                let text = format!("{problem}; waiting to have the command recorded");
                stderr::say(printable(&text));
            }
            Ok(())
        };
        Self::command_unless(wait, dir, command).await
    }

    /// The same; each refusal that passes by itself is first shown to `hindered`, which may end it.
    pub(crate) async fn command_unless<T>(
        mut hindered: impl FnMut(&Problem) -> Result<(), CommandError>,
        dir: &Path,
        command: impl AsyncFn(&Self, &str) -> Result<T, ClientError>,
    ) -> Result<(T, bool), CommandError> {
        let key = Engine::mint().to_string();
        // The command was looked up in it just now.
        let known = Site::of(dir)?;
        loop {
            let access =
                Self::open_within(PATIENCE, dir, SessionPolicy::Leave, Some(&known)).await?;
            let answer = command(&access, &key).await;
            let is_guest = access.host.is_none();
            let closed = access.close().await;
            let refused = answer.as_ref().err();
            if is_guest && refused.is_some_and(has_gone) {
                sleep(LOOK_AGAIN).await;
            } else if let Some(problem) = refused.and_then(passing) {
                // Nothing was recorded; it will be once the ledger takes something in.
                hindered(problem)?;
                sleep(REFUSED_AGAIN).await;
            } else {
                closed?;
                return Ok((answer?, is_guest));
            }
        }
    }

    /// Stops the engine if it runs here.
    pub(crate) async fn close(self) -> Result<(), CommandError> {
        match self.host {
            Some(host) => host.close().await,
            None => Ok(()),
        }
    }
}

/// Whether an error means that the engine has gone or is about to, so that looking for one again
/// helps.
pub(crate) fn has_gone(error: &ClientError) -> bool {
    match error {
        ClientError::NoEngine { .. } | ClientError::Broken(_) => true,
        ClientError::Refused(problem) => problem.known_code() == Some(Code::Stopping),
        _ => false,
    }
}

/// A refusal that passes by itself: nothing was recorded, and the same will be taken in once the
/// ledger takes something in again.
pub(crate) fn passing(error: &ClientError) -> Option<&Problem> {
    error.problem().filter(|problem| {
        matches!(
            problem.known_code(),
            Some(
                Code::ReadOnly
                    | Code::NotTaken
                    | Code::NoAnswer
                    | Code::Busy
                    | Code::TakingOver
                    | Code::TooManySignals
                    | Code::TooManyChanges
                    | Code::TooManyQuestions
            )
        )
    })
}
