//! The attempts at a command: a few, within a limited time, each under a warden.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::Counts;
use antiphon_core::digest::Digest;
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, SessionId, StreamName, Version};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::variables::variables;
use crate::crash;
use crate::ledger::Store;
use crate::mailbox::{AttemptsEnd, Handle, QueryError, Status};
use crate::plan::{CommandSpec, Origin, RenderedEnv};
use crate::process::{Launch, Secret, StopReason};
use crate::secrets::Values;
use crate::session::{Processes, inherited};

/// How often a command is tried that fails.
const ATTEMPTS: u32 = 3;

/// The pause behind the first attempt; behind the second it is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// What is kept of what a command prints, in bytes: only its last words are read.
const OUTPUT_CAP: u64 = 1 << 20;

/// A command that is to be carried out for the end of a run.
pub(crate) struct Attempts {
    processes: Arc<Processes>,
    handle: Handle,
    run: CoordinationId,
    /// How long all attempts may take together.
    within: Duration,
    /// Values of secrets, as far as they are still at hand.
    secrets: Option<Values>,
}

impl Attempts {
    /// The command of a run. The values of its secrets are taken at once, as they are let go of
    /// with the run.
    pub(crate) fn of(
        processes: &Arc<Processes>,
        handle: &Handle,
        run: CoordinationId,
        within: Duration,
    ) -> Self {
        let secrets = processes.secrets().of(&run);
        Self { processes: Arc::clone(processes), handle: handle.clone(), run, within, secrets }
    }

    /// Carries the command out, again if it fails; `None` if it was given up before it came to an
    /// end.
    ///
    /// # Errors
    /// If the run cannot be read, so that nothing was carried out.
    pub(crate) async fn carry_out(
        self,
        given_up: &CancellationToken,
    ) -> Result<Option<AttemptsEnd>, QueryError> {
        let status = self.handle.status(&self.run).await?;
        let version = status.version;
        let run = self.run.clone();
        let command = self.handle.read(move |store| Ok(recorded(store, &run))).await?;
        let command = match command {
            Ok(command) => command,
            Err(why) => return Ok(Some(AttemptsEnd::new(version, Some(why)))),
        };
        crash::point("on_end.before");
        let until = Instant::now() + self.within;
        let mut attempt = 1;
        let failure = loop {
            let ended = self.attempt(attempt, &status, &command, until, given_up).await;
            if given_up.is_cancelled() {
                return Ok(None);
            }
            let Err(why) = ended else { break None };
            let pause = PAUSE * attempt;
            tracing::warn!(run = %self.run, attempt, error = %why, "the command for the end of a run failed");
            if attempt == ATTEMPTS || Instant::now() + pause >= until {
                let times = if attempt == 1 { "once" } else { &format!("{attempt} times") };
                break Some(format!("{why} (tried {times})"));
            }
            attempt += 1;
            tokio::select! {
                () = sleep(pause) => {}
                () = given_up.cancelled() => return Ok(None),
            }
        };
        crash::point("on_end.after");
        Ok(Some(AttemptsEnd::new(version, failure)))
    }

    /// One attempt, under an id that follows those of the run's sessions.
    async fn attempt(
        &self,
        attempt: u32,
        status: &Status,
        command: &Command,
        until: Instant,
        given_up: &CancellationToken,
    ) -> Result<(), String> {
        let Counts { sessions, .. } = status.summary.totals;
        let number = sessions.saturating_add(attempt.into());
        let session = SessionId { coordination: self.run.clone(), number };
        let wardens = self.processes.wardens();
        let _place = wardens.place(|full| tracing::info!(run = %self.run, full)).await;
        let launch =
            self.launch(status, command, until.saturating_duration_since(Instant::now()))?;
        let mut tree = wardens.launch(&session, launch).await.map_err(|error| error.to_string())?;
        let end = tokio::select! {
            end = tree.ended() => end,
            () = given_up.cancelled() => {
                tree.stop(StopReason::Cancelled);
                tree.ended().await
            }
        };
        let (processes, spec) = (Arc::clone(&self.processes), command.spec.clone());
        let read = move || {
            let is_clean = end.clean;
            let folder = processes.wardens().folder(&session);
            let result = processes.result_of(&spec, end, &folder);
            // What is left over is looked for there by the next start.
            if is_clean {
                processes.forget(&session);
            }
            result
        };
        let result = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| format!("its end could not be read: {error}"))?;
        result.map(drop).map_err(|failed| failed.text)
    }

    fn launch(
        &self,
        status: &Status,
        command: &Command,
        time_limit: Duration,
    ) -> Result<Launch, String> {
        let Command { spec, origin } = command;
        let filled = spec.render(&[].into()).map_err(|error| error.to_string())?;
        let mut environment = inherited(origin.clone());
        let mut secrets = Vec::new();
        for (name, value) in filled.env {
            match value {
                RenderedEnv::Text(text) => drop(environment.insert(name.into(), text.into())),
                RenderedEnv::Secret(secret) => {
                    let values = self.secrets.as_ref();
                    let Some(value) = values.and_then(|values| values.get(&secret)) else {
                        // They were lost with the engine that the run was submitted to.
                        tracing::warn!(run = %self.run, secret, "the command for the end of a run goes without a secret");
                        continue;
                    };
                    environment.insert(name.into(), value.into());
                    secrets.push(Secret { name: secret, value: value.clone() });
                }
            }
        }
        let own = variables(status).into_iter();
        environment.extend(own.map(|(name, value)| (name.into(), OsString::from(value))));
        let directory = self.processes.state_directory();
        environment.insert("ANTIPHON_DIR".into(), directory.into());
        Ok(Launch {
            environment: environment.into_iter().collect(),
            secrets,
            time_limit: Some(time_limit),
            grace: Duration::from_millis(spec.grace.0),
            output_cap: OUTPUT_CAP,
            ..Launch::new(filled.argv, spec.dir.clone())
        })
    }
}

/// A command as it is recorded.
struct Command {
    spec: CommandSpec,
    /// Where its run was started from.
    origin: Option<Origin>,
}

/// The command of a run.
fn recorded(store: &dyn Store, run: &CoordinationId) -> Result<Command, String> {
    let stream = StreamName::Coordination(run.clone());
    let first = store.read_stream(&stream, Version(0), 1).map_err(|error| error.to_string())?;
    let Some(Ok(CoordinationEvent::Started(started))) = first.first().map(CoordinationEvent::of)
    else {
        return Err("the record of its start is gone".to_owned());
    };
    let blob = |digest: Option<Digest>| match digest {
        Some(digest) => store.blob(&digest).map_err(|error| error.to_string()),
        None => Ok(None),
    };
    let description = blob(started.on_end)?.ok_or("the record of its command is gone")?;
    let spec = CommandSpec::from_bytes(&description).map_err(|error| error.to_string())?;
    let origin = blob(started.origin)?.map(|bytes| Origin::from_bytes(&bytes)).transpose();
    Ok(Command { spec, origin: origin.map_err(|error| error.to_string())? })
}
