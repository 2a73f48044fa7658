//! Who is the operator: whatever does not descend from the engine, whoever started it; and never what
//! a session started, also where it has shed its marks and its parents.
#![cfg(target_os = "linux")]
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{Bench, Result, Setting};
use antiphon::process::session_of;
use antiphon_server::SOCKET;
use rustix::process::{Pid, Signal, kill_process};

/// An engine that runs processes and knows its own.
async fn bench() -> Result<Bench> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("state");
    let state = dir.clone();
    let setting = Setting {
        processes: true,
        session_of: Some(Arc::new(move |pid| session_of(File::open(&state).ok()?, pid))),
        ..Setting::default()
    };
    Bench::at(folder, dir, setting).await
}

async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not come about");
        let moment = std::future::pending::<()>();
        let _ = tokio::time::timeout(Duration::from_millis(5), moment).await;
    }
}

/// A script that waits until it may, asks the engine of this directory, and keeps the answer.
struct Asking {
    script: PathBuf,
    go: PathBuf,
    answer: PathBuf,
}

impl Asking {
    fn of(bench: &Bench) -> Result<Self> {
        let folder = bench.folder.path();
        let asking = Self {
            script: folder.join("ask"),
            go: folder.join("go"),
            answer: folder.join("answer"),
        };
        let (go, answer) = (asking.go.display(), asking.answer.display());
        let socket = bench.dir.join(SOCKET);
        let script = format!(
            "until test -e {go}; do sleep 0.02; done\n\
             curl -s -w '%{{http_code}}\\n' --unix-socket {} http://x/v1/runs > {answer}.part\n\
             mv {answer}.part {answer}\n",
            socket.display()
        );
        std::fs::write(&asking.script, script)?;
        Ok(asking)
    }

    fn said(&self) -> Option<String> {
        std::fs::read_to_string(&self.answer).ok()
    }

    /// Lets it ask, and waits for the answer.
    async fn answered(&self) -> Result<String> {
        std::fs::write(&self.go, "")?;
        Ok(eventually("the answer", || self.said()).await)
    }
}

/// Starts something that is nobody's child once this returns.
fn start_outside(command: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{command} &")]).current_dir("/").env_clear();
    shell.env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null()).stdout(Stdio::null());
    assert!(shell.status().unwrap().success());
}

async fn is_operator(command: impl FnOnce(&str, &Path) -> String) -> Result {
    let bench = bench().await?;
    let asking = Asking::of(&bench)?;
    start_outside(&command(&asking.script.display().to_string(), bench.folder.path()));
    let said = asking.answered().await?;
    assert!(said.ends_with("200\n"), "{said}");
    bench.stop().await
}

#[tokio::test]
async fn what_cron_starts_is_the_operator() -> Result {
    // A daemon of its own session, a shell for each job, an environment that says nothing.
    is_operator(|script, _| {
        format!("setsid sh -c 'env -i /bin/sh -c \"PATH=/usr/bin:/bin sh {script}; true\"; true'")
    })
    .await
}

#[tokio::test]
async fn what_systemd_starts_is_the_operator() -> Result {
    is_operator(|script, _| format!("setsid env -i PATH=/usr/bin:/bin sh {script}")).await
}

#[tokio::test]
async fn another_login_is_the_operator() -> Result {
    is_operator(|script, _| format!("setsid sh -c 'sh -l -c \"sh {script}; true\"; true'")).await
}

#[tokio::test]
async fn what_a_terminal_multiplexer_starts_is_the_operator() -> Result {
    let has_tmux = Command::new("tmux").arg("-V").output().is_ok_and(|said| said.status.success());
    is_operator(|script, folder| match has_tmux {
        true => {
            let socket = folder.join("tmux");
            format!("tmux -S {} -f /dev/null new-session -d 'sh {script}'", socket.display())
        }
        false => format!("setsid sh -c '( setsid sh -c \"sh {script}; true\" ); true'"),
    })
    .await
}

/// Somebody who has shed the limit, the environment, the kernel session and the parents.
fn plan(script: &Path, pid: &Path) -> String {
    let shed = format!(
        "( ulimit -m 1000; env -i PATH=/usr/bin:/bin setsid sh -c \
         'echo $$ > {pid}.part; mv {pid}.part {pid}; exec sh {script}' & ) > /dev/null 2>&1; \
         sleep 1000",
        pid = pid.display(),
        script = script.display()
    );
    format!(
        "name: sheds\nbudget: {{ sessions: 10, duration: 10m }}\n\
         work:\n  a: {{ command: [sh, -c, {}] }}\n",
        serde_json::json!(shed)
    )
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

async fn shed(bench: &Bench, asking: &Asking) -> Result<i32> {
    let pid = bench.folder.path().join("pid");
    let answer = bench.submit("sheds", &plan(&asking.script, &pid)).await?;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let read = || std::fs::read_to_string(&pid).ok()?.trim().parse().ok();
    Ok(eventually("somebody who shed everything", read).await)
}

async fn stop(bench: Bench) -> Result {
    bench.post("/v1/runs/sheds/cancel", "{}").await?;
    bench.stop().await
}

#[tokio::test]
async fn who_sheds_its_marks_and_parents_is_of_its_session_while_that_runs() -> Result {
    let bench = bench().await?;
    let asking = Asking::of(&bench)?;
    shed(&bench, &asking).await?;
    let said = asking.answered().await?;
    assert!(said.contains("session_may_not") && said.ends_with("403\n"), "{said}");
    stop(bench).await
}

#[tokio::test]
async fn who_sheds_its_marks_and_parents_and_loses_its_warden_is_refused() -> Result {
    let bench = bench().await?;
    let asking = Asking::of(&bench)?;
    let shed = shed(&bench, &asking).await?;
    let warden = eventually("its warden as parent", || {
        let parent = parent_of(shed)?;
        let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
        (name == "antiphon-warden\n").then_some(parent)
    })
    .await;
    let subreaper = parent_of(warden).and_then(Pid::from_raw).unwrap();
    // As long as it is stopped it ends nobody; the engine continues it after a while.
    kill_process(subreaper, Signal::STOP)?;
    kill_process(Pid::from_raw(warden).unwrap(), Signal::KILL)?;
    std::fs::write(&asking.go, "")?;
    let said = eventually("the answer", || {
        let _ = kill_process(subreaper, Signal::STOP);
        asking.said()
    })
    .await;
    kill_process(subreaper, Signal::CONT)?;
    assert!(said.contains("unplaced_caller") && said.ends_with("403\n"), "{said}");
    eventually("its end", || parent_of(shed).is_none().then_some(())).await;
    stop(bench).await
}
