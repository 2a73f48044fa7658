//! Engines that stay, and runs that are handed to them.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;

use crate::plans::{self, Result, Running, antiphon, heard, pipe, plan, ran, say};
use rustix::process::Signal;

/// An item that says that it runs, and ends once it is told to.
const HELD: &str =
    "  only: { shell: 'echo now > runs; read line < ends', retry: { attempts: 1 } }\n";

/// A run `r` that an engine which stays carries out, and the item of which runs.
fn detached(dir: &Path) -> Result {
    pipe(dir, "runs")?;
    pipe(dir, "ends")?;
    plan(dir, HELD)?;
    let run = ran(dir, &["run", "--detach", "--id", "r", "plan.yaml"])?;
    assert_eq!(
        (String::from_utf8(run.stdout)?, String::from_utf8(run.stderr)?, run.status.code()),
        ("r\n".to_owned(), String::new(), Some(0))
    );
    heard(&dir.join("runs"))?;
    Ok(())
}

fn stderr(dir: &Path, arguments: &[&str]) -> Result<(String, Option<i32>)> {
    let output = ran(dir, arguments)?;
    Ok((String::from_utf8(output.stderr)?, output.status.code()))
}

/// Ends the engine that stays, and waits until it has given up the directory.
fn stopped(dir: &Path) -> Result {
    let lock = std::fs::read_to_string(dir.join("state/lock"))?;
    let owner: serde_json::Value = serde_json::from_str(&lock)?;
    let pid = i32::try_from(owner["pid"].as_i64().ok_or("no pid")?)?;
    let pid = rustix::process::Pid::from_raw(pid).ok_or("no pid")?;
    let engine = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    rustix::process::kill_process(pid, Signal::TERM)?;
    let mut ended = [rustix::event::PollFd::new(&engine, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ended, None)?;
    Ok(())
}

#[test]
fn a_run_that_is_handed_over_is_attached_to_waited_for_and_has_its_exit_code() -> Result {
    let dir = tempfile::tempdir()?;
    detached(dir.path())?;
    assert_eq!(
        stderr(dir.path(), &["wait", "r", "--timeout", "10ms"])?,
        (
            "error: r has not ended within 10ms\nhint: `antiphon status r` shows how far it is\n"
                .to_owned(),
            Some(12)
        )
    );
    let mut attached = Running::start(dir.path(), &["attach"])?;
    let mut lines = BufReader::new(attached.0.stdout.take().ok_or("no standard output")?);
    lines.read_line(&mut String::new())?;
    let mut errors = BufReader::new(attached.0.stderr.take().ok_or("no standard error")?);
    attached.signal(Signal::INT)?;
    let mut said = String::new();
    errors.read_line(&mut said)?;
    assert_eq!(attached.0.wait()?.code(), Some(8));
    assert!(said.starts_with("detached; r keeps running in process "), "{said}");
    let waiting = Running::start(dir.path(), &["wait", "r"])?;
    say(&dir.path().join("ends"), "now")?;
    assert_eq!(waiting.end()?.status.code(), Some(0));
    assert_eq!(ran(dir.path(), &["attach", "r"])?.status.code(), Some(0));
    stopped(dir.path())
}

#[test]
fn what_nobody_carries_out_is_not_waited_for() -> Result {
    let dir = tempfile::tempdir()?;
    detached(dir.path())?;
    stopped(dir.path())?;
    for command in ["wait", "attach"] {
        assert_eq!(
            stderr(dir.path(), &[command, "r"])?,
            (
                "error: no engine carries r out\nhint: `antiphon resume r` continues it\n"
                    .to_owned(),
                Some(12)
            )
        );
    }
    assert_eq!(ran(dir.path(), &["pause", "r"])?.status.code(), Some(0));
    let advice = "`antiphon continue r`, then `antiphon resume r` continue it\n";
    for command in ["wait", "attach"] {
        let told = format!("error: no engine carries r out\nhint: {advice}");
        assert_eq!(stderr(dir.path(), &[command, "r"])?, (told, Some(12)));
    }
    // An engine that a command starts leaves it alone, and says so.
    let other = ran(dir.path(), &["run", "--new", "--detach", "plan.yaml"])?;
    let told = String::from_utf8(other.stderr)?;
    assert!(told.starts_with("note: r (test) is unfinished since "), "{told}");
    assert!(told.contains(&format!(" done; {advice}")), "{told}");
    heard(&dir.path().join("runs"))?;
    assert_eq!(stderr(dir.path(), &["wait", "r"])?.1, Some(12));
    stopped(dir.path())
}

#[test]
fn many_that_start_at_once_share_one_engine() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  one: { command: ['true'] }\n")?;
    let start = || Running::start(dir.path(), &["run", "--detach", "plan.yaml"]);
    let starting = (0..8).map(|_| start()).collect::<Result<Vec<_>>>()?;
    for run in starting {
        let run = run.end()?;
        assert_eq!(run.status.code(), Some(0), "{run:?}");
    }
    let log = ran(dir.path(), &["log", "ledger", "--type", "ledger.opened"])?;
    assert_eq!(String::from_utf8(log.stdout)?.lines().count(), 1, "one engine has them all");
    stopped(dir.path())
}

#[test]
fn engines_and_runs_that_start_at_once_end_up_with_one_engine_and_all_runs_done() -> Result {
    for _ in 0..2 {
        let dir = tempfile::tempdir()?;
        plan(dir.path(), "  one: { command: ['true'] }\n")?;
        let serve = || Running::start(dir.path(), &["serve", "--idle-exit", "1s"]);
        let id = |nth: usize| format!("r{nth}");
        let detach =
            |nth| Running::start(dir.path(), &["run", "--detach", "--id", &id(nth), "plan.yaml"]);
        let mut starting = Vec::new();
        for nth in 0..4 {
            starting.push((serve()?, detach(nth)?));
        }
        let mut engines = Vec::new();
        for (engine, run) in starting {
            let run = run.end()?;
            assert_eq!(run.status.code(), Some(0), "{run:?}");
            engines.push(engine);
        }
        for nth in 0..4 {
            assert_eq!(ran(dir.path(), &["wait", &id(nth)])?.status.code(), Some(0));
        }
        for engine in engines {
            let ended = engine.end()?;
            let said = String::from_utf8(ended.stderr)?;
            match ended.status.code() {
                Some(0) => assert!(said.starts_with("serving "), "{said}"),
                Some(11) => assert!(said.contains(" is in use by process "), "{said}"),
                other => panic!("{other:?}: {said}"),
            }
        }
        let log = ran(dir.path(), &["log", "ledger", "--type", "ledger.opened"])?;
        assert_eq!(String::from_utf8(log.stdout)?.lines().count(), 1, "one engine had them all");
        if std::fs::exists(dir.path().join("state/api.sock"))? {
            stopped(dir.path())?;
        }
    }
    Ok(())
}

#[test]
fn runs_that_wait_for_a_person_do_not_hold_it_and_are_named_when_it_goes() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "fails")?;
    // An item in its back-off, which would go on by itself if its run were not paused.
    plan(
        dir.path(),
        "  only: { shell: 'read line < fails; false', retry: { attempts: 2, backoff: 1h } }\n",
    )?;
    let keys = "budget: { sessions: 20, duration: 5m }\nenv: { KEY: { secret: API_KEY } }";
    plans::plan_with(dir.path(), "secret.yaml", keys, "  one: { command: [sleep, 1h] }\n")?;
    let lacking = antiphon(dir.path(), &["run", "secret.yaml", "--id", "s", "--detach"])
        .env("API_KEY", "at-least-eight")
        .output()?;
    assert_eq!(lacking.status.code(), Some(0), "{lacking:?}");
    for command in
        [&["run", "--detach", "--id", "r", "plan.yaml"][..], &["pause", "r", "--reason", "lunch"]]
    {
        let output = ran(dir.path(), command)?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    say(&dir.path().join("fails"), "now")?;
    let has_failed = || -> Result<bool> {
        let log = ran(dir.path(), &["log", "r", "--type", "session_unbound"])?;
        Ok(!log.stdout.is_empty())
    };
    while !has_failed()? {
        let _waited = ran(dir.path(), &["wait", "r", "--timeout", "50ms"])?;
    }
    stopped(dir.path())?;

    let ended = ran(dir.path(), &["serve", "--idle-exit", "50ms"])?;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let said = String::from_utf8(ended.stderr)?;
    let left: Vec<&str> = said.lines().filter(|line| line.starts_with("left: ")).collect();
    assert_eq!(
        left,
        [
            "left: s waits for its secrets; `antiphon resume s`, with API_KEY set, continues it",
            "left: r is paused: lunch; `antiphon continue r`, then `antiphon resume r` continue it",
        ]
    );
    Ok(())
}

#[test]
fn an_engine_that_a_person_starts_takes_up_everything_and_goes_when_it_is_idle() -> Result {
    let dir = tempfile::tempdir()?;
    detached(dir.path())?;
    stopped(dir.path())?;
    let address = dir.path().join("notify");
    let told = UnixDatagram::bind(&address)?;
    let mut serve = antiphon(dir.path(), &["serve", "--idle-exit", "50ms"]);
    serve.env("NOTIFY_SOCKET", &address).stdout(Stdio::piped()).stderr(Stdio::piped());
    let serve = Running(serve.spawn()?);
    let mut ready = [0; 64];
    let length = told.recv(&mut ready)?;
    assert_eq!(&ready[..length], b"READY=1");
    heard(&dir.path().join("runs"))?;
    let second = stderr(dir.path(), &["serve"])?;
    assert_eq!(second.1, Some(11), "{second:?}");
    let advice = format!("has that engine carry a plan out, `kill {}` ends it\n", serve.0.id());
    assert!(second.0.ends_with(&advice) && !second.0.contains("1970"), "{second:?}");
    say(&dir.path().join("ends"), "now")?;
    let ended = serve.end()?;
    assert_eq!(ended.status.code(), Some(0));
    let said = String::from_utf8(ended.stderr)?;
    assert!(said.ends_with("stopping: idle for 50ms\n"), "{said}");
    assert_eq!(ran(dir.path(), &["wait", "r"])?.status.code(), Some(0));
    Ok(())
}
