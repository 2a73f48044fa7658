//! `antiphon signal` inside a session, outside of it, with an engine and without one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::common::Fixture;
use crate::plans::{self, Result, Running, heard, pipe, plan_with, ran, say, story};
use antiphon::{Budget, CoordinationConfig, Engine, Output, SessionContext, Version, WorkSpec};
use antiphon_server::{Server, SessionOf};
use tokio_util::sync::CancellationToken;

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

/// What a command printed on standard output.
fn printed(ran: &plans::Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

#[test]
fn one_item_waits_for_what_another_sends_and_the_story_of_the_run_tells_it() -> Result {
    let dir = tempfile::tempdir()?;
    let work = format!(
        "  server: {{ shell: '{BIN} signal send ready --field port=8080 --to client' }}
  client: {{ shell: '{BIN} signal wait ready --from server --timeout 60s --json' }}
"
    );
    let keys = "name: talk\nbudget: { sessions: 9, duration: 5m }\nconcurrency: 2";
    std::fs::write(dir.path().join("plan.yaml"), format!("{keys}\nwork:\n{work}"))?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let told = story(&run);
    let signal = "signal ready from server to client: {\"port\":8080}";
    assert!(told.iter().any(|line| line == signal), "{told:?}");

    let waited = printed(&ran(dir.path(), &["output", "client"])?);
    let waited: serde_json::Value = serde_json::from_str(&waited)?;
    assert_eq!((&waited["from"], &waited["data"]["port"]), (&"server".into(), &8080.into()));
    let history = ran(dir.path(), &["signal", "history", "--json"])?;
    let of = |line: &str| {
        let signal: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", signal["type"], signal["from"]).replace('"', "")
    };
    let mut told: Vec<String> = printed(&history).lines().map(of).collect();
    told.sort();
    let expected = [
        "agent_completed client",
        "agent_completed server",
        "agent_initialized client",
        "agent_initialized server",
        "ready server",
    ];
    assert_eq!(told, expected);
    let receipt = printed(&ran(dir.path(), &["receipt", "show", "r"])?);
    assert!(receipt.contains("\nsignals       1: 1 ready\n"), "{receipt}");
    let done = ran(
        dir.path(),
        &["signal", "wait", "agent_completed", "--about", "client", "--succeeded", "--run", "r"],
    )?;
    assert!(printed(&done).contains("agent_completed from client"), "{done:?}");
    let none = ran(dir.path(), &["signal", "wait", "ready", "--failed"])?;
    assert_eq!(none.status.code(), Some(12));
    assert_eq!(
        String::from_utf8(none.stderr)?,
        "error: r has ended without such a ready\nhint: `antiphon signal history --run r` shows what \
         there was\n"
    );
    Ok(())
}

#[test]
fn signals_come_from_outside_with_data_of_every_kind_and_no_engine_is_needed_to_send() -> Result {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("data.json"), "[1,\n 2]\n")?;
    let send = |rest: &str| -> u64 {
        let said = fixture.run(&format!("signal send note --run service {rest}"));
        let version = said.lines().next().unwrap().strip_prefix("note sent to service, version ");
        version.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
    };
    let sent = [
        "--field n=1 --field text=a=b",
        "--data @data.json --from tester --failed",
        "--once k --within 1h --cap 5",
        "--once k --within 1h --cap 5",
    ];
    let versions = sent.map(send);
    assert!(versions.is_sorted() && versions[2] == versions[3], "{versions:?}");
    let history = |rest: &str| {
        let objects = fixture.output(&format!("signal history --run service --json {rest}"));
        let text = String::from_utf8(objects.stdout).unwrap();
        let of = |line: &str| {
            let signal: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", signal["from"], signal["data"]).replace('"', "")
        };
        text.lines().map(of).collect::<Vec<_>>()
    };
    let all = ["operator null", "tester [1,2]", "operator {n:1,text:a=b}"];
    assert_eq!(history(""), all);
    assert_eq!(history("note --field n=1"), all[2..]);
    assert_eq!(history("--failed"), all[1..2]);
    assert_eq!(history("--limit 1 --succeeded"), all[..1]);
    assert_eq!(history("other.*"), Vec::<String>::new());
    for (line, code) in [
        ("signal send note --run nowhere", 2),
        ("signal send note --run build", 2),
        ("signal send no/type --run service", 2),
        ("signal send note --run service --data {", 2),
        ("signal send note --run service --data @missing", 3),
        ("signal history a*b --run service", 2),
        ("signal wait agent_completed --run build --from compile", 0),
        ("signal wait note --run service --timeout 100ms --from nobody", 12),
        ("signal wait note --run service --failed", 0),
        ("signal tail --run build", 0),
    ] {
        assert_eq!(fixture.output(line).status.code(), Some(code), "{line}");
    }
    let tail = String::from_utf8(
        fixture.output("signal tail agent_* --run broken --after beginning").stdout,
    )?;
    let told: Vec<_> = tail.lines().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].starts_with("agent_completed from bad, failed: {"), "{told:?}");
    Ok(())
}

#[test]
fn a_tail_prints_what_comes_from_where_it_began_until_the_run_ends() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    let work = "  held: { shell: 'echo runs > runs; read word < ends' }\n";
    plan_with(dir.path(), "plan.yaml", "budget: { sessions: 9, duration: 5m }", work)?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&runs)?;
    assert_eq!(ran(dir.path(), &["signal", "send", "before"])?.status.code(), Some(0));
    let tail = plans::antiphon(
        dir.path(),
        &["signal", "tail", "before", "late", "agent_*", "--after", "3", "--json"],
    )
    .stdout(Stdio::piped())
    .spawn()?;
    assert_eq!(
        ran(dir.path(), &["signal", "send", "late", "--to", "held"])?.status.code(),
        Some(0)
    );
    say(&ends, "now")?;
    let tail: plans::Ran = tail.wait_with_output()?.into();
    assert_eq!(run.end()?.status.code(), Some(0));
    let of =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].to_string();
    let told: Vec<String> = printed(&tail).lines().map(of).collect();
    assert_eq!(told, ["\"before\"", "\"late\"", "\"agent_completed\""]);
    assert_eq!(tail.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_signal_begins_a_run_where_the_engine_allows_it() -> Result {
    let dir = tempfile::tempdir()?;
    let mut engine = plans::antiphon(dir.path(), &["serve", "--undeclared", "--json"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut serving = String::new();
    BufReader::new(engine.stdout.take().ok_or("no output")?).read_line(&mut serving)?;
    let sent = ran(dir.path(), &["signal", "send", "hello", "--run", "inbox"])?;
    assert_eq!(printed(&sent), "hello sent to inbox, version 2", "{sent:?}");
    let list = printed(&ran(dir.path(), &["list"])?);
    assert!(list.contains("inbox"), "{list}");
    engine.kill()?;
    engine.wait()?;
    Ok(())
}

/// A process that outlives its session is still that session to the kernel.
#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "elsewhere nobody knows whose process it is")]
async fn what_a_session_sends_after_its_end_is_refused_with_a_code_of_its_own() -> Result {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let mut builder = Engine::builder(&state)?;
    builder.register("echo", |_: SessionContext| async { Ok(Output::none()) })?;
    let engine = builder.start().await?;
    let budget = Budget::sessions(9).within(std::time::Duration::from_secs(600)).build()?;
    let config = CoordinationConfig::open(vec![WorkSpec::function("a", "echo")?], budget)?;
    let run = engine.submit(config.with_id("mine")?).await?;
    let mut events = run.follow_after(Version(0)).await?;
    while events.next().await?.ok_or("it ended")?.kind != "coordination.session_unbound" {}

    let process = Arc::new(Mutex::new(None));
    let known = Arc::clone(&process);
    let session_of: SessionOf = Arc::new(move |pid| {
        (*known.lock().unwrap() == Some(pid)).then(|| "mine.1".parse().unwrap())
    });
    let stop = CancellationToken::new();
    let server = Server::bind(&state, engine.clone()).await?.with_sessions(session_of);
    let served = tokio::spawn(server.serve(stop.clone()));
    let writes = [
        "signal send note",
        "ask 'Too late?'",
        "approve q1",
        "key set state/late 1",
        "work add late -- echo late",
    ];
    for late in writes.into_iter().chain(["signal send note", "work add later -- echo later"]) {
        let mut shell = Command::new("sh")
            .args(["-c", &format!("read go; exec {BIN} {late}")])
            .env("ANTIPHON_SOCKET", state.join("api.sock"))
            .env("ANTIPHON_RUN", "mine")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        *process.lock().unwrap() = Some(shell.id());
        shell.stdin.take().ok_or("no input")?.write_all(b"go\n")?;
        let output = tokio::task::spawn_blocking(move || shell.wait_with_output()).await??;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(said, "error: session mine.1 is over; it changes nothing any more\n");
        assert_eq!(output.status.code(), Some(13));
    }
    let refused = run.status().await?.summary.totals.writes_refused;
    assert_eq!(refused, writes.len() as u64, "once for each kind");
    stop.cancel();
    served.await?;
    engine.close().await?;
    Ok(())
}

#[test]
fn agents_that_would_wait_for_each_other_are_told() -> Result {
    let dir = tempfile::tempdir()?;
    let work = format!(
        "  a: {{ shell: '{BIN} signal send ready && {BIN} signal wait built --from b' }}
  b:
    shell: |
      {BIN} signal wait ready --from a > ready.txt
      until {BIN} signal wait tested --from a --timeout 50ms 2> said.txt; [ $? -eq 2 ]; do :; done
      {BIN} signal send built
  c: {{ needs: [a], shell: 'true' }}
"
    );
    let keys = "name: talk\nbudget: { sessions: 9, duration: 5m }\nconcurrency: 2";
    std::fs::write(dir.path().join("plan.yaml"), format!("{keys}\nwork:\n{work}"))?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let said = std::fs::read_to_string(dir.path().join("said.txt"))?;
    assert_eq!(
        said,
        "error: this wait closes a cycle of agents that wait for each other: b -> a -> b; let one \
         of them go on\n"
    );
    Ok(())
}
