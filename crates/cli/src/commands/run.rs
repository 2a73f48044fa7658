//! `antiphon run`: a plan, from its file to a receipt.

mod secrets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use antiphon::coordination::Verdict;
use antiphon::envelope::Recorded;
use antiphon::id::{CoordinationId, Version, WorkId};
use antiphon::plan::{Compiled, Environment, Plan};
use antiphon::process::WardenSetup;
use antiphon::{Ended, Engine, EngineError, Subscription};
use tokio::signal::ctrl_c;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::Global;
use super::plan::check::refused;
use crate::command_error::{CommandError, Kind};
use crate::state_dir;
use crate::view::View;

/// How often a terminal shows that time passes.
const BEAT: Duration = Duration::from_millis(100);

/// Events that wait to be shown.
const EVENTS_WAITING: usize = 64;

/// Run a plan: real processes, a budget, a receipt
///
/// Exits with 0 if it succeeded, 5 if the plan cannot be run, 6 if only a part was done, 7 if it failed, 8 if it was aborted. Ctrl-C once
/// lets running sessions end and starts nothing new; twice ends them. With --json, the events, one on a line.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Run it under this id; the same plan under the same id goes on where it stopped
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

impl Args {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, CommandError> {
        let compiled = match Plan::read(&self.file).and_then(|plan| plan.compile(&Environment::of_process())) {
            Ok(compiled) => compiled,
            Err(problems) => return refused(&problems, global),
        };
        let dir = state_dir::find(global);
        prepare(&dir)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CommandError::internal(format!("no runtime can be had: {error}")))?;
        runtime.block_on(self.run_in(&dir, compiled, global.json))
    }

    async fn run_in(self, dir: &Path, compiled: Compiled, json: bool) -> Result<ExitCode, CommandError> {
        let secrets = secrets::values(&compiled.secrets)?;
        let mut setup = Engine::open(dir)?;
        setup.run_processes(WardenSetup::default()).map_err(|error| CommandError::because(Kind::State, &error))?;
        let engine = setup.start().await?;
        let config = match &self.id {
            None => compiled.config,
            Some(id) => compiled.config.with_id(id).map_err(|error| CommandError::because(Kind::Usage, &error))?,
        };
        let id = engine.submit_holding(config, compiled.blobs, secrets).await?;
        let followed = follow(&engine, &id, json).await;
        engine.close().await?;
        let ended = followed?;
        Ok(exit_code(ended.verdict))
    }
}

/// Makes the state directory, kept out of git.
fn prepare(dir: &Path) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(Kind::State, format!("cannot use {} as state directory: {error}", dir.display()))
            .with_hint("name one that can be written with --dir or ANTIPHON_DIR")
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let ignore = dir.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, "*\n").map_err(failed)?;
    }
    Ok(())
}

/// Shows what happens until the end; Ctrl-C drains, and cancels the second time.
async fn follow(engine: &Engine, id: &CoordinationId, json: bool) -> Result<Ended, CommandError> {
    let mut events = handed_on(engine.follow(id, Version(0)).await?);
    let mut view = View::choose(id.clone(), json);
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = 0;
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { break };
                view.event(&event?)?;
            }
            _ = beat.tick(), if view.wants_ticks() => {
                view.waits(&reasons(engine, id, view.unexplained()).await);
                view.tick()?;
            }
            interrupted = ctrl_c(), if asked < 2 => {
                interrupted.map_err(CommandError::internal)?;
                asked += 1;
                let stopped = match asked {
                    1 => engine.drain(id, "interrupted").await,
                    _ => engine.cancel(id, "interrupted twice").await,
                };
                view.tell(&interruption(asked, stopped.err()))?;
            }
        }
    }
    let ended = engine.wait(id).await?;
    view.end(ended.verdict, ended.receipt)?;
    Ok(ended)
}

/// The events of a coordination through a channel, so that nothing read is given up when something else comes first.
fn handed_on(mut events: Subscription) -> mpsc::Receiver<Result<Recorded, EngineError>> {
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING);
    tokio::spawn(async move {
        while let Some(event) = events.next().await.transpose() {
            let is_last = event.is_err();
            if sender.send(event).await.is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// Why items do not run, as far as the engine has a reason.
async fn reasons(engine: &Engine, id: &CoordinationId, works: Vec<WorkId>) -> Vec<(WorkId, String)> {
    let mut reasons = Vec::new();
    for work in works {
        if let Ok(Some(reason)) = engine.why(id, work.as_str()).await.map(|blocked| blocked.into_iter().next()) {
            reasons.push((work, reason.to_string()));
        }
    }
    reasons
}

/// What comes of pressing Ctrl-C.
fn interruption(times: u32, refused: Option<EngineError>) -> String {
    match (times, refused) {
        (_, Some(error)) => error.to_string(),
        (1, None) => "nothing new starts; running sessions may end. Ctrl-C again ends them".to_owned(),
        (_, None) => "running sessions are ended".to_owned(),
    }
}

fn exit_code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Succeeded => ExitCode::SUCCESS,
        Verdict::Partial => Kind::Partial.into(),
        Verdict::Failed => Kind::Failed.into(),
        Verdict::Aborted => Kind::Aborted.into(),
    }
}
