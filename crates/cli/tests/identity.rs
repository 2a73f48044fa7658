//! What makes a run the same run: its plan, parameters and inputs, and not the terminal that it is
//! continued from.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::plans::{Ran, Result, Running, antiphon, heard, pipe, plan, plan_with, ran, say};
use rustix::process::Signal;

/// Every variable that sessions inherit.
const INHERITED: [&str; 9] =
    ["HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TZ", "USER"];

/// The binary in a terminal of that name: every variable that sessions have from it says so.
fn at(terminal: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = antiphon(dir, arguments);
    command.env_clear();
    for name in INHERITED {
        command.env(name, format!("/{terminal}/{name}"));
    }
    command.env("PATH", format!("/usr/local/bin:/usr/bin:/bin:/{terminal}"));
    command.env("TERM", terminal);
    command
}

/// An item that says that it runs and ends once it is told to; and one that needs it.
const HELD: &str = "  first: { shell: 'echo now > runs; read line < ends' }\n  second: { command: [env], needs: [first] }\n";

/// Starts a run and interrupts it in its first session.
fn interrupted(mut command: Command, dir: &Path) -> Result {
    pipe(dir, "runs")?;
    pipe(dir, "ends")?;
    let run = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    heard(&dir.join("runs"))?;
    run.signal(Signal::TERM)?;
    let left = run.end()?;
    assert_eq!(left.status.code(), Some(8), "{left:?}");
    Ok(())
}

/// Continues a run that waits in its first session for nothing but to be told to end.
fn continued(mut command: Command, dir: &Path) -> Result<Ran> {
    let run = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    heard(&dir.join("runs"))?;
    say(&dir.join("ends"), "now")?;
    run.end()
}

/// The environment that an item of `r` printed, without what a session is told of itself.
fn environment(dir: &Path, work: &str) -> Result<BTreeMap<String, String>> {
    let printed = String::from_utf8(ran(dir, &["output", "r", work])?.stdout)?;
    let variables = printed.lines().filter_map(|line| line.split_once('='));
    let others = variables.filter(|(name, _)| !name.starts_with("ANTIPHON_") && *name != "PWD");
    Ok(others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[test]
fn the_same_command_from_another_terminal_continues_the_run_as_it_was_started() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), HELD)?;
    std::fs::create_dir(dir.path().join("scratch"))?;
    let line = ["run", "--id", "r", "plan.yaml"];
    let mut first = at("first", dir.path(), &line);
    first.env("TMPDIR", dir.path().join("scratch"));
    interrupted(first, dir.path())?;
    std::fs::remove_dir(dir.path().join("scratch"))?;
    let other = continued(at("other", dir.path(), &line), dir.path())?;
    assert_eq!(other.status.code(), Some(0), "{other:?}");
    let mut expected: BTreeMap<String, String> =
        INHERITED.map(|name| (name.to_owned(), format!("/first/{name}"))).into();
    expected.insert("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin:/first".to_owned());
    expected.insert("TERM".to_owned(), "other".to_owned());
    assert_eq!(environment(dir.path(), "second")?, expected);
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn sessions_have_the_temporary_directory_of_the_engine_that_carries_them_out() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), HELD)?;
    interrupted(at("first", dir.path(), &["run", "--id", "r", "plan.yaml"]), dir.path())?;
    let scratch = dir.path().join("scratch");
    std::fs::create_dir(&scratch)?;
    let mut resume = at("other", dir.path(), &["resume", "r"]);
    resume.env("TMPDIR", &scratch);
    let resumed = continued(resume, dir.path())?;
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
    let seen = environment(dir.path(), "second")?;
    assert_eq!(seen.get("TMPDIR").map(String::as_str), scratch.to_str());
    assert_eq!(seen.get("HOME").map(String::as_str), Some("/first/HOME"));
    Ok(())
}

#[test]
fn a_nested_plan_has_the_environment_that_its_outermost_run_was_started_in() -> Result {
    let dir = tempfile::tempdir()?;
    let budget = "budget: { sessions: 20, duration: 5m }";
    plan_with(dir.path(), "inner.yaml", budget, HELD)?;
    let seen = "  outer: { plan: inner.yaml }\n";
    plan_with(dir.path(), "plan.yaml", "budget: { sessions: 40, duration: 5m }", seen)?;
    let line = ["run", "--id", "r", "plan.yaml"];
    interrupted(at("first", dir.path(), &line), dir.path())?;
    let other = continued(at("other", dir.path(), &line), dir.path())?;
    assert_eq!(other.status.code(), Some(0), "{other:?}");
    let printed = String::from_utf8(ran(dir.path(), &["output", "r.1", "second"])?.stdout)?;
    assert!(printed.contains("HOME=/first/HOME\n"), "{printed}");
    assert!(!printed.contains("/other/HOME"), "{printed}");
    Ok(())
}

/// What is said of a start under the id of `r` that is not that run.
fn refusal(mut command: Command) -> Result<String> {
    let refused: Ran = command.output()?.into();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    Ok(String::from_utf8(refused.stderr)?)
}

/// What stands before the differences, and after them.
fn about_r(differences: &str) -> String {
    format!(
        "error: run r exists and was started with something else: {differences}; `antiphon resume r` \
         continues it as it was started, and another id starts this\n"
    )
}

#[test]
fn what_is_not_the_same_is_named_with_what_it_was_and_is() -> Result {
    let dir = tempfile::tempdir()?;
    let keys = "budget: { sessions: 20, duration: 5m }\nenv: { MODEL: { from: MODEL }, KEY: { secret: API_KEY } }";
    let write = |keys: &str, work: &str| plan_with(dir.path(), "plan.yaml", keys, work);
    std::fs::write(dir.path().join("data.csv"), "1,2")?;
    let work = format!(
        "{HELD}  third: {{ command: [cat, a], timeout: 30s, input: {{ data: data.csv }} }}\n"
    );
    write(keys, &work)?;
    let line = ["run", "--id", "r", "plan.yaml"];
    let with = |model: &str| {
        let mut command = at("first", dir.path(), &line);
        command.env("MODEL", model).env("API_KEY", "hunter2hunter2");
        command
    };
    interrupted(with("small"), dir.path())?;
    assert_eq!(
        refusal(with("large"))?,
        about_r("`from: MODEL` of the plan was `small` and is `large`")
    );
    let sessions = keys.replace("20", "30");
    write(&sessions, &work)?;
    assert_eq!(
        refusal(with("small"))?,
        about_r("`budget.sessions` of the plan was `20` and is `30`")
    );
    write(keys, &work.replace("[cat, a], timeout: 30s", "[cat, b], timeout: 1m"))?;
    assert_eq!(
        refusal(with("small"))?,
        about_r(
            "`command` of item third was `[cat, a]` and is `[cat, b]`; `timeout` of item third was `30s` and is `1m`"
        )
    );
    write(keys, &work.replace("third:", "fourth:"))?;
    assert_eq!(refusal(with("small"))?, about_r("item third is gone; item fourth is new"));
    write(keys, &work)?;
    std::fs::write(dir.path().join("data.csv"), "1,3")?;
    let refused = refusal(with("small"))?;
    assert!(refused.contains("`input.data` of item third was `"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_plan_of_which_a_run_is_unfinished_is_started_again_only_if_that_is_said() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), HELD)?;
    interrupted(at("first", dir.path(), &["run", "--id", "r", "plan.yaml"]), dir.path())?;
    let refused = "error: r is an unfinished run of this plan\nhint: `antiphon resume r` continues it; the same command with --new starts another\n";
    assert_eq!(refusal(antiphon(dir.path(), &["run", "plan.yaml"]))?, refused);
    // The same text elsewhere, and another text in the same file.
    std::fs::copy(dir.path().join("plan.yaml"), dir.path().join("copy.yaml"))?;
    assert_eq!(refusal(antiphon(dir.path(), &["run", "copy.yaml"]))?, refused);
    plan(dir.path(), "  quick: { command: ['true'] }\n")?;
    assert_eq!(refusal(antiphon(dir.path(), &["run", "--detach", "plan.yaml"]))?, refused);
    for line in [["run", "plan.yaml", "--new"], ["run", "plan.yaml", "--id=other"]] {
        let other = ran(dir.path(), &line)?;
        assert_eq!(other.status.code(), Some(0), "{other:?}");
    }
    assert_eq!(ran(dir.path(), &["cancel", "r"])?.status.code(), Some(0));
    assert_eq!(ran(dir.path(), &["run", "plan.yaml"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn secrets_are_read_again_where_a_run_is_resumed_and_one_that_is_missing_is_named() -> Result {
    let dir = tempfile::tempdir()?;
    let keys = "budget: { sessions: 20, duration: 5m }\nenv: { KEY: { secret: API_KEY } }";
    plan_with(dir.path(), "plan.yaml", keys, HELD)?;
    let mut first = antiphon(dir.path(), &["run", "--id", "r", "plan.yaml"]);
    first.env("API_KEY", "hunter2hunter2");
    interrupted(first, dir.path())?;
    // Without its secret it is taken up all the same, and says what it waits for.
    let mut without = Running(
        antiphon(dir.path(), &["resume", "r"])
            .env_remove("API_KEY")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?,
    );
    let mut errors = BufReader::new(without.0.stderr.take().ok_or("no standard error")?);
    let mut said = String::new();
    errors.read_line(&mut said)?;
    assert_eq!(
        said,
        "note: r waits for a secret: the plan needs the secret API_KEY, and there is no such variable; `antiphon resume r`, with API_KEY set, brings it\n"
    );
    said.clear();
    errors.read_line(&mut said)?;
    assert!(said.contains("`antiphon why r` shows what it waits for"), "{said}");
    // A guest brings it to the engine that waits.
    let mut guest = antiphon(dir.path(), &["resume", "r"]);
    guest.env("API_KEY", "hunter2hunter2");
    let guest = continued(guest, dir.path())?;
    assert_eq!(guest.status.code(), Some(0), "{guest:?}");
    assert_eq!(without.0.wait()?.code(), Some(0));
    let printed = String::from_utf8(ran(dir.path(), &["output", "r", "second"])?.stdout)?;
    assert!(printed.contains("KEY=[secret API_KEY]\n"), "{printed}");
    Ok(())
}

/// A plan of two secrets, one of which a command prints once its file is there.
fn two_secrets(dir: &Path) -> Result {
    let keys = "budget: { sessions: 20, duration: 5m }\nenv: { KEY: { secret: API_KEY }, TOKEN: { secret: { command: [cat, token] } } }";
    plan_with(dir, "plan.yaml", keys, HELD)?;
    std::fs::write(dir.join("token"), "correct horse battery")?;
    let mut first = antiphon(dir, &["run", "--id", "r", "plan.yaml"]);
    first.env("API_KEY", "hunter2hunter2");
    interrupted(first, dir)
}

const TOKEN_FAILED: &str = "note: r waits for a secret: the command for the secret TOKEN failed: exit status: 1; `antiphon resume r`, with the command for TOKEN working, brings it\n";

#[test]
fn the_command_of_a_secret_is_run_again_where_a_run_is_resumed() -> Result {
    let dir = tempfile::tempdir()?;
    two_secrets(dir.path())?;
    let advice = "`antiphon resume r`, with API_KEY set and the command for TOKEN working,";
    let other = ran(dir.path(), &["do", "--id", "other", "--", "true"])?;
    let announced = String::from_utf8(other.stderr)?;
    assert!(announced.contains(&format!("; {advice} continues it\n")), "{announced}");
    std::fs::remove_file(dir.path().join("token"))?;
    let mut without = antiphon(dir.path(), &["resume", "r"]);
    without.env("API_KEY", "hunter2hunter2").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut without = Running(without.spawn()?);
    let mut errors = BufReader::new(without.0.stderr.take().ok_or("no standard error")?);
    let mut said = String::new();
    while !said.contains("note: ") {
        said.clear();
        errors.read_line(&mut said)?;
    }
    assert_eq!(said, TOKEN_FAILED);
    said.clear();
    errors.read_line(&mut said)?;
    let why = String::from_utf8(ran(dir.path(), &["why", "r", "first"])?.stdout)?;
    assert!(why.contains(&format!("{advice} continues it")), "{why}");
    std::fs::write(dir.path().join("token"), "correct horse battery")?;
    // A guest that has only this one brings what is missing.
    let guest = continued(antiphon(dir.path(), &["resume", "r"]), dir.path())?;
    assert_eq!(guest.status.code(), Some(0), "{guest:?}");
    assert_eq!(without.0.wait()?.code(), Some(0));
    let printed = String::from_utf8(ran(dir.path(), &["output", "r", "second"])?.stdout)?;
    for line in ["KEY=[secret API_KEY]\n", "TOKEN=[secret TOKEN]\n"] {
        assert!(printed.contains(line), "{printed}");
    }
    Ok(())
}

#[test]
fn the_same_command_takes_a_run_up_without_a_secret_that_is_missing() -> Result {
    let dir = tempfile::tempdir()?;
    two_secrets(dir.path())?;
    let work = ["do", "--id", "d", "--secret", "API_KEY", "--", "sh", "-c"];
    let work: Vec<&str> = work.into_iter().chain(["echo now > runs; read line < ends"]).collect();
    let mut first = antiphon(dir.path(), &work);
    first.env("API_KEY", "hunter2hunter2");
    let run = Running(first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    heard(&dir.path().join("runs"))?;
    run.signal(Signal::TERM)?;
    assert_eq!(run.end()?.status.code(), Some(143));
    let lines: [(&str, &[&str]); 2] = [("r", &["run", "--id", "r", "plan.yaml"]), ("d", &work)];
    for (id, line) in lines {
        let mut without = antiphon(dir.path(), line);
        let mut without = Running(without.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        let mut errors = BufReader::new(without.0.stderr.take().ok_or("no standard error")?);
        let mut said = String::new();
        errors.read_line(&mut said)?;
        assert!(
            said.starts_with(&format!(
                "note: {id} waits for a secret: the plan needs the secret API_KEY"
            )) && said.ends_with(&format!("`antiphon resume {id}`, with API_KEY set, brings it\n")),
            "{said}"
        );
        while !said.contains("cannot continue by itself") {
            said.clear();
            assert_ne!(errors.read_line(&mut said)?, 0);
        }
        let mut with = antiphon(dir.path(), &["resume", id]);
        with.env("API_KEY", "hunter2hunter2");
        let with = continued(with, dir.path())?;
        assert_eq!(with.status.code(), Some(0), "{with:?}");
        assert_eq!(without.0.wait()?.code(), Some(0));
    }
    // What is new is still refused without its secrets.
    let new = refusal(antiphon(dir.path(), &["run", "--id", "new", "plan.yaml"]))?;
    assert!(new.starts_with("error: the plan needs the secret API_KEY"), "{new}");
    Ok(())
}

#[test]
fn an_engine_that_a_person_starts_reads_the_secrets_of_what_it_takes_up() -> Result {
    let dir = tempfile::tempdir()?;
    two_secrets(dir.path())?;
    std::fs::remove_file(dir.path().join("token"))?;
    let serve = || {
        let mut serve = antiphon(dir.path(), &["serve", "--idle-exit", "50ms"]);
        serve.env("API_KEY", "hunter2hunter2").stdout(Stdio::piped()).stderr(Stdio::piped());
        serve
    };
    // It names what is missing; that a run waits for it does not hold the engine.
    let without = Running(serve().spawn()?).end()?;
    let said = String::from_utf8(without.stderr)?;
    let left = "left: r waits for its secrets; `antiphon resume r`, with API_KEY set and the command for TOKEN working, continues it\n";
    let idle = "stopping: idle for 50ms\n";
    assert!(said.ends_with(&format!("{TOKEN_FAILED}{idle}{left}")), "{said}");
    assert!(without.status.success());
    std::fs::write(dir.path().join("token"), "correct horse battery")?;
    let with = continued(serve(), dir.path())?;
    assert!(with.status.success(), "{with:?}");
    let printed = String::from_utf8(ran(dir.path(), &["output", "r", "second"])?.stdout)?;
    assert!(printed.contains("TOKEN=[secret TOKEN]\n"), "{printed}");
    Ok(())
}

#[test]
fn where_secrets_come_from_is_told_to_operators_and_not_to_sessions() -> Result {
    let dir = tempfile::tempdir()?;
    let asks = "curl -s --unix-socket state/api.sock http://x/v1/runs/r/secrets";
    let keys = "budget: { sessions: 20, duration: 5m }\nenv: { KEY: { secret: API_KEY } }";
    let work = format!("  asks: {{ shell: '{asks}; echo now > runs; read line < ends' }}\n");
    plan_with(dir.path(), "plan.yaml", keys, &work)?;
    pipe(dir.path(), "runs")?;
    pipe(dir.path(), "ends")?;
    let mut run = antiphon(dir.path(), &["run", "--id", "r", "plan.yaml"]);
    run.env("API_KEY", "hunter2hunter2").stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = Running(run.spawn()?);
    heard(&dir.path().join("runs"))?;
    let told = Command::new("sh").args(["-c", asks]).current_dir(dir.path()).output()?.stdout;
    assert_eq!(
        String::from_utf8(told)?,
        "{\"run\":\"r\",\"secrets\":[{\"name\":\"API_KEY\",\"from\":\"variable\"}]}\n"
    );
    say(&dir.path().join("ends"), "now")?;
    assert!(run.end()?.status.success());
    let refused = String::from_utf8(ran(dir.path(), &["output", "r", "asks"])?.stdout)?;
    assert!(refused.contains("session_may_not") && !refused.contains("API_KEY"), "{refused}");
    Ok(())
}
