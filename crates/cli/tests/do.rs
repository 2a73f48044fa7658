//! Any command as a coordination of its own: what it prints is passed on, how it went is the exit code, and all of it is on the record.

mod plans;

use std::io::BufRead as _;
use std::path::Path;

use plans::{Result, Running, antiphon, heard, pipe, ran, say};

#[test]
fn what_a_command_prints_is_passed_on_as_it_is() -> Result {
    let dir = tempfile::tempdir()?;
    let output = ran(dir.path(), &["do", "--id", "greeting", "--", "sh", "-c", "echo '{{out}}'; echo err >&2"])?;
    assert_eq!(String::from_utf8(output.stdout)?, "{{out}}\n");
    assert_eq!(String::from_utf8(output.stderr)?, "err\nsucceeded; `antiphon receipt show greeting`\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn it_is_passed_on_while_the_command_runs() -> Result {
    let dir = tempfile::tempdir()?;
    let ends = pipe(dir.path(), "ends")?;
    let mut run = Running::start(dir.path(), &["do", "--", "sh", "-c", "echo first; read word < ends; echo $word"])?;
    let mut lines = std::io::BufReader::new(run.0.stdout.take().ok_or("no standard output")?).lines();
    assert_eq!(lines.next().ok_or("it printed nothing")??, "first");
    say(&ends, "second")?;
    assert_eq!(lines.next().ok_or("it printed nothing more")??, "second");
    assert_eq!(run.0.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn how_it_went_is_the_exit_code() -> Result {
    let dir = tempfile::tempdir()?;
    let code = |arguments: &[&str]| -> Result<Option<i32>> { Ok(ran(dir.path(), arguments)?.status.code()) };
    assert_eq!(code(&["do", "--", "false"])?, Some(7));
    assert_eq!(code(&["do", "--", "no-such-program-at-all"])?, Some(7));
    assert_eq!(code(&["do", "--check", "false", "--", "true"])?, Some(7), "its check has the last word");
    assert_eq!(code(&["do", "--attempts", "2", "--", "sh", "-c", "test -e again || { touch again; false; }"])?, Some(0));
    assert_eq!(code(&["do"])?, Some(2));
    assert_eq!(code(&["do", "--secret", "NOT_THERE", "--", "true"])?, Some(2));
    assert_eq!(code(&["do", "--usage", "tarot", "--", "true"])?, Some(5));
    Ok(())
}

#[test]
fn its_time_ends_all_that_it_started() -> Result {
    let dir = tempfile::tempdir()?;
    let pids = pipe(dir.path(), "pids")?;
    let script = "setsid sleep 300 & echo $! > pids; sleep 300";
    let run = Running::start(dir.path(), &["do", "--timeout", "500ms", "--", "sh", "-c", script])?;
    let left = heard(&pids)?;
    let output = run.end()?;
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("its time was over\n"), "{output:?}");
    assert!(!Path::new("/proc").join(left).exists());
    Ok(())
}

#[test]
fn it_sees_the_variables_that_are_named_and_prints_no_secret() -> Result {
    let dir = tempfile::tempdir()?;
    let line =
        ["do", "--env", "SEEN", "--env", "SET=b c", "--secret", "KEY", "--", "sh", "-c", "echo \"$SEEN|$SET|$KEY|$UNSEEN\""];
    let mut command = antiphon(dir.path(), &line);
    let output = command.env("SEEN", "a").env("UNSEEN", "x").env("KEY", "a-secret-value").output()?;
    assert_eq!(String::from_utf8(output.stdout)?, "a|b c|[secret KEY]|\n");
    Ok(())
}
