//! Who holds the ledger, whether it answers, and what runs or ran under it.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use antiphon::ledger::{Location, LockHolder, Owner};
use antiphon_server::{Client, ClientError, SOCKET};

use super::examination::Examination;
use crate::command_error::chain;
use crate::labels::counted;
use crate::timestamps;

/// How long an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sessions that are spelled out.
#[cfg(target_os = "linux")]
const SHOWN: usize = 10;

/// How a socket answers.
enum SocketAnswer {
    Engine,
    Nobody,
    Silence,
    Refusal(String),
}

impl Examination {
    pub(super) fn lock(&mut self, dir: &Path) {
        const NAME: &str = "lock";
        let directory = Location::directory(dir).files();
        match directory.holder() {
            Ok(Some(LockHolder::Named(owner))) => {
                self.note_holder();
                if is_gone(&owner) {
                    let text = format!("held, but {} no longer exists", named(&owner));
                    let advice = "a process that it started still holds its lock, or it runs in another container; \
                                  find out who has the file `lock` open: `fuser -v`, as this user or root";
                    return self.note(NAME, text, advice);
                }
                self.ok(NAME, format!("held by {}", named(&owner)));
            }
            Ok(Some(LockHolder::Unnamed)) => {
                self.note_holder();
                self.ok(NAME, "held by an engine that has not recorded its name");
            }
            Ok(None) => match directory.last_holder() {
                Some(owner) => {
                    self.ok(NAME, format!("free; the file is left from {}", named(&owner)));
                }
                None => self.ok(NAME, "free"),
            },
            Err(fault) => self.problem(
                NAME,
                chain(&fault),
                "check that this user may read and write the directory",
            ),
        }
    }

    /// Whether the engine that holds the ledger answers; and a socket at which no engine answers.
    pub(super) fn socket(&mut self, dir: &Path) {
        const NAME: &str = "socket";
        let found = match std::fs::symlink_metadata(dir.join(SOCKET)) {
            Ok(found) if !found.file_type().is_socket() => {
                return self.problem(
                    NAME,
                    format!("{SOCKET} is not a socket"),
                    "move it away; no engine can listen while it is there",
                );
            }
            Ok(_) => true,
            Err(_) => false,
        };
        let answer = if found { probe(dir) } else { SocketAnswer::Nobody };
        match (self.is_held(), answer) {
            (true, SocketAnswer::Engine) => self.ok(NAME, "the engine answers"),
            (false, SocketAnswer::Engine) => {
                self.problem(
                    NAME,
                    "something answers although no engine holds the ledger",
                    "find out what listens there: `fuser -v`, as this user or root",
                );
            }
            (true, SocketAnswer::Nobody) => {
                let advice = "nothing if the holder is another program without a socket, or has just started; otherwise kill it, \
                              and the next engine continues where it stopped";
                self.note(
                    NAME,
                    "nothing answers, so only the holder can submit, cancel or ask",
                    advice,
                );
            }
            (_, SocketAnswer::Silence) => {
                let text = format!(
                    "the engine did not answer within {} s: it is stopped or hung",
                    PATIENCE.as_secs()
                );
                let advice = "look at the process that the lock names; `kill -CONT` continues one that was stopped; ending it with `kill` \
                              is safe, and the next engine continues where it stopped";
                self.problem(NAME, text, advice);
            }
            (_, SocketAnswer::Refusal(why)) => {
                self.note(NAME, why, "run this as the user who owns the directory");
            }
            (false, SocketAnswer::Nobody) if found => {
                self.note(
                    NAME,
                    format!("{SOCKET} is left from an engine that was killed"),
                    "nothing; the next engine replaces it",
                );
            }
            (false, SocketAnswer::Nobody) => {}
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn sessions(&mut self, _dir: &Path) {}

    /// What is left of sessions while no engine runs, and how many run under one.
    #[cfg(target_os = "linux")]
    pub(super) fn sessions(&mut self, dir: &Path) {
        use antiphon::process::{OrphanPlace, OrphanState, orphans};
        const NAME: &str = "sessions";
        let found = match orphans(dir) {
            Ok(found) => found,
            Err(error) => {
                let text = format!("cannot list what is left of sessions: {error}");
                return self.problem(NAME, text, "check that this user may read the directory");
            }
        };
        let (strays, found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|orphan| orphan.known == OrphanState::Stray);
        if !strays.is_empty() {
            let lines: Vec<String> = strays
                .iter()
                .take(SHOWN)
                .map(|stray| format!("{}: of no session", stray.folder.display()))
                .collect();
            self.note(
                NAME,
                format!("{}\n{}", counted(strays.len(), "stray file"), lines.join("\n")),
                "remove what you do not need; engines leave it alone",
            );
        }
        if found.is_empty() {
            return;
        }
        let own = rustix::process::geteuid();
        let (mut foreign, mut unclear, mut unseen, mut lines) = (false, false, false, Vec::new());
        for orphan in &found {
            lines.push(match &orphan.known {
                OrphanState::NeverBegun => {
                    format!("{}: it never started", orphan.folder.display())
                }
                OrphanState::Stray => continue,
                OrphanState::NotUnderstood(how) => {
                    unclear = true;
                    how.clone()
                }
                OrphanState::Begun { session, user, since, place, alive } => {
                    foreign |= *user != own.as_raw() && !own.is_root();
                    let what = match place {
                        OrphanPlace::EarlierBoot => {
                            "nothing of it is running: the machine has rebooted since".to_owned()
                        }
                        OrphanPlace::Gone => {
                            "nothing of it is running: its container is gone".to_owned()
                        }
                        OrphanPlace::Hidden(left) => {
                            unseen = true;
                            format!("it may have left {left}")
                        }
                        OrphanPlace::Here if alive.is_empty() => {
                            "nothing of it is running".to_owned()
                        }
                        OrphanPlace::Here => {
                            let alive: Vec<String> =
                                alive.iter().map(ToString::to_string).collect();
                            format!("alive: {}", alive.join(", "))
                        }
                    };
                    format!(
                        "{session} of user {user}, started at {}: {what}",
                        timestamps::seconds(*since)
                    )
                }
            });
        }
        let left_out = lines.len().saturating_sub(SHOWN);
        lines.truncate(SHOWN);
        if left_out > 0 {
            lines.push(format!("and {left_out} more"));
        }
        let count = counted(found.len(), "session");
        let listed = lines.join("\n");
        match (unclear, foreign, self.is_held()) {
            _ if unseen => self.problem(
                NAME,
                format!("{count}, not all of which are visible from here\n{listed}"),
                "check whether the container is running; remove no folder before it is gone. Until then the items wait",
            ),
            (true, ..) => self.problem(
                NAME,
                format!("{count}, not all of which are understood\n{listed}"),
                "start an engine of the version that started them; it ends what is left",
            ),
            (_, true, _) => self.problem(
                NAME,
                format!("{count}, not all of this user\n{listed}"),
                "start the next engine as the user who started them; only that user and root can end what is left",
            ),
            (_, _, true) => self.ok(NAME, format!("{count} under the engine\n{listed}")),
            _ => self.note(
                NAME,
                format!("{count} left from an engine that was killed\n{listed}"),
                "nothing by hand: the next engine ends what is left before it starts anything, and `antiphon resume` starts one",
            ),
        }
    }
}

fn probe(dir: &Path) -> SocketAnswer {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return SocketAnswer::Silence;
    };
    let asked = async {
        let client = Client::connect(dir).await?;
        client.health().await.map(drop)
    };
    match runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await }) {
        Err(_) => SocketAnswer::Silence,
        Ok(Ok(())) => SocketAnswer::Engine,
        Ok(Err(ClientError::NoEngine { .. })) => SocketAnswer::Nobody,
        Ok(Err(error)) => SocketAnswer::Refusal(chain(&error)),
    }
}

/// Whether the process that wrote its name into the lock is surely not here.
fn is_gone(owner: &Owner) -> bool {
    let here = rustix::system::uname().nodename().to_string_lossy() == owner.host;
    let pid = i32::try_from(owner.pid).ok().and_then(rustix::process::Pid::from_raw);
    here && pid
        .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn named(owner: &Owner) -> String {
    let Owner { host, pid, engine, since } = owner;
    format!(
        "process {pid} on {host} (antiphon {engine}), which took it at {}",
        timestamps::seconds(*since)
    )
}
