//! `antiphon serve`: an engine that stays.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use antiphon::TakenUp;
use antiphon::plan::Millis;
use antiphon_server::ResumeRequest;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::resume::unfinished;
use crate::command_error::{CommandError, Kind};
use crate::connection::{Host, Interrupts, READY, SessionPolicy, read_again};
use crate::follow::leave;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir;
use crate::stderr;
use crate::text::printable;

/// Run an engine that stays, and carry out what is submitted to it
///
/// Takes up every unfinished run of the state directory, with the secrets that are here, from the
/// variables or commands that the plans name. Ctrl-C, SIGTERM and SIGHUP end it: runs are
/// left unfinished, and the next engine continues them. It tells a service manager when it is ready.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit after this long without a client and without anything that runs or could go on by itself
    #[arg(long, value_name = "DURATION")]
    idle_exit: Option<Millis>,
    /// Started by a command: carry out only what is handed in, away from the command's terminal
    #[arg(long, hide = true)]
    detached: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        if self.detached {
            // Whoever leads a session already is away from it.
            let _away = rustix::process::setsid();
        }
        on_a_runtime(self.serve(options))
    }

    async fn serve(self, options: &Options) -> Result<ExitCode, CommandError> {
        let dir = state_dir::find(options);
        let mut interrupts = Interrupts::catch()?;
        let taken_up = if self.detached { TakenUp::Asked } else { TakenUp::All };
        let host = tokio::select! {
            host = Host::open(&dir, SessionPolicy::Run, taken_up) => host?,
            _ = interrupts.next() => return Ok(Kind::Aborted.into()),
        };
        match self.detached {
            true => self.let_go()?,
            false => {
                let (dir, pid) = (dir.display(), std::process::id());
                stderr::say(format!("serving {dir} as process {pid}"));
            }
        }
        announce_ready();
        let served = tokio::select! {
            served = self.serve_until_idle(&dir, &host) => served,
            _ = interrupts.next() => Ok(()),
        };
        let left = leave(&host, None).await;
        let closed = host.close().await;
        served.and(left).and(closed)?;
        Ok(ExitCode::SUCCESS)
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
    async fn serve_until_idle(&self, dir: &Path, host: &Host) -> Result<(), CommandError> {
        if !self.detached {
            bring_secrets(dir, host).await?;
        }
        self.idle(host).await
    }

    /// Ends when it has been idle for as long as it may be.
    async fn idle(&self, host: &Host) -> Result<(), CommandError> {
        let Some(idle_exit) = &self.idle_exit else { return std::future::pending().await };
        loop {
            host.idle().await?;
            tokio::select! {
                () = sleep(std::time::Duration::from_millis(idle_exit.0)) => return Ok(()),
                called = host.called() => called?,
            }
        }
    }
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

/// Tells the service manager that started this process, if one did, that it can be reached: the
/// protocol is a datagram to the socket that is named in the environment (sd_notify(3)).
fn announce_ready() {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = notify(socket.as_encoded_bytes());
    if let Err(error) = told {
        stderr::say(format!("the service manager could not be told: {error}"));
    }
}

fn notify(socket: &[u8]) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    #[cfg(target_os = "linux")]
    let address = {
        use std::os::linux::net::SocketAddrExt as _;
        match socket.split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
        }
    };
    #[cfg(not(target_os = "linux"))]
    let address = SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?;
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}
