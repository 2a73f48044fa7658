//! What commands advise is done here to the letter, and works.

#[path = "advice/cut_off_start.rs"]
mod cut_off_start;
#[path = "advice/damaged.rs"]
mod damaged;
#[path = "advice/plan_hints.rs"]
mod plan_hints;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::plans::{Ran, Result, Running, antiphon, heard, pipe, plan, plan_with, ran, say};
use rustix::process::Signal;

/// The commands in a text, as it advises them.
fn advised(text: &str) -> Vec<Vec<String>> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|command| command.strip_prefix("antiphon "))
        .map(|command| command.split(' ').map(str::to_owned).collect())
        .collect()
}

/// Runs the commands in a text; gives what the last printed.
fn followed(dir: &Path, text: &str) -> Result<Ran> {
    let mut last = None;
    for command in advised(text) {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        last = Some(ran(dir, &arguments)?);
    }
    last.ok_or_else(|| format!("nothing is advised: {text}").into())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Items that say that they run, and end once they are told to.
const HELD: &str = "  first: { shell: 'echo now > runs; read line < ends' }\n  second: { command: ['true'], needs: [first] }\n";

/// A run `r` of these items, of which the first runs.
fn started(dir: &Path, work: &str) -> Result<Running> {
    pipe(dir, "runs")?;
    pipe(dir, "ends")?;
    plan(dir, work)?;
    let run = Running::start(dir, &["run", "--id", "r", "plan.yaml"])?;
    heard(&dir.join("runs"))?;
    Ok(run)
}

#[test]
fn a_run_that_was_left_paused_goes_on_as_every_command_says() -> Result {
    for asked in [&["status", "r"][..], &["why", "r"], &[]] {
        let dir = tempfile::tempdir()?;
        let run = started(dir.path(), HELD)?;
        assert!(ran(dir.path(), &["pause", "r"])?.status.success());
        run.signal(Signal::TERM)?;
        let left = text(&run.end()?.stderr);
        let said = match asked {
            [] => left,
            asked => text(&ran(dir.path(), asked)?.stdout),
        };
        let helper = std::thread::spawn({
            let dir = dir.path().to_owned();
            move || {
                heard(&dir.join("runs"))
                    .and_then(|_| say(&dir.join("ends"), "now"))
                    .map_err(|error| error.to_string())
            }
        });
        let said =
            said.lines().filter(|line| line.contains("antiphon continue")).collect::<String>();
        let (only, _) = said.split_once("; `antiphon cancel").unwrap_or((&said, ""));
        let resumed = followed(dir.path(), only)?;
        assert!(resumed.status.success(), "{said}: {resumed:?}");
        helper.join().map_err(|_| "the item did not run")??;
    }
    Ok(())
}

#[test]
fn a_drain_that_waits_for_a_paused_nested_run_says_so() -> Result {
    let dir = tempfile::tempdir()?;
    plan_with(dir.path(), "inner.yaml", "budget: { sessions: 5, duration: 5m }", HELD)?;
    let run = started(dir.path(), "  nested: { plan: inner.yaml }\n")?;
    assert!(ran(dir.path(), &["pause", "r.1"])?.status.success());
    say(&dir.path().join("ends"), "now")?;
    let mut drain =
        antiphon(dir.path(), &["cancel", "r", "--drain"]).stderr(Stdio::piped()).spawn()?;
    let mut said = String::new();
    BufReader::new(drain.stderr.take().ok_or("no standard error")?).read_line(&mut said)?;
    assert_eq!(advised(&said).len(), 2, "{said}");
    let (only, _) = said.split_once("; `antiphon cancel").ok_or("it advises nothing else")?;
    assert!(followed(dir.path(), only)?.status.success());
    assert!(drain.wait()?.success());
    assert!(run.end()?.status.success());
    Ok(())
}

#[test]
fn a_drain_without_an_engine_does_not_wait_for_what_nobody_carries_out() -> Result {
    let dir = tempfile::tempdir()?;
    plan_with(
        dir.path(),
        "inner.yaml",
        "budget: { sessions: 5, duration: 5m }",
        "  one: { shell: 'if test -e again; then exit 0; fi; echo now > runs; exec sleep 300' }\n",
    )?;
    let mut run = started(dir.path(), "  nested: { plan: inner.yaml }\n")?;
    run.kill()?;
    std::fs::write(dir.path().join("again"), "")?;
    let drained = ran(dir.path(), &["cancel", "r", "--drain"])?;
    assert!(drained.status.success(), "{drained:?}");
    let resumed = followed(dir.path(), &text(&drained.stdout))?;
    assert!(resumed.status.success(), "{resumed:?}");
    Ok(())
}

#[test]
fn what_a_killed_engine_left_goes_although_no_run_is_unfinished() -> Result {
    let dir = tempfile::tempdir()?;
    let mut run = started(dir.path(), HELD)?;
    let (kept, sessions) = (dir.path().join("kept"), dir.path().join("state/sessions"));
    run.kill()?;
    // As if it had been killed just before it removed the folder.
    std::fs::rename(sessions.join("r.1"), &kept)?;
    assert!(ran(dir.path(), &["cancel", "r"])?.status.success());
    std::fs::rename(&kept, sessions.join("r.1"))?;
    let said = text(&ran(dir.path(), &["doctor"])?.stdout);
    let said = said.lines().filter(|line| line.contains("antiphon resume")).collect::<String>();
    assert!(followed(dir.path(), &said)?.status.success());
    assert_eq!(std::fs::read_dir(sessions)?.count(), 0);
    Ok(())
}

#[test]
fn a_run_whose_secrets_are_gone_gets_them_again_by_the_same_command() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    let held = "{ shell: 'echo now > runs; test -e again || exec sleep 300', env: { KEY: { secret: KEY } } }";
    plan(dir.path(), &format!("  one: {held}\n"))?;
    let arguments = ["run", "--id", "r", "plan.yaml"];
    let with_secret = || {
        let mut command = antiphon(dir.path(), &arguments);
        command.env("KEY", "not-to-be-told").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn()
    };
    let run = Running(with_secret()?);
    heard(&dir.path().join("runs"))?;
    run.signal(Signal::TERM)?;
    let said = text(&run.end()?.stderr);
    let advice = "`antiphon resume r`, with KEY set, continues it";
    assert!(said.contains(advice), "{said}");
    for asked in [&["status", "r"][..], &["why", "r"]] {
        let said = text(&ran(dir.path(), asked)?.stdout);
        assert!(said.contains(advice), "{said}");
    }
    std::fs::write(dir.path().join("again"), "")?;
    let again = Running(with_secret()?);
    heard(&dir.path().join("runs"))?;
    let again = again.end()?;
    assert!(again.status.success(), "{again:?}");
    Ok(())
}

#[test]
fn a_nested_run_whose_secrets_are_gone_is_told_by_the_run_that_it_is_in() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    let inner =
        "  one: { shell: 'echo now > runs; exec sleep 300', env: { KEY: { secret: KEY } } }\n";
    plan_with(dir.path(), "inner.yaml", "budget: { sessions: 5, duration: 5m }", inner)?;
    plan(dir.path(), "  nested: { plan: inner.yaml }\n")?;
    let mut command = antiphon(dir.path(), &["run", "--id", "r", "plan.yaml"]);
    command.env("KEY", "not-to-be-told").stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = Running(command.spawn()?);
    heard(&dir.path().join("runs"))?;
    run.kill()?;
    let advice = "`antiphon resume r`, with KEY set, continues it";
    for id in ["r", "r.1"] {
        for command in ["status", "why"] {
            let said = text(&ran(dir.path(), &[command, id])?.stdout);
            assert!(
                said.contains(&format!("not running; {advice}"))
                    || said.contains(&format!("no engine is running; {advice}")),
                "{said}"
            );
        }
    }
    let mut resume = Running::start(dir.path(), &["resume", "r"])?;
    let mut errors = BufReader::new(resume.0.stderr.take().ok_or("no standard error")?);
    let (mut missing, mut stuck) = (String::new(), String::new());
    errors.read_line(&mut missing)?;
    assert!(
        missing.starts_with("note: r waits for a secret: the plan needs the secret KEY"),
        "{missing}"
    );
    errors.read_line(&mut stuck)?;
    let outer = text(&followed(dir.path(), &stuck)?.stdout);
    assert!(outer.contains("`antiphon why r.1` shows what that run waits for"), "{outer}");
    let inner = text(&followed(dir.path(), &outer)?.stdout);
    assert!(inner.contains("it waits for its secrets, which are never recorded"), "{inner}");
    resume.signal(Signal::TERM)?;
    let mut left = String::new();
    errors.read_line(&mut left)?;
    assert_eq!(left, format!("r is unfinished: {advice}; `antiphon cancel r` ends it\n"));
    resume.kill()
}

#[test]
fn an_engine_that_is_stopped_goes_on_once_the_process_that_is_named_does() -> Result {
    let dir = tempfile::tempdir()?;
    let run = started(dir.path(), HELD)?;
    run.signal(Signal::STOP)?;
    let refused = ran(dir.path(), &["pause", "r"])?;
    assert_eq!(refused.status.code(), Some(11), "{refused:?}");
    let said = text(&refused.stderr);
    let named = said.split("continue or kill process ").nth(1).ok_or("no process is named")?;
    assert_eq!(named.split(' ').next(), Some(run.0.id().to_string().as_str()), "{said}");
    run.signal(Signal::CONT)?;
    assert!(ran(dir.path(), &["cancel", "r"])?.status.success());
    assert_eq!(run.end()?.status.code(), Some(8));
    Ok(())
}
