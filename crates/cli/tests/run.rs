//! Plans of real processes, run as a user would, also when the engine is killed in the middle.

mod plans;

use std::path::Path;
use std::process::Stdio;

use plans::{Result, Running, antiphon, heard, pipe, plan, ran, story, walk};

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
            "test starts as 2 items, 1 at a time",
            "running first",
            "done first in",
            "running second",
            "done second in",
            "succeeded in 2 sessions"
        ],
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(0));
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
    assert_eq!(story(&failed)[2..], ["failed bad in exit 3: why", "failed in 1 sessions"]);
    assert_eq!(failed.status.code(), Some(7));
    plan(dir.path(), &format!("  good: {{ command: ['true'] }}\n{fails}"))?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml"])?.status.code(), Some(6));
    plan(dir.path(), "  absent: { command: [no-such-program-at-all], retry: { attempts: 1 } }\n")?;
    let absent = ran(dir.path(), &["run", "plan.yaml"])?;
    assert!(story(&absent)[2].contains("No such file or directory"), "{absent:?}");
    plan(dir.path(), "  lies: { command: ['true'], check: ['false'], retry: { attempts: 1 } }\n")?;
    let lies = ran(dir.path(), &["run", "plan.yaml"])?;
    assert_eq!(story(&lies)[2], "failed lies in its check failed: exit 1");
    plan(dir.path(), "  a: { comand: ['true'] }\n")?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml"])?.status.code(), Some(5));
    Ok(())
}

#[test]
fn a_run_whose_engine_was_killed_goes_on_and_what_it_ran_is_gone() -> Result {
    let dir = tempfile::tempdir()?;
    let pipe = pipe(dir.path(), "pipe")?;
    // The first time it says who it is and stays, with a child that leaves its session; the second time it ends.
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
    assert!(story(&again).contains(&"lost stays in the engine stopped while the session ran".to_owned()), "{:?}", story(&again));
    assert!(!Path::new("/proc").join(&pid).exists(), "the warden ends its session with the engine");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path().join("state/sessions"))?.count(), 0);
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
    let output = antiphon(dir.path(), &["run", "plan.yaml"]).env("CANARY", &canary).stdin(Stdio::null()).output()?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for entry in walk(&dir.path().join("state"))? {
        let bytes = std::fs::read(&entry)?;
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "it is in {}", entry.display());
    }
    let missing = antiphon(dir.path(), &["run", "plan.yaml"]).env_remove("CANARY").output()?;
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    Ok(())
}
