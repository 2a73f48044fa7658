//! A start that a crash cut off: what every command says of it, and what is advised, followed.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{advised, text};
use crate::plans::{Result, Running, antiphon, ran};

const ADVICE: &str = "`antiphon run PLAN --id r`, which submits the rest, continues it; \
                      `antiphon cancel r` ends it";

/// Files that hold the first append of the start and not the second, in blocks of 512 bytes.
const BLOCKS: u32 = 22_000;

/// A plan whose record takes two appends, and which ends with its first item.
fn plan() -> Result<String> {
    let mut plan = "name: big\nbudget: { sessions: 2000, duration: 10m }\nwork:\n".to_owned();
    writeln!(plan, "  first: {{ command: ['false'], priority: 9, on_failure: abort }}")?;
    let names: Vec<String> =
        (100..300).map(|number| format!("a{number}-{}", "x".repeat(110))).collect();
    for name in &names {
        writeln!(plan, "  {name}: {{ command: ['true'] }}")?;
    }
    let cells: Vec<String> = (0..480).map(|number| number.to_string()).collect();
    let (cells, names) = (cells.join(", "), names.join(", "));
    writeln!(
        plan,
        "  cell: {{ command: [echo, '{{{{n}}}}'], matrix: {{ n: [{cells}] }}, needs: [{names}] }}"
    )?;
    Ok(plan)
}

/// Submits it with an engine that is killed between the two appends.
fn cut_off(dir: &Path) -> Result {
    std::fs::write(dir.join("plan.yaml"), plan()?)?;
    let run = antiphon(dir, &["run", "--id", "r", "plan.yaml"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -f {BLOCKS}; exec \"$@\""), "sh"]);
    limited.arg(run.get_program()).args(run.get_args()).current_dir(dir).env("NO_COLOR", "1");
    let mut run = Running(limited.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
    let mut said = String::new();
    BufReader::new(run.0.stderr.take().ok_or("no standard error")?).read_line(&mut said)?;
    assert!(said.contains("the ledger is read-only until a write succeeds again"), "{said}");
    run.kill()
}

#[test]
fn a_start_that_was_cut_off_is_continued_or_ended_as_every_command_says() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    cut_off(dir)?;
    let status = text(&ran(dir, &["status", "r"])?.stdout);
    assert!(status.contains(&format!("\nengine        not running; {ADVICE}\n")), "{status}");
    let why = text(&ran(dir, &["why", "r", "first"])?.stdout);
    assert!(why.ends_with(&format!("; no engine is running; {ADVICE}\n")), "{why}");
    let doctor = text(&ran(dir, &["doctor", "--quick"])?.stdout);
    let said = doctor.lines().find(|line| line.contains("--status starting")).ok_or("no advice")?;
    assert!(doctor.contains("1 run only partly submitted"), "{doctor}");
    let listed = advised(said).into_iter().next().ok_or("no command")?;
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(text(&ran(dir, &listed)?.stdout).lines().count(), 2);
    for resume in [&["resume", "r"][..], &["resume"]] {
        let resumed = ran(dir, resume)?;
        assert_eq!(text(&resumed.stderr), format!("r was only partly submitted; {ADVICE}\n"));
        assert_eq!(resumed.status.code(), Some(2));
    }
    // Another run does not wait for it.
    let done = ran(dir, &["do", "--id", "other", "--", "true"])?;
    assert!(done.status.success(), "{done:?}");
    let copied = Command::new("cp").args(["-a", "state", "copy"]).current_dir(dir).status()?;
    assert!(copied.success());

    let ended = ran(dir, &["cancel", "r"])?;
    assert!(text(&ended.stdout).starts_with("r ended: aborted"), "{ended:?}");

    std::fs::remove_dir_all(dir.join("state"))?;
    std::fs::rename(dir.join("copy"), dir.join("state"))?;
    let continued = ran(dir, &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(continued.status.code(), Some(7), "{continued:?}");
    let listed = text(&ran(dir, &["list", "--ended"])?.stdout);
    assert!(
        listed.lines().any(|line| line.starts_with("r ") && line.contains("/681 ")),
        "{listed}"
    );
    Ok(())
}
