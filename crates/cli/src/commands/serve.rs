//! `antiphon serve`: an engine that stays.

mod left;
mod log;
mod memory_directory;
mod readiness;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use antiphon::TakenUp;
use antiphon::ledger::Location;
use antiphon::plan::Millis;
use antiphon_server::ResumeRequest;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::resume::unfinished;
use crate::command_error::{CommandError, Kind};
use crate::connection::{Host, HostSetup, Interrupts, READY, SessionPolicy, read_again};
use crate::follow::leave;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::printable;
use log::LogOptions;
use memory_directory::MemoryDirectory;

/// Run an engine that stays, and carry out what is submitted to it
///
/// Takes up every unfinished run of the state directory, with the secrets that are here, from the
/// variables or commands that the plans name, and answers at the socket `api.sock` in that directory.
/// `run`, `do`, `resume`, `list` and all other commands on the same directory then use this engine. A
/// directory has one engine at a time: where another process has it, `serve` names that process and
/// exits with 11.
///
/// Ctrl-C, SIGTERM and SIGHUP end it: running sessions are ended, without counting an attempt, runs are
/// left unfinished and named, and `antiphon resume` or the next `serve` continues them. With
/// --idle-exit it also ends by itself once nobody is connected and nothing runs or could go on by itself;
/// runs that wait for a person, as they are paused or lack a secret, do not hold it, and are named with
/// the commands that continue them. It tells a service manager when it is ready and when it stops
/// (sd_notify); docs/recipes.md has a unit for systemd.
///
/// With --memory the ledger is in the memory of this process, and what sessions need on a disk is in a
/// directory that is made for it (in TMPDIR, else XDG_RUNTIME_DIR, else /tmp) and removed at the end.
/// Its path is printed on standard output: give it to other commands with --dir or ANTIPHON_DIR. All
/// of it is gone when the process ends. `backup`, `doctor` and `log --follow` need a ledger on disk.
///
/// With --log-level or --log-file, events are written as JSON, one object on a line, with `timestamp`,
/// `level`, `message` and the fields of the event; `run` and `session` are ids. A log file grows to
/// 10 MiB, then becomes FILE.1, and FILE.1 becomes FILE.2; five old ones are kept. Where no line can
/// be written any more, as on a full disk, the engine goes on and the log counts the lines that it
/// lacks.
///
/// Exits with 0 if it was asked to stop or was idle, 3 if the state directory cannot be used, 11 if
/// another engine has it.
///
/// Examples:
///   antiphon serve
///   antiphon serve --idle-exit 10m --log-file antiphon.log
///   antiphon serve --memory --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Exit after this long without a client and without anything that runs or could go on by itself
    #[arg(long, value_name = "DURATION")]
    idle_exit: Option<Millis>,
    /// Keep the ledger in memory, and print the directory at which this engine is reached
    #[arg(long)]
    memory: bool,
    /// Let a signal to a run that was never there begin one: open, and without an end of its own
    #[arg(long)]
    undeclared: bool,
    #[command(flatten)]
    log: LogOptions,
    /// Started by a command: carry out only what is handed in, away from the command's terminal
    #[arg(long, hide = true)]
    detached: bool,
}

/// Where the engine works.
struct Place {
    location: Location,
    /// What was made for it, if its ledger is in memory.
    made: Option<MemoryDirectory>,
}

impl Place {
    fn on_disk(dir: &Path) -> Result<Self, CommandError> {
        if state_dir::session_socket(dir).is_some() {
            let what = format!("this is a session of the engine of {}, which runs", dir.display());
            return Err(CommandError::new(Kind::Held, what)
                .with_hint("name another state directory with --dir"));
        }
        let dir = std::path::absolute(dir).map_err(|error| {
            let what = format!("cannot tell where {} is: {error}", dir.display());
            CommandError::new(Kind::State, what)
        })?;
        Ok(Self { location: Location::directory(&dir), made: None })
    }

    fn in_memory() -> Result<Self, CommandError> {
        let made = MemoryDirectory::make()?;
        Ok(Self { location: Location::memory(made.path()), made: Some(made) })
    }

    /// The state directory.
    fn path(&self) -> &Path {
        self.location.path()
    }

    fn is_in_memory(&self) -> bool {
        self.made.is_some()
    }

    /// Removes what is not to stay.
    fn remove(self) -> Result<(), CommandError> {
        self.made.map_or(Ok(()), MemoryDirectory::remove)
    }
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        if self.memory && state_dir::is_named(options) {
            let text = "an engine with its ledger in memory makes a directory of its own";
            return Err(CommandError::new(Kind::Usage, text)
                .with_hint("leave out --dir, and unset ANTIPHON_DIR for it"));
        }
        self.log.install()?;
        if self.detached {
            // Whoever leads a session already is away from it.
            let _away = rustix::process::setsid();
        }
        on_a_runtime(self.serve(options))
    }

    async fn serve(self, options: &Options) -> Result<ExitCode, CommandError> {
        let mut interrupts = Interrupts::catch()?;
        let place = match self.memory {
            true => Place::in_memory()?,
            false => Place::on_disk(&state_dir::find(options))?,
        };
        let taken_up = if self.detached { TakenUp::Asked } else { TakenUp::All };
        let setup =
            HostSetup::new(SessionPolicy::Run, taken_up).allowing_undeclared(self.undeclared);
        let host = tokio::select! {
            host = Host::open(&place.location, setup) => host?,
            _ = interrupts.next() => return Ok(Kind::Aborted.into()),
        };
        let served = self.serve_at(&place, &host, options, &mut interrupts).await;
        readiness::tell("STOPPING=1");
        let left = match place.is_in_memory() {
            true => left::gone(&Ledger::at(place.path())),
            false => leave(&host, None).await,
        };
        let closed = host.close().await;
        let removed = place.remove();
        served.and(left).and(closed).and(removed)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Says where it can be reached, and stays until it is asked to stop or has been idle.
    async fn serve_at(
        &self,
        place: &Place,
        host: &Host,
        options: &Options,
        interrupts: &mut Interrupts,
    ) -> Result<(), CommandError> {
        match self.detached {
            true => self.let_go()?,
            false => self.announce(place, options)?,
        }
        readiness::tell("READY=1");
        tokio::select! {
            served = self.serve_until_idle(place, host) => served,
            interrupt = interrupts.next() => {
                ends(&format!("asked to stop by {}", interrupt.name()));
                Ok(())
            }
        }
    }

    fn announce(&self, place: &Place, options: &Options) -> Result<(), CommandError> {
        let (dir, pid) = (place.path(), std::process::id());
        tracing::info!(dir = %dir.display(), pid, "serving");
        let mut stdout = Stdout::open();
        if options.json {
            stdout.json(&json!({ "dir": dir, "pid": pid }))?;
        } else if place.is_in_memory() {
            stdout.line(dir.display())?;
        }
        stdout.finish()?;
        let memory = if place.is_in_memory() { ", with the ledger in memory" } else { "" };
        stderr::say(format!("serving {}{memory}, as process {pid}", dir.display()));
        Ok(())
    }

    /// Says that it can be reached, and leaves the pipes of the command that started it.
    fn let_go(&self) -> Result<(), CommandError> {
        let failed = |error: std::io::Error| {
            CommandError::internal(format!("cannot leave the command's terminal: {error}"))
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{READY}").and_then(|()| stdout.flush()).map_err(failed)?;
        let null = std::fs::File::options().write(true).open("/dev/null").map_err(failed)?;
        rustix::stdio::dup2_stdout(&null).map_err(|error| failed(error.into()))?;
        rustix::stdio::dup2_stderr(&null).map_err(|error| failed(error.into()))?;
        Ok(())
    }

    /// Brings the secrets of what it has taken up, and ends when it has been idle long enough.
    async fn serve_until_idle(&self, place: &Place, host: &Host) -> Result<(), CommandError> {
        if !self.detached && !place.is_in_memory() {
            bring_secrets(place.path(), host).await?;
        }
        self.idle(host).await?;
        match place.is_in_memory() {
            true => Ok(()),
            false => left::announce(&Ledger::at(place.path())),
        }
    }

    /// Ends when it has been idle for as long as it may be.
    async fn idle(&self, host: &Host) -> Result<(), CommandError> {
        let Some(idle_exit) = &self.idle_exit else { return std::future::pending().await };
        loop {
            host.idle().await?;
            tokio::select! {
                () = sleep(std::time::Duration::from_millis(idle_exit.0)) => {
                    ends(&format!("idle for {idle_exit}"));
                    return Ok(());
                }
                called = host.called() => called?,
            }
        }
    }
}

/// Says why the engine ends, also in its log.
fn ends(why: &str) {
    tracing::info!(why, "stopping");
    stderr::say(format!("stopping: {why}"));
}

/// Reads the secrets of the unfinished runs from here, as `resume` does. One that is missing is
/// named, and keeps only what needs it from running.
async fn bring_secrets(dir: &Path, host: &Host) -> Result<(), CommandError> {
    let ledger = Ledger::at(dir);
    let (send, read) = oneshot::channel();
    // The command of a secret may never end: no thread that this process waits for runs it.
    std::thread::spawn(move || {
        let read = unfinished(&ledger).and_then(|ids| {
            let read = |id| Ok((read_again(&ledger, &id)?, id));
            ids.into_iter().map(read).collect::<Result<Vec<_>, _>>()
        });
        // Nobody waits for it any more where this process is to end.
        drop(send.send(read));
    });
    let read = read.await.map_err(|_| CommandError::internal("no secret could be read"))?;
    for (ResumeRequest { secrets }, id) in read? {
        if secrets.is_empty() {
            continue;
        }
        if let Err(error) = host.engine.run(&id)?.command(None).resume_with(secrets).await {
            stderr::say(printable(&format!("{id} has not got its secrets: {error}")));
        }
    }
    Ok(())
}
