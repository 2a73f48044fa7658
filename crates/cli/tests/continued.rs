//! Runs that pause because their budget is spent: what is told of that, and what continues them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ChildStderr;

use crate::plans::{Ran, Result, Running, plan_with, ran};
use rustix::process::Signal;

/// An item that fails until there is a certain file.
const WORK: &str = "  a: { command: [test, -e, mended], retry: { attempts: 3 } }\n";

/// A run `r` that has spent its two sessions, once it has said what continues it.
fn paused(dir: &Path) -> Result<(Running, BufReader<ChildStderr>, String)> {
    let head = "budget: { sessions: 2, duration: 5m }\non_exhausted: pause";
    plan_with(dir, "plan.yaml", head, WORK)?;
    let mut run = Running::start(dir, &["run", "--id", "r", "plan.yaml"])?;
    let mut lines = BufReader::new(run.0.stderr.take().ok_or("no standard error")?);
    let mut said = String::new();
    lines.read_line(&mut said)?;
    Ok((run, lines, said))
}

/// The run as `status --json` has it.
fn status(dir: &Path) -> Result<serde_json::Value> {
    Ok(serde_json::from_slice(&ran(dir, &["status", "r", "--json"])?.stdout)?)
}

fn stdout(output: Ran) -> Result<String> {
    Ok(String::from_utf8(output.stdout)?)
}

const COMMAND: &str = "`antiphon continue r --sessions 3`, or a higher ceiling, continues it";

#[test]
fn a_run_that_has_spent_its_budget_names_what_continues_it_wherever_it_is_asked() -> Result {
    let dir = tempfile::tempdir()?;
    let (mut run, mut lines, said) = paused(dir.path())?;
    let spent = "the session budget is spent: 2 of 2";
    assert_eq!(said, format!("r is paused: {spent}; {COMMAND}, `antiphon cancel r` ends it\n"));
    let shown = stdout(ran(dir.path(), &["status", "r"])?)?;
    assert!(shown.contains(&format!("\npaused: {spent}\n")), "{shown}");
    assert!(shown.contains(&format!("\nnext          {COMMAND}\n")), "{shown}");
    let why = stdout(ran(dir.path(), &["why", "r", "a"])?)?;
    assert_eq!(why, format!("a: the run is paused: {spent}; {COMMAND}\n"));
    assert_eq!(
        status(dir.path())?["pause"],
        serde_json::json!({
            "spent": [{ "meter": "sessions", "used": "2", "ceiling": "2", "enough": "3" }],
            "command": "antiphon continue r --sessions 3"
        })
    );

    // Where no engine runs, the command that starts one follows.
    run.signal(Signal::TERM)?;
    let mut left = String::new();
    lines.read_line(&mut left)?;
    let both = "`antiphon continue r --sessions 3`, or a higher ceiling, then `antiphon resume r` continue it";
    assert_eq!(left, format!("r is unfinished: {both}; `antiphon cancel r` ends it\n"));
    run.0.wait()?;
    let shown = stdout(ran(dir.path(), &["status", "r"])?)?;
    assert!(shown.contains(&format!("engine        not running; {both}\n")), "{shown}");
    let why = stdout(ran(dir.path(), &["why", "r", "a"])?)?;
    assert!(why.ends_with(&format!("; no engine is running; {both}\n")), "{why}");
    let refused = ran(dir.path(), &["run", "plan.yaml"])?;
    assert_eq!(
        String::from_utf8(refused.stderr)?,
        format!(
            "error: r is an unfinished run of this plan\nhint: {both}; the same command with --new \
             starts another\n"
        )
    );
    assert_eq!(refused.status.code(), Some(2));
    std::fs::write(dir.path().join("mended"), "")?;
    let continued = ran(dir.path(), &["continue", "r", "--sessions", "3"])?;
    assert!(continued.status.success(), "{continued:?}");
    assert_eq!(ran(dir.path(), &["resume", "r"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_ceiling_that_is_lower_or_not_enough_is_refused_and_nothing_has_changed() -> Result {
    let dir = tempfile::tempdir()?;
    let (mut run, _lines, _) = paused(dir.path())?;
    let before = status(dir.path())?["version"].clone();
    let not_enough = "the session budget is spent: 2 of 2; to continue, the ceiling on sessions must be at least 3";
    let lower = "the ceiling on sessions is 2, and 1 is lower; a ceiling can only be raised";
    let shorter = "the ceiling on duration is 5m, and 1m is lower; a ceiling can only be raised";
    let refused: [(&[&str], &str); 5] = [
        (&[], not_enough),
        (&["--sessions", "2"], not_enough),
        (&["--duration", "1h"], not_enough),
        (&["--sessions", "1"], lower),
        (&["--sessions", "9", "--duration", "1m"], shorter),
    ];
    for (options, why) in refused {
        let refused = ran(dir.path(), &[&["continue", "r"], options].concat())?;
        assert_eq!(
            String::from_utf8(refused.stderr)?,
            format!("error: {why}\nhint: {COMMAND}\n"),
            "{options:?}"
        );
        assert_eq!(refused.status.code(), Some(2), "{options:?}");
        assert_eq!(status(dir.path())?["version"], before, "{options:?}");
    }
    std::fs::write(dir.path().join("mended"), "")?;
    let continued = ran(dir.path(), &["continue", "r", "--sessions", "3"])?;
    assert_eq!(stdout(continued)?, "r continued\n");
    assert_eq!(run.0.wait()?.code(), Some(0));
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn one_least_ceiling_on_time_is_told_and_a_refused_one_is_not_told_as_if_it_counted() -> Result {
    let dir = tempfile::tempdir()?;
    let head = "budget: { sessions: 9, duration: 300ms }\non_exhausted: pause";
    plan_with(dir.path(), "plan.yaml", head, "  a: { shell: 'exec sleep 300' }\n")?;
    let mut run = Running::start(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    let mut lines = BufReader::new(run.0.stderr.take().ok_or("no standard error")?);
    lines.read_line(&mut String::new())?;
    let spent = status(dir.path())?["pause"]["spent"][0].clone();
    let text = |member: &str| spent[member].as_str().map(str::to_owned).ok_or("no such member");
    let (used, enough) = (text("used")?, text("enough")?);
    let refused = ran(dir.path(), &["continue", "r", "--duration", "301ms"])?;
    let said = String::from_utf8(refused.stderr)?;
    let error = format!(
        "error: the time budget is spent: {used} of 0.3s; to continue, the ceiling on duration must \
         be at least {enough}\nhint: `antiphon continue r --duration "
    );
    let hint = format!("`, or a ceiling of at least {enough}, continues it\n");
    assert!(said.starts_with(&error) && said.ends_with(&hint), "{said}");
    run.signal(Signal::TERM)?;
    run.0.wait()?;
    Ok(())
}
