//! Plans of real processes, run as a user would, also when the engine is killed in the middle.

use std::io::{BufRead as _, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn antiphon(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.current_dir(dir).arg("--dir").arg(dir.join("state")).args(arguments).env("NO_COLOR", "1");
    command
}

fn ran(dir: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(antiphon(dir, arguments).stdin(Stdio::null()).output()?)
}

/// What a run printed, without its times and ids.
fn story(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| !line.starts_with("receipt ") && !line.starts_with("look at it"));
    lines.map(|line| line.split_whitespace().filter(|word| !is_time_or_id(word)).collect::<Vec<_>>().join(" ")).collect()
}

fn is_time_or_id(word: &str) -> bool {
    let word = word.trim_end_matches([',', ':']);
    let is_time = word.strip_suffix('s').is_some_and(|digits| digits.parse::<f64>().is_ok());
    is_time || word.len() == 36
}

fn plan(dir: &Path, work: &str) -> Result {
    Ok(std::fs::write(
        dir.join("plan.yaml"),
        format!("name: test\nbudget: {{ sessions: 20, duration: 5m }}\nconcurrency: 1\nwork:\n{work}"),
    )?)
}

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

/// A run that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Opens a named pipe for reading and waits for whoever writes to it.
fn heard(pipe: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(pipe)?.trim().to_owned())
}

#[test]
fn a_run_whose_engine_was_killed_goes_on_and_what_it_ran_is_gone() -> Result {
    let dir = tempfile::tempdir()?;
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)?;
    // The first time it says who it is and stays, with a child that leaves its session; the second time it ends.
    plan(
        dir.path(),
        "  stays: { command: [sh, -c, 'if [ -e again ]; then exit 0; fi; touch again; setsid sleep 300 & echo $$ > pipe; sleep 300'], retry: { attempts: 1 } }\n",
    )?;
    let mut run = Killed(antiphon(dir.path(), &["run", "--id", "once", "plan.yaml"]).stdout(Stdio::null()).spawn()?);
    let pid = heard(&pipe)?;
    assert!(Path::new("/proc").join(&pid).exists());
    run.0.kill()?;
    run.0.wait()?;
    let again = ran(dir.path(), &["run", "--id", "once", "plan.yaml"])?;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(story(&again).contains(&"lost stays in the engine stopped while the session ran".to_owned()), "{:?}", story(&again));
    assert!(!Path::new("/proc").join(&pid).exists(), "the warden ends its session with the engine");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(dir.path().join("state/sessions"))?.count(), 0);
    Ok(())
}

#[test]
fn a_reader_that_goes_away_stops_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)?;
    // The first item ends when the reader has gone.
    plan(dir.path(), "  waits: { command: [cat, pipe] }\n  then: { command: ['true'], needs: [waits] }\n")?;
    let mut command = antiphon(dir.path(), &["run", "--id", "unread", "plan.yaml"]);
    let mut run = Killed(command.env_remove("HOME").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    let mut line = String::new();
    std::io::BufReader::new(run.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    assert!(line.ends_with("test starts as unread: 2 items, 1 at a time\n"), "{line}");
    std::fs::write(&pipe, "")?;
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

fn walk(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(walk(&path)?) } else { files.push(path) }
    }
    Ok(files)
}
