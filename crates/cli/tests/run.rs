//! Plans of real processes, run as a user would, also when the engine is killed in the middle.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Stdio;

use crate::plans::{Result, Running, antiphon, heard, pipe, plan, ran, say, story, walk};

#[test]
fn a_plan_of_processes_runs_to_a_receipt_that_verifies() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  first: { command: [sh, -c, 'echo \"{\\\"output\\\": {\\\"word\\\": \\\"hello\\\"}}\" > \"$ANTIPHON_RESULT\"'], output: [word] }
  second: { command: [sh, -c, 'test \"$1\" = hello', sh, '{{first.output.word}}'], needs: [first] }
",
    )?;
    let output = ran(dir.path(), &["run", "plan.yaml"])?;
    assert_eq!(
        story(&output),
        [
            "started (test): 2 items, 1 at a time; at most 20 sessions, 5m00s",
            "running first (session 1)",
            "succeeded first (session 1) after",
            "running second (session 2)",
            "succeeded second (session 2) after",
            "succeeded in 2 sessions"
        ],
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.lines().any(|line| line.starts_with("receipt ") && line.ends_with(", verified")),
        "{said}"
    );
    let verified = ran(dir.path(), &["verify"])?;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    Ok(())
}

#[test]
fn the_exit_code_tells_how_a_run_went() -> Result {
    let dir = tempfile::tempdir()?;
    let fails = "  bad: { command: [sh, -c, 'echo why >&2; exit 3'], retry: { attempts: 1 } }\n";
    plan(dir.path(), fails)?;
    let failed = ran(dir.path(), &["run", "plan.yaml"])?;
    assert_eq!(
        story(&failed)[2..],
        ["failed bad (session 1) after exit 3: why", "failed in 1 session: 0 ok, 1 failed"]
    );
    assert_eq!(failed.status.code(), Some(7));
    plan(dir.path(), &format!("  good: {{ command: ['true'] }}\n{fails}"))?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml"])?.status.code(), Some(6));
    plan(dir.path(), "  absent: { command: [no-such-program-at-all], retry: { attempts: 1 } }\n")?;
    let absent = ran(dir.path(), &["run", "plan.yaml"])?;
    assert!(story(&absent)[2].contains("No such file or directory"), "{absent:?}");
    plan(dir.path(), "  lies: { command: ['true'], check: ['false'], retry: { attempts: 1 } }\n")?;
    let lies = ran(dir.path(), &["run", "plan.yaml"])?;
    assert_eq!(story(&lies)[2], "failed lies (session 1) after its check failed: exit 1");
    plan(dir.path(), "  a: { comand: ['true'] }\n")?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml"])?.status.code(), Some(5));
    Ok(())
}

#[test]
fn a_run_whose_engine_was_killed_goes_on_and_what_it_ran_is_gone() -> Result {
    let dir = tempfile::tempdir()?;
    let pipe = pipe(dir.path(), "pipe")?;
    // The first time it says who it is and stays, with a child that leaves its session; the second
    // time it ends.
    plan(
        dir.path(),
        "  stays: { command: [sh, -c, 'if [ -e again ]; then exit 0; fi; touch again; setsid sleep 300 & echo $$ > pipe; sleep 300'], retry: { attempts: 1 } }\n",
    )?;
    let mut run = Running::start(dir.path(), &["run", "--id", "once", "plan.yaml"])?;
    let pid = heard(&pipe)?;
    assert!(Path::new("/proc").join(&pid).exists());
    run.kill()?;
    let again = ran(dir.path(), &["run", "--id", "once", "plan.yaml"])?;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(
        story(&again).contains(
            &"interrupted stays (session 1) after starts again: the engine stopped while the session ran"
                .to_owned()
        ),
        "{:?}",
        story(&again)
    );
    assert!(!Path::new("/proc").join(&pid).exists(), "the warden ends its session with the engine");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path().join("state/sessions"))?.count(), 0);
    Ok(())
}

#[test]
fn a_session_that_lost_its_engine_is_charged_what_it_had_told() -> Result {
    let dir = tempfile::tempdir()?;
    let pipe = pipe(dir.path(), "pipe")?;
    // It prints its only message twice, as agents do while it grows.
    std::fs::write(
        dir.path().join("plan.yaml"),
        r#"
name: lost
budget: { sessions: 9, duration: 8h, tokens: 1000, cost: 8 USD }
work:
  a:
    shell: |
      for n in 1 2; do echo '{"type":"assistant","message":{"id":"m","usage":{"input_tokens":40,"output_tokens":2,"cache_read_input_tokens":7}}}'; done
      echo runs > pipe
      sleep 300
    usage: claude-stream
"#,
    )?;
    let mut run = Running::start(dir.path(), &["run", "--id", "once", "plan.yaml"])?;
    heard(&pipe)?;
    run.kill()?;
    assert_eq!(ran(dir.path(), &["cancel", "once"])?.status.code(), Some(0));
    let status = ran(dir.path(), &["status", "once", "--json"])?;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    let tokens = &status["meters"]["tokens"];
    assert_eq!((&tokens["used"], &tokens["estimated"]), (&42.into(), &true.into()), "{status}");
    // Of what it did not tell, its share by its time is charged: seconds of eight hours.
    let cost = status["meters"]["cost"]["used"].as_u64().ok_or("no cost")?;
    assert!((1..80_000).contains(&cost), "{cost}");
    Ok(())
}

#[test]
fn a_reader_that_goes_away_stops_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let pipe = pipe(dir.path(), "pipe")?;
    // The first item ends when the reader has gone.
    plan(
        dir.path(),
        "  waits: { command: [cat, pipe] }\n  then: { command: ['true'], needs: [waits] }\n",
    )?;
    let mut command = antiphon(dir.path(), &["run", "--id", "unread", "plan.yaml"]);
    let mut run =
        Running(command.env_remove("HOME").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let mut line = String::new();
    std::io::BufReader::new(run.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    assert!(
        line.ends_with("started unread (test): 2 items, 1 at a time; at most 20 sessions, 5m00s\n"),
        "{line}"
    );
    say(&pipe, "")?;
    let mut said = String::new();
    run.0.stderr.take().ok_or("no errors")?.read_to_string(&mut said)?;
    assert_eq!((run.0.wait()?.code(), said.as_str()), (Some(0), ""));
    let status = ran(dir.path(), &["status"])?;
    assert!(String::from_utf8(status.stdout)?.contains("status        succeeded\n"));
    Ok(())
}

#[test]
fn a_secret_reaches_its_session_and_nothing_else() -> Result {
    let dir = tempfile::tempdir()?;
    let canary = format!("canary-{}", std::process::id());
    plan(
        dir.path(),
        "  uses: { command: [sh, -c, 'echo \"$KEY\"; echo \"$KEY\" >&2; test \"$KEY\" = \"$OTHER\"'], env: { KEY: { secret: CANARY }, OTHER: { secret: CANARY } } }\n",
    )?;
    let output = antiphon(dir.path(), &["run", "plan.yaml"])
        .env("CANARY", &canary)
        .stdin(Stdio::null())
        .output()?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for entry in walk(&dir.path().join("state"))? {
        let bytes = std::fs::read(&entry)?;
        assert!(
            !bytes.windows(canary.len()).any(|window| window == canary.as_bytes()),
            "it is in {}",
            entry.display()
        );
    }
    let missing = antiphon(dir.path(), &["run", "plan.yaml"]).env_remove("CANARY").output()?;
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    Ok(())
}

#[test]
fn a_secret_that_an_item_hands_on_is_replaced_in_what_others_print() -> Result {
    let dir = tempfile::tempdir()?;
    let canary = format!("canary-{}\nsecond-line-of-it\r", std::process::id());
    plan(
        dir.path(),
        "  writes: { shell: 'printf %s \"$KEY\" > key', env: { KEY: { secret: CANARY } } }\n  reads: { shell: 'sed \"s/^/> /\" key; echo; tr -d \"\\r\" < key', needs: [writes] }\n",
    )?;
    let output = antiphon(dir.path(), &["run", "plan.yaml", "--id", "r"])
        .env("CANARY", &canary)
        .stdin(Stdio::null())
        .output()?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for entry in walk(&dir.path().join("state"))? {
        let bytes = String::from_utf8_lossy(&std::fs::read(&entry)?).into_owned();
        for line in canary.lines() {
            assert!(!bytes.contains(line.trim_end()), "{line} is in {}", entry.display());
        }
    }
    let printed = ran(dir.path(), &["output", "r", "reads"])?;
    let printed = String::from_utf8(printed.stdout)?;
    assert!(printed.starts_with("> [secret CANARY]\n> [secret CANARY]"), "{printed}");
    Ok(())
}

#[test]
fn a_secret_is_nowhere_after_its_engine_was_killed() -> Result {
    let dir = tempfile::tempdir()?;
    let (scratch, runs) = (dir.path().join("scratch"), pipe(dir.path(), "runs")?);
    std::fs::create_dir(&scratch)?;
    let canary = format!("canary-{}", std::process::id());
    // It prints the secret, also in halves, writes it where its result belongs, and leaves a
    // process that knows it.
    plan(
        dir.path(),
        "  leaks: { command: [sh, -c, 'echo \"$KEY\"; printf %s \"${KEY%-*}\"; echo \"-${KEY##*-}\"; echo \"{\\\"output\\\": \\\"$KEY\\\"}\" > \"$ANTIPHON_RESULT\"; setsid sleep 300 & echo runs > runs; sleep 300'], env: { KEY: { secret: CANARY } } }\n",
    )?;
    let mut command = antiphon(dir.path(), &["run", "plan.yaml", "--id", "leaky"]);
    command
        .env("CANARY", &canary)
        .env("TMPDIR", &scratch)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut run = Running(command.spawn()?);
    heard(&runs)?;
    run.kill()?;
    // Without the secret; the next start ends and removes what is left.
    assert_eq!(ran(dir.path(), &["cancel", "leaky"])?.status.code(), Some(0));
    for file in walk(&dir.path().join("state"))? {
        let bytes = std::fs::read(&file)?;
        assert!(
            !bytes.windows(canary.len()).any(|window| window == canary.as_bytes()),
            "it is in {}",
            file.display()
        );
    }
    assert_eq!(
        std::fs::read_dir(&scratch)?.count(),
        0,
        "what lay outside of the state directory is gone"
    );
    Ok(())
}

#[test]
fn a_state_directory_that_cannot_be_made_is_told_and_nothing_runs() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  a: { command: [touch, done] }\n")?;
    std::fs::write(dir.path().join("state"), "not a directory")?;
    let refused = ran(dir.path(), &["run", "plan.yaml"])?;
    let stderr = String::from_utf8(refused.stderr)?;
    assert!(
        stderr.starts_with("error: could not open ")
            && stderr.contains("hint: choose a writable directory"),
        "{stderr}"
    );
    assert_eq!((refused.status.code(), dir.path().join("done").exists()), (Some(3), false));
    Ok(())
}

#[test]
fn a_directory_of_other_things_is_left_as_it_is() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  a: { command: ['true'] }\n")?;
    let mut here = std::process::Command::new(env!("CARGO_BIN_EXE_antiphon"));
    let refused = here.args(["--dir", ".", "run", "plan.yaml"]).current_dir(dir.path()).output()?;
    let names: Vec<_> =
        walk(dir.path())?.iter().filter_map(|path| Some(path.file_name()?.to_owned())).collect();
    assert_eq!((refused.status.code(), names), (Some(3), vec!["plan.yaml".into()]));
    Ok(())
}

#[test]
fn ctrl_c_ends_the_wait_for_an_engine_that_does_not_answer() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  a: { command: ['true'] }\n")?;
    let _holder = antiphon::Engine::builder(dir.path().join("state"))?;
    let mut run = Running::start(dir.path(), &["run", "plan.yaml"])?;
    let mut lines = BufReader::new(run.0.stderr.take().ok_or("no standard error")?).lines();
    let waits = format!(
        "waiting for the engine that holds {} to answer or exit",
        dir.path().join("state").display()
    );
    assert_eq!(lines.next().ok_or("it said nothing")??, waits);
    run.signal(rustix::process::Signal::INT)?;
    assert_eq!(
        lines.next().ok_or("it said nothing more")??,
        "error: interrupted before the run was submitted"
    );
    assert_eq!(run.0.wait()?.code(), Some(8));
    Ok(())
}

#[test]
fn a_directory_that_an_engine_without_a_socket_holds_is_told_by_its_exit_code() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  a: { command: ['true'] }\n")?;
    let _holder = antiphon::Engine::builder(dir.path().join("state"))?;
    let refused = ran(dir.path(), &["run", "plan.yaml"])?;
    let stderr = String::from_utf8(refused.stderr)?;
    assert!(stderr.contains(&format!("is in use by process {}", std::process::id())), "{stderr}");
    assert_eq!(refused.status.code(), Some(11));
    Ok(())
}

#[test]
fn what_only_the_engine_finds_wrong_with_a_plan_is_told_as_plan_check_tells_it() -> Result {
    let dir = tempfile::tempdir()?;
    let names: Vec<String> = (0..4_000).map(|n| format!("item-{n}-{}", "x".repeat(40))).collect();
    let mut work: String =
        names.iter().map(|name| format!("  {name}: {{ command: ['true'] }}\n")).collect();
    work.push_str(&format!("  last: {{ command: ['true'], needs: [{}] }}\n", names.join(", ")));
    plan(dir.path(), &work)?;
    for flags in [&[][..], &["--json"]] {
        let check = ran(dir.path(), &[&["plan", "check", "plan.yaml"], flags].concat())?;
        let run = ran(dir.path(), &[&["run", "plan.yaml"], flags].concat())?;
        assert_eq!(check.status.code(), Some(5), "{check:?}");
        assert_eq!(
            (run.status, run.stdout, run.stderr),
            (check.status, check.stdout, check.stderr)
        );
    }
    Ok(())
}
