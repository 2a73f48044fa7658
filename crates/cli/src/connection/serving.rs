//! An engine that stays, for commands that do not: the one that runs, or one that is started.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use antiphon_server::Client;
use tokio::time::{Instant, sleep};

use super::{Connection, LOOK_AGAIN, PATIENCE, Site};
use crate::command_error::{CommandError, Kind};

/// What an engine that was started says once it can be reached.
pub(crate) const READY: &str = "ready";

/// How long an engine that nobody uses any more stays.
const IDLE_EXIT: &str = "10s";

/// Reaches the engine of a state directory, and starts one that stays if there is none.
pub(crate) async fn serving(dir: &Path) -> Result<Client, CommandError> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(client) = Connection::probe(dir).await? {
            return Ok(client);
        }
        Site::may_host(dir)?;
        match start(dir).await? {
            Started::Ready => {}
            // Another one was faster, or is about to end.
            Started::Not { held: true, .. } if Instant::now() < until => sleep(LOOK_AGAIN).await,
            Started::Not { told, .. } => {
                let text = format!("no engine could be started: {told}");
                return Err(CommandError::new(Kind::State, text)
                    .with_hint("`antiphon serve` says what to do about it"));
            }
        }
    }
}

enum Started {
    Ready,
    /// It ended at once, and said this.
    Not {
        told: String,
        /// Whether another engine has the directory.
        held: bool,
    },
}

/// Starts an engine that stays, in a process session of its own, and waits until it can be reached
/// or has ended.
async fn start(dir: &Path) -> Result<Started, CommandError> {
    let dir = dir.to_owned();
    let started = tokio::task::spawn_blocking(move || {
        let mut serve = Command::new(std::env::current_exe()?)
            .arg("--dir")
            .arg(std::path::absolute(dir)?)
            .args(["serve", "--detached", "--idle-exit", IDLE_EXIT])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(stdout) = serve.stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        if said.trim_end() == READY {
            return Ok(Started::Ready);
        }
        let ended = serve.wait_with_output()?;
        let held = ended.status.code() == Some(Kind::Held as i32);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let first = said.lines().next().unwrap_or_default();
        let told = first.strip_prefix("error: ").unwrap_or(first).to_owned();
        Ok(Started::Not { told, held })
    });
    let failed = |error: std::io::Error| {
        CommandError::new(Kind::State, format!("cannot start an engine that stays: {error}"))
    };
    started.await.map_err(std::io::Error::other).flatten().map_err(failed)
}
