//! Nothing is kept of the sessions of a run that was cancelled, in whatever phase.

use std::path::Path;

use crate::plans::{Result, Running, heard, pipe, plan, ran, say};
use rustix::process::Signal;

/// A run whose one item says that it runs, and ends once it is told to or asked to stop.
fn started(dir: &Path) -> Result<Running> {
    pipe(dir, "runs")?;
    pipe(dir, "ends")?;
    plan(dir, "  one: { shell: 'echo now > runs; read line < ends' }\n")?;
    let run = Running::start(dir, &["run", "--id", "r", "plan.yaml"])?;
    heard(&dir.join("runs"))?;
    Ok(run)
}

fn kept(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir.join("state/sessions"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn cancel(dir: &Path) -> Result<String> {
    let output = ran(dir, &["cancel", "r"])?;
    assert!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn nothing_is_kept_of_a_run_that_was_cancelled_while_it_ran() -> Result {
    for cancelled in [
        |run: &Running, _: &Path| run.signal(Signal::TERM),
        |_: &Running, dir: &Path| cancel(dir).map(drop),
        |_: &Running, dir: &Path| {
            let drain = Running::start(dir, &["cancel", "r", "--drain"])?;
            while !String::from_utf8(ran(dir, &["list"])?.stdout)?.contains("stopping") {}
            say(&dir.join("ends"), "now")?;
            let drained = drain.end()?;
            assert!(drained.status.success(), "{drained:?}");
            Ok(())
        },
    ] {
        let dir = tempfile::tempdir()?;
        let run = started(dir.path())?;
        assert_eq!(kept(dir.path())?, ["r.1"]);
        cancelled(&run, dir.path())?;
        let ended = run.end()?;
        assert_eq!(kept(dir.path())?, Vec::<String>::new(), "{ended:?}");
    }
    Ok(())
}

#[test]
fn nothing_is_kept_of_a_run_that_was_cancelled_after_its_engine_was_killed() -> Result {
    let dir = tempfile::tempdir()?;
    let mut run = started(dir.path())?;
    run.kill()?;
    assert_eq!(kept(dir.path())?, ["r.1"]);
    assert!(cancel(dir.path())?.starts_with("r ended: aborted, receipt "));
    assert_eq!(kept(dir.path())?, Vec::<String>::new());
    Ok(())
}
