//! Several commands on one state directory: one carries the engine, the others are its guests.

use std::path::Path;

use crate::plans::{Result, Running, antiphon, heard, pipe, plan, plan_with, ran, say, story};
use rustix::process::Signal;

const BUDGET: &str = "budget: { sessions: 20, duration: 5m }";

/// An item that says that it runs, and ends once it is told to.
fn held(name: &str) -> String {
    format!(
        "  {name}: {{ command: [sh, -c, 'echo runs > {name}-runs; read word < {name}-ends'], retry: {{ attempts: 1 }} }}\n"
    )
}

fn pipes(dir: &Path, name: &str) -> Result<(std::path::PathBuf, std::path::PathBuf)> {
    Ok((pipe(dir, &format!("{name}-runs"))?, pipe(dir, &format!("{name}-ends"))?))
}

#[test]
fn a_run_beside_a_running_engine_is_its_guest_and_the_engine_stays_for_it() -> Result {
    let dir = tempfile::tempdir()?;
    let (host_runs, host_ends) = pipes(dir.path(), "host")?;
    let (guest_runs, guest_ends) = pipes(dir.path(), "guest")?;
    plan_with(dir.path(), "host.yaml", BUDGET, &held("host"))?;
    plan_with(dir.path(), "guest.yaml", BUDGET, &held("guest"))?;
    let host = Running::start(dir.path(), &["run", "host.yaml"])?;
    heard(&host_runs)?;
    let guest = Running::start(dir.path(), &["run", "guest.yaml", "--id", "visit"])?;
    heard(&guest_runs)?;
    say(&host_ends, "end")?;
    // The receipt of its own run is printed before it says that it stays.
    say(&guest_ends, "end")?;
    let (guest, host) = (guest.end()?, host.end()?);
    assert_eq!(
        story(&guest).last().map(String::as_str),
        Some("succeeded in 1 session"),
        "{guest:?}"
    );
    assert_eq!((guest.status.code(), host.status.code()), (Some(0), Some(0)), "{host:?}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn an_engine_names_what_its_end_would_interrupt() -> Result {
    let dir = tempfile::tempdir()?;
    let (host_runs, host_ends) = pipes(dir.path(), "host")?;
    let (guest_runs, _guest_ends) = pipes(dir.path(), "guest")?;
    plan_with(dir.path(), "host.yaml", BUDGET, &held("host"))?;
    plan_with(dir.path(), "guest.yaml", BUDGET, &held("guest"))?;
    let mut host = Running::start(dir.path(), &["run", "host.yaml"])?;
    heard(&host_runs)?;
    for visit in ["v1", "v2", "v3", "v4", "v5", "v6", "v7"] {
        let mut guest = Running::start(dir.path(), &["run", "guest.yaml", "--id", visit])?;
        heard(&guest_runs)?;
        guest.kill()?;
    }
    say(&host_ends, "end")?;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        host.0.stderr.take().ok_or("no standard error")?,
    ));
    let mut line = || -> Result<String> { Ok(lines.next().ok_or("it said nothing")??) };
    assert_eq!(
        line()?,
        "this process stays for runs that others submitted to it: v1, v2, v3, v4, v5, v6, v7; Ctrl-C leaves them unfinished"
    );
    host.signal(Signal::INT)?;
    assert_eq!(
        line()?,
        "left unfinished, unless who follows them takes over: v1, v2, v3, v4, v5, v6, v7; `antiphon resume` continues them"
    );
    assert_eq!(host.0.wait()?.code(), Some(0), "its own run succeeded");
    let list = ran(dir.path(), &["list", "--status", "interrupted"])?;
    assert!(String::from_utf8(list.stdout)?.contains("v7"), "it is unfinished");
    Ok(())
}

#[test]
fn a_guest_goes_on_when_the_engine_is_killed_under_it() -> Result {
    let dir = tempfile::tempdir()?;
    let (host_runs, _ends) = pipes(dir.path(), "host")?;
    let guest_runs = pipe(dir.path(), "guest-runs")?;
    plan_with(dir.path(), "host.yaml", BUDGET, &held("host"))?;
    // The first session ends with its engine; the second one, by another engine, ends by itself.
    let twice = "  guest: { command: [sh, -c, 'if [ -e again ]; then exit 0; fi; touch again; echo runs > guest-runs; sleep 300'] }\n";
    plan_with(dir.path(), "guest.yaml", BUDGET, twice)?;
    let mut host = Running::start(dir.path(), &["run", "host.yaml", "--id", "first"])?;
    heard(&host_runs)?;
    let guest = Running::start(dir.path(), &["run", "guest.yaml", "--id", "visit"])?;
    heard(&guest_runs)?;
    host.kill()?;
    // The guest carries the engine now, and its own run alone.
    let cancelled = ran(dir.path(), &["cancel", "first"])?;
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    let guest = guest.end()?;
    assert!(
        String::from_utf8_lossy(&guest.stderr).contains("this process takes over"),
        "{guest:?}"
    );
    assert_eq!(
        story(&guest).last().map(String::as_str),
        Some("succeeded in 2 sessions"),
        "{guest:?}"
    );
    assert_eq!(guest.status.code(), Some(0));
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_guest_that_takes_an_engines_place_names_what_it_left_and_nobody_waits_for() -> Result {
    let dir = tempfile::tempdir()?;
    let (host_runs, _ends) = pipes(dir.path(), "host")?;
    plan_with(dir.path(), "host.yaml", BUDGET, &held("host"))?;
    let mut host = Running::start(dir.path(), &["run", "host.yaml", "--id", "first"])?;
    heard(&host_runs)?;
    let mut guests = Vec::new();
    for name in ["one", "two"] {
        let pipes = pipes(dir.path(), name)?;
        plan_with(dir.path(), &format!("{name}.yaml"), BUDGET, &held(name))?;
        let mut guest =
            Running::start(dir.path(), &["run", &format!("{name}.yaml"), "--id", name])?;
        heard(&pipes.0)?;
        let errors = guest.0.stderr.take().ok_or("no standard error")?;
        guests.push((guest, pipes, std::io::BufRead::lines(std::io::BufReader::new(errors))));
    }
    host.kill()?;
    let mut told = Vec::new();
    for (_, pipes, errors) in &mut guests {
        let line = errors.next().ok_or("it said nothing")??;
        told.extend((line == "the engine exited; this process takes over").then(|| errors.next()));
        heard(&pipes.0)?;
    }
    let [Some(Ok(note))] = told.as_slice() else { return Err(format!("{told:?}").into()) };
    assert!(note.starts_with("note: first (test) is unfinished since "), "{note}");
    assert!(note.ends_with(", not done; `antiphon resume first` continues it"), "{note}");
    for (_, pipes, _) in &guests {
        say(&pipes.1, "end")?;
    }
    for (mut guest, _, errors) in guests {
        assert_eq!(guest.0.wait()?.code(), Some(0));
        let rest = errors.collect::<std::io::Result<Vec<_>>>()?;
        assert!(!rest.iter().any(|line| line.starts_with("note: ")), "{rest:?}");
    }
    Ok(())
}

#[test]
fn ctrl_c_in_a_guest_detaches_and_its_run_goes_on() -> Result {
    let dir = tempfile::tempdir()?;
    let (host_runs, host_ends) = pipes(dir.path(), "host")?;
    let (guest_runs, guest_ends) = pipes(dir.path(), "guest")?;
    plan_with(dir.path(), "host.yaml", BUDGET, &held("host"))?;
    plan_with(dir.path(), "guest.yaml", BUDGET, &held("guest"))?;
    let host = Running::start(dir.path(), &["run", "host.yaml"])?;
    heard(&host_runs)?;
    let guest = Running::start(dir.path(), &["run", "guest.yaml", "--id", "visit"])?;
    heard(&guest_runs)?;
    guest.signal(Signal::INT)?;
    let left = guest.end()?;
    let pid = host.0.id();
    assert_eq!(
        (String::from_utf8(left.stderr)?, left.status.code()),
        (
            format!(
                "detached; visit keeps running in process {pid}. `antiphon attach visit` shows it \
                 again, `antiphon cancel visit` ends it\n"
            ),
            Some(8)
        )
    );
    let again = Running::start(dir.path(), &["attach", "visit"])?;
    say(&guest_ends, "end")?;
    assert_eq!(again.end()?.status.code(), Some(0));
    say(&host_ends, "end")?;
    assert_eq!(host.end()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn ctrl_c_twice_ends_a_run_and_all_that_it_started() -> Result {
    let dir = tempfile::tempdir()?;
    let runs = pipe(dir.path(), "runs")?;
    plan(
        dir.path(),
        "  stays: { command: [sh, -c, 'trap \"\" TERM; echo $$ > runs; sleep 300'], grace: 100ms }\n",
    )?;
    let mut run = Running::start(dir.path(), &["run", "plan.yaml"])?;
    let pid = heard(&runs)?;
    let mut said = std::io::BufReader::new(run.0.stderr.take().ok_or("no standard error")?);
    let mut line = String::new();
    run.signal(Signal::INT)?;
    std::io::BufRead::read_line(&mut said, &mut line)?;
    run.signal(Signal::INT)?;
    assert_eq!(run.0.wait()?.code(), Some(8));
    assert!(!Path::new("/proc").join(pid).exists());
    Ok(())
}

#[test]
fn a_coordination_is_paused_continued_and_cancelled_from_elsewhere() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = pipes(dir.path(), "first")?;
    let second_runs = pipe(dir.path(), "second-runs")?;
    let second =
        "  second: { command: [sh, -c, 'echo runs > second-runs; sleep 300'], needs: [first] }\n";
    plan(dir.path(), &format!("{}{second}", held("first")))?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "steered"])?;
    heard(&runs)?;
    let said = |arguments: &[&str]| -> Result<(String, Option<i32>)> {
        let output = ran(dir.path(), arguments)?;
        Ok((
            String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?,
            output.status.code(),
        ))
    };
    assert_eq!(
        said(&["pause", "steered"])?,
        ("steered paused; `antiphon continue steered` continues it\n".to_owned(), Some(0))
    );
    assert_eq!(
        said(&["why", "steered"])?.0,
        "first: it runs: session steered.1, attempt 1\nsecond: it needs first, which is running; the run is paused; `antiphon continue steered` continues it\n"
    );
    say(&ends, "end")?;
    assert_eq!(
        said(&["continue", "steered", "--sessions", "30"])?,
        ("steered continued\n".to_owned(), Some(0))
    );
    heard(&second_runs)?;
    let (cancelled, code) = said(&["cancel", "steered", "--reason", "not needed"])?;
    assert!(cancelled.starts_with("steered ended: aborted, receipt "), "{cancelled}");
    assert_eq!(code, Some(0));
    assert_eq!(run.end()?.status.code(), Some(8));
    let (again, code) = said(&["cancel", "steered"])?;
    assert_eq!(
        again,
        "error: steered has already ended: aborted\nhint: `antiphon receipt show steered` shows the result\n"
    );
    assert_eq!(code, Some(2));
    Ok(())
}

#[test]
fn what_a_killed_engine_left_is_resumed_or_cancelled() -> Result {
    let dir = tempfile::tempdir()?;
    let runs = pipe(dir.path(), "runs")?;
    let once = |file: &str| {
        format!(
            "  {file}: {{ command: [sh, -c, 'if [ -e {file}-done ]; then exit 0; fi; touch {file}-done; echo runs > runs; sleep 300'] }}\n"
        )
    };
    for name in ["one", "two"] {
        plan_with(dir.path(), &format!("{name}.yaml"), BUDGET, &once(name))?;
        let mut run = Running::start(dir.path(), &["run", &format!("{name}.yaml"), "--id", name])?;
        heard(&runs)?;
        // The second run takes up the first as well, which then ends by itself.
        run.kill()?;
    }
    assert_eq!(ran(dir.path(), &["cancel", "two"])?.status.code(), Some(0), "without an engine");
    let why = ran(dir.path(), &["why", "--run", "two"])?;
    assert_eq!(why.status.code(), Some(0));
    let resumed = ran(dir.path(), &["resume"])?;
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
    let again = ran(dir.path(), &["resume"])?;
    assert!(
        String::from_utf8_lossy(&again.stderr).starts_with("there are no unfinished runs in"),
        "{again:?}"
    );
    let list = String::from_utf8(ran(dir.path(), &["list", "--json"])?.stdout)?;
    let states: Vec<serde_json::Value> =
        list.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    let states: Vec<_> =
        states.iter().map(|line| (line["id"].as_str(), line["status"].as_str())).collect();
    assert_eq!(states, [(Some("two"), Some("aborted")), (Some("one"), Some("succeeded"))]);
    Ok(())
}

#[test]
fn an_item_whose_secret_went_with_its_engine_waits_and_says_so() -> Result {
    let dir = tempfile::tempdir()?;
    let runs = pipe(dir.path(), "runs")?;
    plan(
        dir.path(),
        "  uses: { command: [sh, -c, 'if [ -e again ]; then test \"$KEY\" = canary-value; exit; fi; touch again; echo runs > runs; sleep 300'], env: { KEY: { secret: CANARY } } }\n",
    )?;
    let mut first = antiphon(dir.path(), &["run", "plan.yaml", "--id", "keyed"]);
    let mut first = Running(first.env("CANARY", "canary-value").spawn()?);
    heard(&runs)?;
    first.kill()?;
    let mut resumed = Running::start(dir.path(), &["resume", "keyed"])?;
    let mut said = std::io::BufReader::new(resumed.0.stderr.take().ok_or("no standard error")?);
    let (mut missing, mut line) = (String::new(), String::new());
    std::io::BufRead::read_line(&mut said, &mut missing)?;
    assert!(
        missing.starts_with("note: keyed waits for a secret: the plan needs the secret CANARY"),
        "{missing}"
    );
    std::io::BufRead::read_line(&mut said, &mut line)?;
    assert_eq!(
        line,
        "keyed cannot continue by itself; `antiphon why keyed` shows what it waits for\n"
    );
    let why = String::from_utf8(ran(dir.path(), &["why", "keyed", "uses"])?.stdout)?;
    assert_eq!(
        why,
        "uses: it waits for its secrets, which are never recorded; `antiphon resume keyed`, with CANARY set, continues it\n"
    );
    // So it is in every list.
    let said = |arguments: &[&str]| -> Result<String> {
        Ok(String::from_utf8(ran(dir.path(), arguments)?.stdout)?)
    };
    let waits = "it waits for its secrets, which are never recorded";
    for list in [&["list"][..], &["list", "--status", "waiting"]] {
        let list = said(list)?;
        let line = list.lines().nth(1).ok_or("no run")?;
        assert!(line.starts_with("keyed  test  waiting  0/1 ") && line.ends_with(waits), "{list}");
    }
    assert_eq!(said(&["list", "--status", "running", "--json"])?, "");
    let listed: serde_json::Value = serde_json::from_str(&said(&["list", "--json"])?)?;
    assert_eq!((&listed["status"], &listed["why"]), (&"waiting".into(), &waits.into()));
    let status = said(&["status", "keyed"])?;
    assert!(status.contains("status        waiting\n"), "{status}");
    let next = "next          `antiphon resume keyed`, with CANARY set, continues it\n";
    assert!(status.contains(next), "{status}");
    let status: serde_json::Value = serde_json::from_str(&said(&["status", "keyed", "--json"])?)?;
    assert_eq!(status["status"], "waiting");
    // A guest brings the secret to the engine that runs.
    let brought = antiphon(dir.path(), &["run", "plan.yaml", "--id", "keyed"])
        .env("CANARY", "canary-value")
        .output()?;
    assert_eq!(brought.status.code(), Some(0), "{brought:?}");
    assert_eq!(resumed.0.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_session_may_look_at_its_coordination_and_steer_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let binary = env!("CARGO_BIN_EXE_antiphon");
    plan(
        dir.path(),
        &format!(
            "  tries: {{ command: [sh, -c, '\"$0\" --dir state why mine tries && ! \"$0\" --dir state cancel mine', {binary}] }}\n"
        ),
    )?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "mine"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    Ok(())
}

#[test]
fn exit_codes_tell_why_a_run_stopped() -> Result {
    let dir = tempfile::tempdir()?;
    let code = |keys: &str, work: &str| -> Result<Option<i32>> {
        plan_with(dir.path(), "plan.yaml", keys, work)?;
        Ok(ran(dir.path(), &["run", "plan.yaml"])?.status.code())
    };
    let two = "  a: { command: ['false'], retry: { attempts: 2 } }\n  b: { command: ['true'] }\n";
    assert_eq!(code("budget: { sessions: 2, duration: 5m }", two)?, Some(9), "its budget is spent");
    let bad =
        |name: &str| format!("  {name}: {{ command: ['false'], retry: {{ attempts: 1 }} }}\n");
    let failing = format!("{}{}{}", bad("a"), bad("b"), bad("c"));
    assert_eq!(code(&format!("{BUDGET}\nbreaker: 2"), &failing)?, Some(10), "its breaker tripped");
    Ok(())
}

#[test]
fn a_guest_says_that_its_run_is_paused() -> Result {
    let dir = tempfile::tempdir()?;
    let (host_runs, host_ends) = pipes(dir.path(), "host")?;
    let (guest_runs, guest_ends) = pipes(dir.path(), "guest")?;
    plan_with(dir.path(), "host.yaml", BUDGET, &held("host"))?;
    plan_with(
        dir.path(),
        "guest.yaml",
        BUDGET,
        &format!("{}  after: {{ command: ['true'], needs: [guest] }}\n", held("guest")),
    )?;
    let host = Running::start(dir.path(), &["run", "host.yaml"])?;
    heard(&host_runs)?;
    let mut guest = Running::start(dir.path(), &["run", "guest.yaml", "--id", "visit"])?;
    heard(&guest_runs)?;
    assert_eq!(ran(dir.path(), &["pause", "visit"])?.status.code(), Some(0));
    say(&guest_ends, "end")?;
    let mut line = String::new();
    let mut stderr = std::io::BufReader::new(guest.0.stderr.take().ok_or("no standard error")?);
    std::io::BufRead::read_line(&mut stderr, &mut line)?;
    assert!(line.starts_with("visit is paused; `antiphon continue visit` continues it"), "{line}");
    assert_eq!(ran(dir.path(), &["continue", "visit"])?.status.code(), Some(0));
    assert_eq!(guest.0.wait()?.code(), Some(0));
    say(&host_ends, "end")?;
    assert_eq!(host.end()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_nested_coordination_that_is_resumed_and_runs_is_not_called_stuck() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, _ends) = pipes(dir.path(), "inner")?;
    let inner = "  inner: { command: [sh, -c, 'echo runs > inner-runs; sleep 1.5'] }\n";
    plan_with(dir.path(), "inner.yaml", BUDGET, inner)?;
    plan_with(dir.path(), "outer.yaml", BUDGET, "  sub: { plan: inner.yaml }\n")?;
    let mut outer = Running::start(dir.path(), &["run", "outer.yaml", "--id", "outer"])?;
    heard(&runs)?;
    outer.kill()?;
    let resumed = Running::start(dir.path(), &["resume", "outer.1"])?;
    heard(&runs)?;
    let resumed = resumed.end()?;
    assert_eq!(
        (String::from_utf8(resumed.stderr)?, resumed.status.code()),
        ("outer.1 is part of outer, which is resumed\n".to_owned(), Some(0))
    );
    let started = String::from_utf8(resumed.stdout)?;
    assert!(started.lines().any(|line| line.contains(" started outer (test): ")), "{started}");
    Ok(())
}

#[test]
fn what_can_go_on_is_resumed_before_what_waits_for_somebody() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = pipes(dir.path(), "second")?;
    plan_with(
        dir.path(),
        "second.yaml",
        BUDGET,
        &held("second").replace("attempts: 1", "attempts: 2"),
    )?;
    let mut host = Running::start(dir.path(), &["run", "second.yaml", "--id", "second"])?;
    heard(&runs)?;
    let mut waits = Running::start(dir.path(), &["run", "second.yaml", "--id", "first"])?;
    heard(&runs)?;
    assert_eq!(ran(dir.path(), &["pause", "first"])?.status.code(), Some(0));
    waits.kill()?;
    host.kill()?;
    let mut resumed = Running::start(dir.path(), &["resume", "first", "second"])?;
    heard(&runs)?;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        resumed.0.stdout.take().ok_or("no standard output")?,
    ));
    let first = lines.next().ok_or("it said nothing")??;
    assert!(first.contains("started second (test): 1 item, 1 at a time"), "{first}");
    say(&ends, "end")?;
    // What it comes to next is the one that waits.
    let next = lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains(" started ")))
        .ok_or("it ended")??;
    assert!(next.contains("started first (test): 1 item, 1 at a time"), "{next}");
    let lower = ran(dir.path(), &["continue", "first", "--sessions", "0"])?;
    let stderr = String::from_utf8(lower.stderr)?;
    assert!(
        stderr.contains("the body has an error: ") && stderr.contains("ceilings are totals"),
        "{stderr}"
    );
    assert_eq!(lower.status.code(), Some(2));
    assert_eq!(ran(dir.path(), &["cancel", "first"])?.status.code(), Some(0));
    assert_eq!(resumed.0.wait()?.code(), Some(8));
    Ok(())
}
