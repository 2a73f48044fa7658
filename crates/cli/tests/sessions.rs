//! What a session of a plan is given, and what is told of how it ended: real plans, run by the real
//! binary.

use std::io::BufRead as _;
use std::process::{Command, Stdio};

use crate::plans::{self, Ran, Result, Running, plan, plan_with, ran, story};

/// What a session is told of itself, as the reference has it.
fn own_variables() -> Vec<&'static str> {
    let reference = include_str!("../../../docs/plan.md");
    let (_, section) = reference.split_once("\n## What a session receives").unwrap_or_default();
    let (section, _) = section.split_once("\n## ").unwrap_or_default();
    let rows =
        section.lines().filter_map(|line| line.strip_prefix("| `ANTIPHON_")?.split_once('`'));
    let mut names: Vec<_> = rows.map(|(name, _)| name).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_session_sees_an_allow_list_of_its_callers_environment_and_what_it_is_told_of_itself() -> Result
{
    let dir = tempfile::tempdir()?;
    let mut command =
        plans::antiphon(dir.path(), &["do", "--env", "MODE=fast", "--env", "CHOSEN", "--", "env"]);
    command
        .env_clear()
        .env("PATH", std::env::var("PATH")?)
        .env("HOME", "/h")
        .env("CHOSEN", "yes")
        .env("UNNAMED", "no");
    let output = command.output()?;
    let printed = String::from_utf8(output.stdout)?;
    let mut variables: Vec<(&str, &str)> =
        printed.lines().filter_map(|line| line.split_once('=')).collect();
    variables.sort_unstable();
    let (own, others): (Vec<_>, Vec<_>) =
        variables.into_iter().partition(|(name, _)| name.starts_with("ANTIPHON_"));
    let own: Vec<&str> =
        own.iter().filter_map(|(name, _)| name.strip_prefix("ANTIPHON_")).collect();
    assert_eq!(own, own_variables(), "{printed}");
    let others: Vec<_> = others.into_iter().filter(|(name, _)| *name != "PATH").collect();
    assert_eq!(others, [("CHOSEN", "yes"), ("HOME", "/h"), ("MODE", "fast")]);
    Ok(())
}

#[test]
fn a_session_finds_in_its_context_file_what_the_reference_names() -> Result {
    let dir = tempfile::tempdir()?;
    let output =
        ran(dir.path(), &["do", "--id", "mine", "--", "sh", "-c", "cat $ANTIPHON_CONTEXT"])?;
    let context: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(context["run"], "mine");
    let members: Vec<&String> = context.as_object().ok_or("no object")?.keys().collect();
    let reference = include_str!("../../../docs/plan.md");
    let row = reference.lines().find(|line| line.starts_with("| `ANTIPHON_CONTEXT`"));
    let mut named: Vec<&str> = row.ok_or("no row")?.split('`').skip(3).step_by(2).collect();
    // Where its agent was given none, there is none.
    named.retain(|name| !["context", "context/AGENT"].contains(name));
    named.sort_unstable();
    assert_eq!(members, named);
    Ok(())
}

#[test]
fn a_session_reaches_the_engine_by_its_socket_from_whatever_directory_it_runs_in() -> Result {
    let dir = tempfile::tempdir()?;
    std::fs::create_dir(dir.path().join("plans"))?;
    let paths = "for path in \"$ANTIPHON_SOCKET\" \"$ANTIPHON_CONTEXT\" \"$ANTIPHON_RESULT\"; do case $path in /*) ;; *) echo $path; exit 1; esac; done";
    let work = format!(
        "  asks: {{ shell: '{paths}; test -S \"$ANTIPHON_SOCKET\"', retry: {{ attempts: 1 }} }}\n"
    );
    plan_with(dir.path(), "plans/plan.yaml", "budget: { sessions: 20, duration: 5m }", &work)?;
    // The state directory and the temporary one are named as people name them: from where they are.
    std::fs::create_dir(dir.path().join("tmp"))?;
    let output: Ran = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["--dir", "state", "run", "plans/plan.yaml"])
        .current_dir(dir.path())
        .env("TMPDIR", "tmp")
        .stdin(Stdio::null())
        .output()?
        .into();
    assert_eq!(
        story(&output).last().map(String::as_str),
        Some("succeeded in 1 session"),
        "{output:?}"
    );
    Ok(())
}

#[test]
fn a_session_that_is_over_its_time_is_told_to_be_so() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  slow: { command: [sleep, '300'], timeout: 50ms, retry: { attempts: 1 } }\n",
    )?;
    let output = ran(dir.path(), &["run", "plan.yaml"])?;
    assert_eq!(
        story(&output)[2..],
        ["failed slow (session 1) after timed out", "failed in 1 session: 0 ok, 1 failed"],
        "{output:?}"
    );
    Ok(())
}

#[test]
fn what_a_failed_session_printed_last_is_told_wherever_it_printed_it() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  out: { shell: 'echo to the output; exit 1', retry: { attempts: 1 } }
  both: { shell: 'echo to the output; echo to the errors >&2; exit 1', retry: { attempts: 1 } }
",
    )?;
    let output = ran(dir.path(), &["run", "plan.yaml"])?;
    let failures: Vec<_> =
        story(&output).into_iter().filter(|line| line.contains("exit")).collect();
    assert_eq!(
        failures,
        [
            "failed out (session 1) after exit 1: to the output",
            "failed both (session 2) after exit 1: to the errors"
        ],
        "{output:?}"
    );
    Ok(())
}

#[test]
fn why_names_the_nested_run_that_is_paused() -> Result {
    let dir = tempfile::tempdir()?;
    let work = "  a: { command: ['false'], retry: { attempts: 2 } }\n  b: { command: ['true'] }\n";
    plan_with(dir.path(), "inner.yaml", "budget: { sessions: 2, duration: 5m }", work)?;
    plan(dir.path(), "  nested: { plan: inner.yaml, on_exhausted: pause }\n")?;
    let mut run = Running::start(dir.path(), &["run", "--id", "outer", "plan.yaml"])?;
    let mut lines =
        std::io::BufReader::new(run.0.stderr.take().ok_or("no standard error")?).lines();
    assert_eq!(
        lines.next().ok_or("it told nothing")??,
        "outer waits for outer.1, which is paused: the session budget is spent: 2 of 2; `antiphon continue outer.1 --sessions 3`, or a higher ceiling, continues it; `antiphon cancel outer` ends both"
    );
    let why = ran(dir.path(), &["why", "outer"])?;
    assert_eq!(
        String::from_utf8(why.stdout)?,
        "nested: it runs: session outer.1, attempt 1; it waits for outer.1, which carries it out and is paused: the session budget is spent: 2 of 2; `antiphon why outer.1` shows what that run waits for\n"
    );
    assert_eq!(ran(dir.path(), &["cancel", "outer"])?.status.code(), Some(0));
    assert_eq!(run.0.wait()?.code(), Some(8));
    Ok(())
}

#[test]
fn an_output_of_ten_megabytes_flows_on_and_a_larger_one_fails_its_session() -> Result {
    let dir = tempfile::tempdir()?;
    let put_out = |bytes: u32| {
        format!(
            "shell: 'printf \"{{\\\"output\\\":\\\"\" > $ANTIPHON_RESULT; head -c {bytes} /dev/zero | tr \"\\0\" x >> $ANTIPHON_RESULT; printf \"\\\"}}\" >> $ANTIPHON_RESULT'"
        )
    };
    let work = format!(
        "  big: {{ {} }}\n  takes: {{ shell: 'test $(wc -c) = 10000000', stdin: '{{{{big.output}}}}', needs: [big] }}\n  bigger: {{ {} }}\n",
        put_out(10_000_000),
        put_out(12_000_000),
    );
    plan(dir.path(), &work)?;
    let output = ran(dir.path(), &["run", "plan.yaml"])?;
    let ends: Vec<_> =
        story(&output).into_iter().filter(|line| !line.starts_with("running")).collect();
    assert_eq!(
        ends[1..],
        [
            "succeeded big (session 1) after",
            "succeeded takes (session 2) after",
            "failed bigger (session 3) after next try at once: its result file has 12000013 bytes and was not read; at most 10 MiB are",
            "failed bigger (session 4) after next try at once: its result file has 12000013 bytes and was not read; at most 10 MiB are",
            "failed bigger (session 5) after its result file has 12000013 bytes and was not read; at most 10 MiB are",
            "partial in 5 sessions: 2 ok, 1 failed"
        ],
        "{output:?}"
    );
    Ok(())
}
