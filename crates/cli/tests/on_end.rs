//! Commands that plans name for the ends of their runs.

use std::path::Path;

use rustix::process::Signal;

#[cfg(feature = "crash-points")]
use crate::plans::antiphon;
use crate::plans::{Result, Running, heard, pipe, plan_with, ran, say};

const SUCCEEDS: &str = "  one: { command: ['true'] }\n";

/// A plan with this command for its end.
fn ending_with(dir: &Path, command: &str, work: &str) -> Result {
    let keys = format!("budget: {{ sessions: 20, duration: 5m }}\non_end: {command}");
    plan_with(dir, "plan.yaml", &keys, work)
}

const FAILED: &str = "`on_end` of r failed: exit 3: no mail (tried 3 times)\n";

/// What was said, without that there is something to wait for: three tries take about that long.
fn without_waiting(said: Vec<u8>) -> Result<String> {
    let waiting = "waiting for `on_end` of r, for a minute at most\n";
    Ok(String::from_utf8(said)?.replace(waiting, ""))
}

/// What was written to a file, line by line.
fn lines(dir: &Path, file: &str) -> Result<Vec<String>> {
    Ok(std::fs::read_to_string(dir.join(file))?.lines().map(str::to_owned).collect())
}

#[test]
fn it_learns_how_the_run_ended_whatever_the_verdict() -> Result {
    let dir = tempfile::tempdir()?;
    let work = "  one: { command: ['true'] }
  two: { command: ['false'], retry: { attempts: 1 } }
  three: { command: ['true'], needs: [two] }\n";
    let told = "[sh, -c, 'echo \"$ANTIPHON_RUN $ANTIPHON_NAME $ANTIPHON_VERDICT $ANTIPHON_STOP \
                $ANTIPHON_SUCCEEDED $ANTIPHON_FAILED $ANTIPHON_SKIPPED $ANTIPHON_NOT_RUN\" >> told; \
                test -e \"$ANTIPHON_DIR/ledger.db\" && echo ledger >> told']";
    ending_with(dir.path(), told, work)?;
    assert_eq!(ran(dir.path(), &["run", "--id", "r", "plan.yaml"])?.status.code(), Some(6));
    let expected = ["r test partial ALL_WORK_COMPLETED 1 1 1 0", "ledger"];
    assert_eq!(lines(dir.path(), "told")?, expected);
    // The same id again finds a run that has ended, and nothing is carried out again.
    assert_eq!(ran(dir.path(), &["run", "--id", "r", "plan.yaml"])?.status.code(), Some(6));
    assert_eq!(lines(dir.path(), "told")?, expected);
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn it_is_carried_out_for_the_outermost_run_alone() -> Result {
    let dir = tempfile::tempdir()?;
    let told = "{ shell: 'echo \"$ANTIPHON_RUN\" >> told' }";
    ending_with(dir.path(), told, SUCCEEDS)?;
    std::fs::rename(dir.path().join("plan.yaml"), dir.path().join("inner.yaml"))?;
    ending_with(dir.path(), told, "  inner: { plan: inner.yaml }\n")?;
    assert_eq!(ran(dir.path(), &["run", "--id", "outer", "plan.yaml"])?.status.code(), Some(0));
    assert_eq!(lines(dir.path(), "told")?, ["outer"]);
    Ok(())
}

#[test]
fn one_that_fails_is_tried_three_times_and_changes_nothing_of_the_run() -> Result {
    let dir = tempfile::tempdir()?;
    let fails = "{ shell: 'echo tried >> tried; echo no mail >&2; exit 3' }";
    ending_with(dir.path(), fails, SUCCEEDS)?;
    let run = ran(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    assert_eq!(run.status.code(), Some(0));
    assert_eq!(without_waiting(run.stderr)?, FAILED);
    assert_eq!(lines(dir.path(), "tried")?, ["tried"; 3]);
    // It was carried out, and no other engine does that again.
    assert_eq!(ran(dir.path(), &["serve", "--idle-exit", "10ms"])?.status.code(), Some(0));
    assert_eq!(lines(dir.path(), "tried")?, ["tried"; 3]);
    Ok(())
}

#[test]
fn who_waits_for_the_run_is_told_that_it_failed_and_exits_as_the_run_does() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "ends")?;
    let fails = "{ shell: 'echo no mail >&2; exit 3' }";
    ending_with(dir.path(), fails, "  one: { shell: 'read line < ends' }\n")?;
    let run = ran(dir.path(), &["run", "--detach", "--id", "r", "plan.yaml"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let waits = Running::start(dir.path(), &["wait", "r"])?;
    say(&dir.path().join("ends"), "now")?;
    let waited = waits.end()?;
    let code = waited.status.code();
    assert_eq!((code, without_waiting(waited.stderr)?.as_str()), (Some(0), FAILED));
    Ok(())
}

#[test]
fn one_that_died_with_its_engine_is_carried_out_by_the_next() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "begins")?;
    pipe(dir.path(), "ends")?;
    let waits = "{ shell: 'echo \"$ANTIPHON_RUN\" > begins; read line < ends; echo done >> done' }";
    ending_with(dir.path(), waits, SUCCEEDS)?;
    let mut run = Running::start(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    assert_eq!(heard(&dir.path().join("begins"))?, "r");
    run.kill()?;
    let next = Running::start(dir.path(), &["serve", "--idle-exit", "10ms"])?;
    assert_eq!(heard(&dir.path().join("begins"))?, "r");
    say(&dir.path().join("ends"), "now")?;
    assert_eq!(next.end()?.status.code(), Some(0));
    assert_eq!(lines(dir.path(), "done")?, ["done"]);
    assert_eq!(ran(dir.path(), &["serve", "--idle-exit", "10ms"])?.status.code(), Some(0));
    assert_eq!(lines(dir.path(), "done")?, ["done"]);
    Ok(())
}

/// Needs `crash-points`.
#[cfg(feature = "crash-points")]
#[test]
fn one_that_was_not_begun_when_its_engine_died_is_carried_out_by_the_next() -> Result {
    for point in ["receipt.after:1", "on_end.before:1", "on_end.after:1"] {
        let dir = tempfile::tempdir()?;
        ending_with(dir.path(), "{ shell: 'echo done >> done' }", SUCCEEDS)?;
        let mut run = antiphon(dir.path(), &["run", "--id", "r", "plan.yaml"]);
        let run = run.env("ANTIPHON_CRASH_AT", point).output()?;
        assert_eq!(run.status.code(), None, "{point}: {run:?}");
        assert_eq!(ran(dir.path(), &["serve", "--idle-exit", "10ms"])?.status.code(), Some(0));
        let twice = if point == "on_end.after:1" { 2 } else { 1 };
        assert_eq!(lines(dir.path(), "done")?.len(), twice, "{point}: at least once");
    }
    Ok(())
}

#[test]
fn a_run_that_is_cancelled_while_no_engine_runs_has_its_command_too() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    let told = "{ shell: 'echo \"$ANTIPHON_VERDICT $ANTIPHON_NOT_RUN\" >> told' }";
    ending_with(dir.path(), told, "  one: { shell: 'echo now > runs; sleep 1h' }\n")?;
    let mut run = Running::start(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    heard(&dir.path().join("runs"))?;
    run.kill()?;
    assert_eq!(ran(dir.path(), &["cancel", "r"])?.status.code(), Some(0));
    assert_eq!(lines(dir.path(), "told")?, ["aborted 1"]);
    Ok(())
}

/// An engine that closes does not wait for it, so that nobody waits for that engine.
#[test]
fn ctrl_c_twice_leaves_it_to_the_next_engine_and_words_say_so() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "begins")?;
    let waits = "{ shell: 'echo \"$ANTIPHON_RUN\" > begins; sleep 1h' }";
    ending_with(dir.path(), waits, SUCCEEDS)?;
    let mut run = Running::start(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    assert_eq!(heard(&dir.path().join("begins"))?, "r");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        run.0.stderr.take().ok_or("no standard error")?,
    ));
    let mut line = || -> Result<String> { Ok(lines.next().ok_or("it said nothing")??) };
    assert_eq!(line()?, "waiting for `on_end` of r, for a minute at most");
    run.signal(Signal::INT)?;
    assert_eq!(
        line()?,
        "`on_end` of r is still running; Ctrl-C again leaves it to the next engine"
    );
    run.signal(Signal::INT)?;
    assert_eq!(line()?, "`on_end` of r is left to the next engine");
    assert_eq!(run.0.wait()?.code(), Some(0), "the run had succeeded");
    let serve = Running::start(dir.path(), &["serve", "--idle-exit", "10ms"])?;
    assert_eq!(heard(&dir.path().join("begins"))?, "r");
    serve.signal(Signal::TERM)?;
    let served = serve.end()?;
    let said = String::from_utf8(served.stderr)?;
    assert!(said.ends_with("`on_end` of r is left to the next engine\n"), "{said}");
    assert_eq!(served.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_retry_has_it_carried_out_for_its_own_end() -> Result {
    let dir = tempfile::tempdir()?;
    let told = "{ shell: 'echo \"$ANTIPHON_RUN $ANTIPHON_VERDICT $ANTIPHON_SUCCEEDED\" >> told' }";
    let work = "  one: { command: ['true'] }\n  two: { shell: 'test -e mended', needs: [one] }\n";
    ending_with(dir.path(), told, work)?;
    assert_eq!(ran(dir.path(), &["run", "--id", "r", "plan.yaml"])?.status.code(), Some(6));
    std::fs::write(dir.path().join("mended"), "")?;
    assert_eq!(ran(dir.path(), &["retry", "r"])?.status.code(), Some(0));
    assert_eq!(lines(dir.path(), "told")?, ["r partial 1", "r@2 succeeded 2"]);
    Ok(())
}

/// Needs `crash-points`.
#[cfg(feature = "crash-points")]
#[test]
fn one_that_still_waits_is_carried_out_once_where_its_run_is_pruned() -> Result {
    let dir = tempfile::tempdir()?;
    ending_with(dir.path(), "{ shell: 'echo \"$ANTIPHON_VERDICT\" >> done' }", SUCCEEDS)?;
    let mut run = antiphon(dir.path(), &["run", "--id", "r", "plan.yaml"]);
    let run = run.env("ANTIPHON_CRASH_AT", "on_end.before:1").output()?;
    assert_eq!(run.status.code(), None, "{run:?}");
    let pruned = ran(dir.path(), &["prune", "--keep", "0"])?;
    assert_eq!(pruned.status.code(), Some(0), "{pruned:?}");
    assert!(String::from_utf8_lossy(&pruned.stdout).starts_with("pruned 1 run: r\n"));
    // An engine that only records what it is asked for takes over nothing.
    assert!(!dir.path().join("done").exists());
    assert_eq!(ran(dir.path(), &["serve", "--idle-exit", "10ms"])?.status.code(), Some(0));
    assert_eq!(lines(dir.path(), "done")?, ["succeeded"]);
    Ok(())
}
