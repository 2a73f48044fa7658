//! Memory that a running session takes: by how much the engine's process grows, and what its warden
//! holds.

use std::collections::BTreeMap;
use std::path::Path;

use antiphon::Submission;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::memory::{in_another_process, resident};
use super::process::{engine, plan, program};
use super::report::Measured;
use super::scratch::{fresh, runtime};
use crate::command_error::CommandError;

/// Sessions that run at the same time.
const SESSIONS: usize = 100;

/// What each of them runs: says that it runs, then waits to be ended by a signal.
const SCRIPT: &str = "echo >\"$1\"; exec sleep 3600";

/// Memory of a session that waits, without what its own program takes.
pub(super) fn run(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    let bytes = in_another_process(&[
        "--dir",
        &dir.path().to_string_lossy(),
        "bench",
        "--sessions-memory",
    ])?;
    let [engine, shared_out, whole] = bytes[..] else {
        return Err(CommandError::internal("the measured process said something else"));
    };
    Ok(vec![
        Measured::size("running.engine.rss", engine as f64),
        Measured::size("running.warden.pss", shared_out as f64),
        Measured::size("running.warden.rss", whole as f64),
    ])
}

/// Is the engine whose sessions wait; prints what one takes of this process, and the PSS and RSS of
/// a warden.
pub(crate) fn sessions_memory(dir: &Path) -> Result<(), CommandError> {
    let there = dir.join("there");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &there, mode).map_err(CommandError::internal)?;
    let shell = program("sh")?.display().to_string();
    let command =
        [shell, "-c".to_owned(), SCRIPT.to_owned(), "sh".to_owned(), there.display().to_string()];
    runtime()?.block_on(async {
        // Open for writing as well, so that it does not reach its end when no other process writes.
        let mut heard = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(&there)
            .map_err(CommandError::internal)?;
        let engine = engine(&dir.join("state")).await?;
        let mut running = Vec::new();
        let mut before = 0;
        // The first one alone brings what there is only once, whatever the number of sessions.
        for sessions in [1, SESSIONS] {
            before = resident()?;
            let plan = plan(&command, sessions, sessions, dir)?;
            running.push(
                engine
                    .submit(Submission::new(plan.config).with_inputs(plan.blobs))
                    .await
                    .map_err(CommandError::internal)?,
            );
            heard.read_exact(&mut vec![0; sessions]).await.map_err(CommandError::internal)?;
        }
        let grown = resident()?.saturating_sub(before) / SESSIONS as u64;
        let wardens = wardens().map_err(CommandError::internal)?;
        let all = wardens.len() as u64;
        if all != SESSIONS as u64 + 1 {
            return Err(CommandError::internal(format!(
                "{all} wardens were found instead of {}",
                SESSIONS + 1
            )));
        }
        let (pss, rss) =
            wardens.iter().fold((0, 0), |(pss, rss), warden| (pss + warden.pss, rss + warden.rss));
        anstream::println!("{grown} {} {}", pss / all, rss / all);
        for run in running {
            run.cancel("measured").await.map_err(CommandError::internal)?;
            run.wait().await.map_err(CommandError::internal)?;
        }
        engine.close().await.map_err(CommandError::internal)
    })
}

/// Memory of one process, in bytes.
struct Held {
    /// With its share of what it has together with others.
    pss: u64,
    rss: u64,
}

/// What the wardens hold: the children of the process that this one has for what they leave behind.
fn wardens() -> std::io::Result<Vec<Held>> {
    let mut parents = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // After the name, which may hold anything, come the state and the parent.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        parents.extend(parent.and_then(|parent| parent.parse::<u32>().ok()).map(|of| (pid, of)));
    }
    let own = Some(&std::process::id());
    let is_warden = |parent: &u32| parents.get(parent) == own;
    parents.iter().filter(|(_, parent)| is_warden(parent)).map(|(pid, _)| held(*pid)).collect()
}

fn held(pid: u32) -> std::io::Result<Held> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let bytes = |key: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let both = bytes("Pss").zip(bytes("Rss"));
    let (pss, rss) = both.ok_or_else(|| {
        std::io::Error::other("this system does not say how much memory a process shares")
    })?;
    Ok(Held { pss, rss })
}
