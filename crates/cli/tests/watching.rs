//! Commands that wait for a run or look at it: what they say where they leave it, and where nobody
//! carries it out.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::plans::{self, Result, Running, heard, pipe, plan_with, ran, say};
use rustix::process::Signal;

const BUDGET: &str = "budget: { sessions: 20, duration: 5m }";

/// A run whose one item prints a line, says that it runs, and ends once it is told to.
fn started(dir: &Path, id: &str) -> Result<Running> {
    let runs = pipe(dir, &format!("{id}-runs"))?;
    pipe(dir, &format!("{id}-ends"))?;
    let item = format!(
        "  one: {{ shell: 'echo here; echo now > {id}-runs; read word < {id}-ends', retry: {{ attempts: 1 }} }}\n"
    );
    let file = format!("{id}.yaml");
    plan_with(dir, &file, BUDGET, &item)?;
    let run = Running::start(dir, &["run", &file, "--id", id])?;
    heard(&runs)?;
    Ok(run)
}

/// Waits until a process has its handlers for what asks it to stop.
fn listens(process: &Running) -> Result {
    let path = format!("/proc/{}/status", process.0.id());
    loop {
        let status = std::fs::read_to_string(&path)?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.ok_or("no signals")?.trim(), 16)?;
        let has = |signal: Signal| caught >> (signal.as_raw() - 1) & 1 == 1;
        if [Signal::INT, Signal::TERM, Signal::HUP].into_iter().all(has) {
            return Ok(());
        }
    }
}

fn stderr_and_code(dir: &Path, arguments: &[&str]) -> Result<(String, Option<i32>)> {
    let ran = ran(dir, arguments)?;
    Ok((String::from_utf8(ran.stderr)?, ran.status.code()))
}

#[test]
fn whoever_only_watches_leaves_with_8_and_says_that_the_run_goes_on() -> Result {
    let dir = tempfile::tempdir()?;
    let host = started(dir.path(), "r")?;
    let said = format!(
        "detached; r keeps running in process {}. `antiphon attach r` shows it again, \
         `antiphon cancel r` ends it\n",
        host.0.id()
    );
    for arguments in [&["wait", "r"][..], &["log", "r", "--follow"], &["logs", "r", "--follow"]] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let watcher = Running::start(dir.path(), arguments)?;
            listens(&watcher)?;
            watcher.signal(signal)?;
            let left = watcher.end()?;
            let found = (String::from_utf8(left.stderr)?, left.status.code());
            assert_eq!(found, (said.clone(), Some(8)), "{arguments:?} {signal:?}");
        }
    }
    say(&dir.path().join("r-ends"), "now")?;
    assert_eq!(host.end()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_drain_goes_on_without_whoever_asked_for_it() -> Result {
    let dir = tempfile::tempdir()?;
    let host = started(dir.path(), "r")?;
    let drain = Running::start(dir.path(), &["cancel", "r", "--drain"])?;
    while !String::from_utf8(ran(dir.path(), &["list"])?.stdout)?.contains("stopping") {}
    drain.signal(Signal::INT)?;
    let left = drain.end()?;
    let said = format!(
        "detached; r ends after its running sessions, in process {}. `antiphon attach r` shows it, \
         `antiphon cancel r` stops them\n",
        host.0.id()
    );
    assert_eq!((String::from_utf8(left.stderr)?, left.status.code()), (said, Some(8)));
    say(&dir.path().join("r-ends"), "now")?;
    let ended = String::from_utf8(host.end()?.stdout)?;
    assert!(ended.contains("\nsucceeded in "), "{ended}");
    // Why it ends is told by its end.
    assert!(!ended.contains("\ninterrupted\n"), "{ended}");
    Ok(())
}

#[test]
fn nobody_waits_for_a_run_that_another_engine_has_left_alone() -> Result {
    let dir = tempfile::tempdir()?;
    let left = started(dir.path(), "r")?;
    left.signal(Signal::TERM)?;
    assert_eq!(left.end()?.status.code(), Some(8));
    let said =
        "error: no engine carries r out\nhint: `antiphon resume r` continues it\n".to_owned();
    let told = |is_held: bool| -> Result {
        for arguments in [
            &["wait", "r"][..],
            &["attach", "r"],
            &["log", "r", "--follow"],
            &["logs", "r", "--follow"],
        ] {
            let found = stderr_and_code(dir.path(), arguments)?;
            assert_eq!(found, (said.clone(), Some(12)), "{arguments:?}, another engine: {is_held}");
        }
        Ok(())
    };
    told(false)?;
    let other = started(dir.path(), "other")?;
    told(true)?;
    let status = String::from_utf8(ran(dir.path(), &["status", "r"])?.stdout)?;
    assert!(status.contains("\nnext          `antiphon resume r` continues it\n"), "{status}");
    say(&dir.path().join("other-ends"), "now")?;
    assert_eq!(other.end()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn whoever_watches_a_run_that_the_next_engine_leaves_alone_is_told_so() -> Result {
    let dir = tempfile::tempdir()?;
    let mut host = started(dir.path(), "r")?;
    let guest = started(dir.path(), "visit")?;
    let watchers = [&["attach", "r"][..], &["wait", "r"], &["logs", "r", "--follow"]]
        .map(|arguments| (arguments, Running::start(dir.path(), arguments)));
    let mut watching = Vec::new();
    for (arguments, watcher) in watchers {
        let watcher = watcher?;
        listens(&watcher)?;
        watching.push((arguments, watcher));
    }
    host.kill()?;
    for (arguments, watcher) in watching {
        let left = watcher.end()?;
        let errors = String::from_utf8(left.stderr)?;
        let said = "error: no engine carries r out\nhint: `antiphon resume r` continues it\n";
        assert!(errors.ends_with(said), "{arguments:?}: {errors}");
        assert!(!errors.contains("another engine takes over"), "{arguments:?}: {errors}");
        assert_eq!(left.status.code(), Some(12), "{arguments:?}");
    }
    drop(guest);
    Ok(())
}

#[test]
fn resume_names_all_that_it_continues_and_all_that_it_leaves() -> Result {
    let dir = tempfile::tempdir()?;
    for id in ["a", "b", "c"] {
        let run = started(dir.path(), id)?;
        run.signal(Signal::TERM)?;
        assert_eq!(run.end()?.status.code(), Some(8));
    }
    let mut resume = Running::start(dir.path(), &["resume"])?;
    for id in ["a", "b", "c"] {
        heard(&dir.path().join(format!("{id}-runs")))?;
    }
    let mut lines = BufReader::new(resume.0.stderr.take().ok_or("no standard error")?).lines();
    let mut line = || -> Result<String> { Ok(lines.next().ok_or("it said nothing")??) };
    let named = line()?;
    let runs = named.strip_prefix("continuing 3 runs: ").ok_or("they are not named")?;
    let mut runs: Vec<&str> = runs.split(", ").collect();
    runs.sort_unstable();
    assert_eq!(runs, ["a", "b", "c"]);
    resume.signal(Signal::TERM)?;
    assert_eq!(line()?, "stopping running sessions");
    let (first, others) = (line()?, line()?);
    let (first, advice) = first.split_once(' ').ok_or("no run is named")?;
    assert_eq!(
        advice,
        format!(
            "is unfinished: `antiphon resume {first}` continues it; `antiphon cancel {first}` ends it"
        )
    );
    let others = others.strip_prefix("also unfinished: ").ok_or("the others are not named")?;
    let (others, all) = others.split_once("; ").ok_or("no command is named")?;
    assert_eq!(all, "`antiphon resume` continues all of them");
    let mut left: Vec<&str> = others.split(", ").chain([first]).collect();
    left.sort_unstable();
    assert_eq!(left, ["a", "b", "c"]);
    assert_eq!(resume.0.wait()?.code(), Some(8));
    Ok(())
}

#[test]
fn a_guest_that_has_resumed_runs_names_all_that_go_on_without_it() -> Result {
    let dir = tempfile::tempdir()?;
    for id in ["a", "b", "c"] {
        let run = started(dir.path(), id)?;
        run.signal(Signal::TERM)?;
        assert_eq!(run.end()?.status.code(), Some(8));
    }
    let host = started(dir.path(), "host")?;
    let resume = Running::start(dir.path(), &["resume", "a", "b", "c"])?;
    for id in ["a", "b", "c"] {
        heard(&dir.path().join(format!("{id}-runs")))?;
    }
    resume.signal(Signal::INT)?;
    let left = resume.end()?;
    let errors = String::from_utf8(left.stderr)?;
    let (first, others) = errors.split_once('\n').ok_or("it said nothing")?;
    let first = first.strip_prefix("detached; ").ok_or("it has not detached")?;
    let (first, goes_on) = first.split_once(' ').ok_or("no run is named")?;
    let engine = format!("keeps running in process {}. ", host.0.id());
    assert!(goes_on.starts_with(&engine), "{errors}");
    let others = others.strip_prefix("also running there: ").ok_or(errors.clone())?;
    let mut named: Vec<&str> = others.trim_end().split(", ").chain([first]).collect();
    named.sort_unstable();
    assert_eq!((named, left.status.code()), (vec!["a", "b", "c"], Some(8)));
    Ok(())
}

#[test]
fn a_run_that_can_no_longer_be_shown_says_that_it_is_left_unfinished() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "never")?;
    let items =
        "  one: { shell: 'echo here' }\n  two: { shell: 'read word < never', needs: [one] }\n";
    plan_with(dir.path(), "plan.yaml", BUDGET, items)?;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let run =
        plans::antiphon(dir.path(), &["run", "plan.yaml", "--id", "r"]).stdout(full).output()?;
    let errors = String::from_utf8(run.stderr)?;
    let said = "r is unfinished: `antiphon resume r` continues it; `antiphon cancel r` ends it\n";
    assert!(errors.contains(said), "{errors}");
    assert_eq!(run.status.code(), Some(1), "{errors}");
    Ok(())
}
