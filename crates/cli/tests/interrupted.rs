//! Runs that are interrupted: left unfinished, named to whoever starts another, and continued where
//! they were.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Instant;

use crate::plans::{Result, Running, heard, pipe, plan, plan_with, ran, say, story};
use rustix::process::Signal;

/// An item that says that it runs, and ends once it is told to; and one that needs it.
const HELD: &str = "  first: { shell: 'echo now > runs; read line < ends', retry: { attempts: 1 } }\n  second: { command: ['true'], needs: [first] }\n";

const LEFT: &str =
    "r is unfinished: `antiphon resume r` continues it; `antiphon cancel r` ends it\n";

/// A run `r` of these items, of which the first runs.
fn started(dir: &Path) -> Result<Running> {
    pipe(dir, "runs")?;
    pipe(dir, "ends")?;
    plan(dir, HELD)?;
    let run = Running::start(dir, &["run", "--id", "r", "plan.yaml"])?;
    heard(&dir.join("runs"))?;
    Ok(run)
}

fn stdout(dir: &Path, arguments: &[&str]) -> Result<String> {
    Ok(String::from_utf8(ran(dir, arguments)?.stdout)?)
}

/// What became of the sessions of `r`, each as its item and its outcome.
fn outcomes(dir: &Path) -> Result<Vec<(String, String)>> {
    let log = stdout(dir, &["log", "r", "--json", "--type", "coordination.session_unbound"])?;
    let events = log.lines().map(serde_json::from_str::<serde_json::Value>);
    let events = events.collect::<std::result::Result<Vec<_>, _>>()?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let outcome = |event: &serde_json::Value| {
        (text(&event["payload"]["work"]), text(&event["payload"]["outcome"]))
    };
    Ok(events.iter().map(outcome).collect())
}

/// The time that `r` has used, in nanoseconds.
fn used_time(dir: &Path) -> Result<u64> {
    let status: serde_json::Value =
        serde_json::from_str(&stdout(dir, &["status", "r", "--json"])?)?;
    Ok(status["meters"]["time_ns"]["used"].as_u64().ok_or("no time")?)
}

fn of(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(work, outcome)| ((*work).to_owned(), (*outcome).to_owned())).collect()
}

#[test]
fn ctrl_c_once_lets_running_sessions_end_and_leaves_the_rest_for_resume() -> Result {
    let dir = tempfile::tempdir()?;
    let mut run = started(dir.path())?;
    run.signal(Signal::INT)?;
    let mut errors = BufReader::new(run.0.stderr.take().ok_or("no standard error")?);
    let mut said = String::new();
    errors.read_line(&mut said)?;
    assert_eq!(said, "waiting for running sessions; press Ctrl-C again to stop them\n");
    say(&dir.path().join("ends"), "now")?;
    let mut left = String::new();
    errors.read_line(&mut left)?;
    assert_eq!((left.as_str(), run.0.wait()?.code()), (LEFT, Some(8)));
    assert!(stdout(dir.path(), &["list"])?.contains("  interrupted  1/2 "));
    assert_eq!(
        stdout(dir.path(), &["why", "r", "second"])?,
        "second: the run is interrupted until it is resumed: Ctrl-C; no engine is running; `antiphon resume r` continues it\n"
    );
    assert_eq!(ran(dir.path(), &["resume"])?.status.code(), Some(0));
    assert_eq!(outcomes(dir.path())?, of(&[("first", "SUCCESS"), ("second", "SUCCESS")]));
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn ctrl_c_twice_stops_sessions_without_counting_an_attempt() -> Result {
    let dir = tempfile::tempdir()?;
    let mut run = started(dir.path())?;
    run.signal(Signal::INT)?;
    let mut errors = BufReader::new(run.0.stderr.take().ok_or("no standard error")?);
    let mut said = String::new();
    errors.read_line(&mut said)?;
    run.signal(Signal::INT)?;
    errors.read_line(&mut said)?;
    let mut left = String::new();
    errors.read_line(&mut left)?;
    assert_eq!((left.as_str(), run.0.wait()?.code()), (LEFT, Some(8)));
    let resumed = Running::start(dir.path(), &["resume", "r"])?;
    heard(&dir.path().join("runs"))?;
    say(&dir.path().join("ends"), "now")?;
    assert_eq!(resumed.end()?.status.code(), Some(0));
    let cancelled = of(&[("first", "CANCELLED"), ("first", "SUCCESS"), ("second", "SUCCESS")]);
    assert_eq!(outcomes(dir.path())?, cancelled);
    Ok(())
}

#[test]
fn a_terminated_process_stops_sessions_at_once_and_leaves_the_run() -> Result {
    for signal in [Signal::TERM, Signal::HUP] {
        let dir = tempfile::tempdir()?;
        let run = started(dir.path())?;
        run.signal(signal)?;
        let left = run.end()?;
        assert_eq!(left.status.code(), Some(8));
        assert!(String::from_utf8(left.stderr)?.ends_with(LEFT));
        assert_eq!(outcomes(dir.path())?, of(&[("first", "CANCELLED")]));
        assert!(stdout(dir.path(), &["status", "r"])?.contains("status        interrupted\n"));
    }
    Ok(())
}

#[test]
fn a_run_whose_last_sessions_do_all_the_work_has_ended_whatever_was_pressed() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    pipe(dir.path(), "ends")?;
    plan(dir.path(), "  only: { shell: 'echo now > runs; read line < ends' }\n")?;
    let mut run = Running::start(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    heard(&dir.path().join("runs"))?;
    run.signal(Signal::INT)?;
    let mut errors = BufReader::new(run.0.stderr.take().ok_or("no standard error")?);
    errors.read_line(&mut String::new())?;
    say(&dir.path().join("ends"), "now")?;
    let told = std::io::read_to_string(run.0.stdout.take().ok_or("no standard output")?)?;
    assert_eq!(run.0.wait()?.code(), Some(0));
    assert!(!told.contains("\ninterrupted\n"), "{told}");
    assert!(stdout(dir.path(), &["list"])?.contains("  succeeded  "));
    Ok(())
}

#[test]
fn a_run_carries_out_its_own_work_and_names_what_is_unfinished() -> Result {
    let dir = tempfile::tempdir()?;
    let mut killed = started(dir.path())?;
    killed.kill()?;
    plan_with(
        dir.path(),
        "other.yaml",
        "budget: { sessions: 5, duration: 5m }",
        "  one: { command: ['true'] }\n",
    )?;
    for said in ["", " in passing"] {
        let other = ran(dir.path(), &["run", "other.yaml"])?;
        assert_eq!(other.status.code(), Some(0), "{said}: {other:?}");
        let errors = String::from_utf8(other.stderr)?;
        assert!(errors.starts_with("note: r (test) is unfinished since "), "{errors}");
        assert!(
            errors.ends_with(", 0 of 2 items done; `antiphon resume r` continues it\n"),
            "{errors}"
        );
    }
    assert_eq!(outcomes(dir.path())?, of(&[("first", "LOST")]));
    let resumed = Running::start(dir.path(), &["resume"])?;
    heard(&dir.path().join("runs"))?;
    say(&dir.path().join("ends"), "now")?;
    assert_eq!(resumed.end()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn the_story_of_a_run_that_was_killed_tells_each_session_that_was_lost_once() -> Result {
    let dir = tempfile::tempdir()?;
    let mut killed = started(dir.path())?;
    killed.kill()?;
    // Another engine finds it, and leaves it.
    let done = "  one: { command: ['true'] }\n";
    plan_with(dir.path(), "other.yaml", "budget: { sessions: 5, duration: 5m }", done)?;
    assert_eq!(ran(dir.path(), &["run", "other.yaml"])?.status.code(), Some(0));
    let mut killed = Running::start(dir.path(), &["resume", "r"])?;
    heard(&dir.path().join("runs"))?;
    killed.kill()?;
    let resumed = Running::start(dir.path(), &["resume", "r"])?;
    heard(&dir.path().join("runs"))?;
    say(&dir.path().join("ends"), "now")?;
    let resumed = resumed.end()?;
    let lost = |session| {
        format!(
            "interrupted first (session {session}) after starts again: the engine stopped while the session ran"
        )
    };
    let told = [
        "started r (test): 2 items, 1 at a time; at most 20 sessions, 5m00s".to_owned(),
        "running first (session 1)".to_owned(),
        lost(1),
        "resumed by antiphon 0.1.0 in epoch 3".to_owned(),
        "running first (session 2)".to_owned(),
        lost(2),
        "resumed by antiphon 0.1.0 in epoch 4".to_owned(),
        "running first (session 3)".to_owned(),
        "succeeded first (session 3) after".to_owned(),
        "running second (session 4)".to_owned(),
        "succeeded second (session 4) after".to_owned(),
        "succeeded in 4 sessions".to_owned(),
    ];
    assert_eq!(story(&resumed), told);
    // Every event is on the record.
    let log = stdout(dir.path(), &["log", "r", "--type", "interrupted"])?;
    assert_eq!(log.lines().count(), 2, "{log}");
    Ok(())
}

#[test]
fn a_run_that_is_left_alone_does_not_age() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    pipe(dir.path(), "ends")?;
    plan_with(dir.path(), "short.yaml", "budget: { sessions: 5, duration: 2s }", HELD)?;
    // It ends once its time is over, which is longer than the other run has altogether.
    let budget = "budget: { sessions: 5, duration: 5m }";
    let longer = "  waits: { shell: 'echo now > runs; exec sleep 300', timeout: 3s, retry: { attempts: 1 } }\n";
    plan_with(dir.path(), "longer.yaml", budget, longer)?;
    let run = Running::start(dir.path(), &["run", "--id", "r", "short.yaml"])?;
    heard(&dir.path().join("runs"))?;
    run.signal(Signal::TERM)?;
    assert_eq!(run.end()?.status.code(), Some(8));
    let since = Instant::now();
    let longer = Running::start(dir.path(), &["run", "longer.yaml"])?;
    heard(&dir.path().join("runs"))?;
    let beside = used_time(dir.path())?;
    assert_eq!(longer.end()?.status.code(), Some(7));
    assert_eq!(beside, used_time(dir.path())?, "no time of it passes, nor is shown to pass");
    assert!(since.elapsed().as_secs() >= 3, "the other run took longer than all of the first");
    let resumed = Running::start(dir.path(), &["resume", "r"])?;
    heard(&dir.path().join("runs"))?;
    say(&dir.path().join("ends"), "now")?;
    let resumed = resumed.end()?;
    assert_eq!(resumed.status.code(), Some(0));
    // What is told at the end and later is the time that was charged.
    let told = String::from_utf8(resumed.stdout)?;
    let told = told.lines().find_map(|line| line.strip_prefix("succeeded in ")?.split(',').next());
    let status = stdout(dir.path(), &["status", "r"])?;
    let ended = status.lines().find(|line| line.starts_with("ended ")).ok_or("no end")?;
    let took = ended.split(", took ").nth(1);
    assert_eq!(told, took, "{status}");
    let seconds = took.and_then(|took| took.strip_suffix('s')?.parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds < 2.0), "{status}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_nested_run_that_is_interrupted_is_not_said_to_run_and_has_logs_of_its_own() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    pipe(dir, "runs")?;
    pipe(dir, "ends")?;
    plan_with(
        dir,
        "inner.yaml",
        "budget: { sessions: 5, duration: 5m }",
        "  only: { shell: 'echo inside; echo now > runs; read line < ends' }\n",
    )?;
    plan(dir, "  n: { plan: inner.yaml }\n")?;
    let run = Running::start(dir, &["run", "--id", "top", "plan.yaml"])?;
    heard(&dir.join("runs"))?;
    run.signal(Signal::TERM)?;
    assert_eq!(run.end()?.status.code(), Some(8));
    let state = || -> Result<String> {
        let status = stdout(dir, &["status", "top"])?;
        let row = status.lines().find(|line| line.starts_with("n ")).ok_or("no item")?;
        let counted = stdout(dir, &["status", "top", "--json"])?;
        let counted: serde_json::Value = serde_json::from_str(&counted)?;
        let word = row.split_whitespace().nth(1).ok_or("no state")?;
        Ok(format!("{word} {}", counted["counts"]))
    };
    let interrupted = "interrupted {\"interrupted\":1}";
    assert_eq!(state()?, interrupted);
    let at_rest = stdout(dir, &["why", "top", "n"])?;
    let begins = "n: the run is interrupted until it is resumed";
    assert!(at_rest.starts_with(begins) && !at_rest.contains("it runs"), "{at_rest}");
    // So it is while an engine has the directory, which carries out something else.
    let other =
        Running::start(dir, &["do", "--", "sh", "-c", "echo now > runs; read line < ends"])?;
    heard(&dir.join("runs"))?;
    assert_eq!(state()?, interrupted);
    let beside = stdout(dir, &["why", "top", "n"])?;
    assert!(beside.starts_with(begins) && !beside.contains("it runs"), "{beside}");
    say(&dir.join("ends"), "now")?;
    assert_eq!(other.end()?.status.code(), Some(0));
    let own = "; `antiphon logs top.1` shows what the nested run top.1 printed\n";
    for (arguments, nothing) in [
        (&["logs", "top", "n"][..], "n has printed nothing"),
        (&["logs", "top"], "no item of top has printed anything"),
    ] {
        let logs = ran(dir, arguments)?;
        assert_eq!(
            (String::from_utf8(logs.stderr)?, logs.status.code()),
            (format!("{nothing}{own}"), Some(0))
        );
    }
    assert_eq!(stdout(dir, &["logs", "top.1", "only"])?, "inside\n");
    Ok(())
}

#[test]
fn what_ran_in_a_run_whose_engine_was_killed_is_interrupted_and_so_is_what_is_nested() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    pipe(dir, "runs")?;
    let held = "  only: { shell: 'echo now > runs; sleep 300' }\n";
    plan_with(dir, "inner.yaml", "budget: { sessions: 5, duration: 5m }", held)?;
    plan(dir, "  n: { plan: inner.yaml }\n")?;
    let mut run = Running::start(dir, &["run", "--id", "top", "plan.yaml"])?;
    heard(&dir.join("runs"))?;
    assert!(stdout(dir, &["status", "top.1"])?.contains("\nonly  running "));
    run.kill()?;
    for (id, item) in [("top", "n   "), ("top.1", "only")] {
        let status = stdout(dir, &["status", id])?;
        assert!(status.contains("status        interrupted\n"), "{status}");
        assert!(status.contains(&format!("\n{item}  interrupted ")), "{status}");
    }
    Ok(())
}
