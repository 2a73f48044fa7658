//! `antiphon ask`, `waiting`, `approve` and `deny` inside a session, outside of it, with an engine and
//! without one.

use std::process::Stdio;

use crate::common::Fixture;
use crate::plans::{self, Result, Running, heard, pipe, plan_with, ran, say};
use serde_json::Value;

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

/// What a command printed on standard output and said on standard error, and its code.
fn told(ran: impl Into<plans::Ran>) -> (String, String, Option<i32>) {
    let ran = ran.into();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (text(&ran.stdout), text(&ran.stderr), ran.status.code())
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks, and gives the version of the question.
fn asked(fixture: &Fixture, rest: &str) -> u64 {
    let (printed, said, code) = told(fixture.output(&format!("ask --json {rest}")));
    assert_eq!(code, Some(0), "{said}");
    objects(&printed)[0]["version"].as_u64().unwrap()
}

#[test]
fn questions_are_asked_listed_and_answered_without_an_engine() -> Result {
    let fixture = Fixture::new();
    let run = |line: &str| told(fixture.output(line));
    let none = (String::new(), "no question is open".to_owned(), Some(0));
    assert_eq!(run("waiting"), none);
    let version = asked(&fixture, "Deploy? --id deploy --expires 1h --run service");
    assert_eq!(asked(&fixture, "Deploy? --id deploy --run service"), version);
    let second = asked(&fixture, "Drop? --run service");
    let minted = format!("q{second}");
    let (table, _, _) = run("waiting");
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "RUN", "BY", "OPEN", "EXPIRES", "QUESTION"]);
    let without_age = |row: &[&str]| [&row[..3], &row[4..]].concat().join(" ");
    assert_eq!(without_age(&rows[1]), "deploy service operator - Deploy?");
    assert_eq!(without_age(&rows[2]), format!("{minted} service operator - Drop?"));
    let listed = objects(&run("waiting --run serv --json").0);
    assert_eq!([&listed[0]["id"], &listed[1]["id"]], ["deploy", &minted]);
    assert_eq!(objects(&run("status service --json").0)[0]["questions"], 2);
    assert!(run("status service").0.contains("\n2 questions are open: `antiphon waiting` shows"));

    let (printed, _, code) = run("approve deploy --reason tested");
    assert!(printed.starts_with("deploy approved in service, version "), "{printed}");
    assert_eq!(code, Some(0));
    let again = run("approve deploy --run service");
    assert_eq!((again.0, again.2), (printed, Some(0)));
    let denied = told(fixture.output(&format!("deny {minted} --reason kept --json")));
    assert_eq!(objects(&denied.0)[0]["run"], "service");
    let found = run("ask Deploy? --id deploy --run service");
    assert_eq!((found.0.as_str(), found.2), ("yes by operator: tested", Some(0)));
    assert_eq!(run("waiting"), none);

    for (line, said) in [
        ("deny deploy --reason no --run service", "was answered with yes by operator"),
        ("approve unknown --run service", "the run has no question unknown"),
        ("approve unknown", "no question unknown"),
        ("deny deploy", "--reason <TEXT>"),
        ("ask Destroy? --id deploy --run service", "something else was asked"),
        ("ask Deploy? --id q7 --run service", "q7 cannot be chosen"),
        ("ask Late? --run build", "has ended"),
        ("ask Where? --run nowhere", "nowhere"),
        ("ask", "<TEXT>"),
        ("ask --wait 10m", "nothing is asked"),
        ("ask Deploy? --wait soon --run service", "--wait soon"),
        ("waiting --run nowhere", "nowhere"),
    ] {
        let (_, error, code) = run(line);
        assert!(error.contains(said) && code == Some(2), "{line}: {error}");
    }
    Ok(())
}

#[test]
fn the_exit_code_of_a_wait_tells_the_answer() -> Result {
    let fixture = Fixture::new();
    let run = |line: &str| told(fixture.output(&format!("{line} --run service")));
    let late = run("ask Deploy? --id deploy --wait 50ms");
    assert_eq!(
        (late.1.as_str(), late.2),
        (
            "error: nobody has answered deploy within 50ms\nhint: it stays open; `antiphon waiting` \
             shows it",
            Some(12)
        )
    );
    let yes = run("approve deploy --reason tested");
    assert_eq!(yes.2, Some(0), "{}", yes.1);
    let yes = run("ask --id deploy --wait Deploy?");
    assert_eq!((yes.0.as_str(), yes.2), ("yes by operator: tested", Some(0)));

    // Where nobody carries the run out, no time passes, which is said.
    let stands = run("ask Now? --id now --expires 20ms --wait 50ms");
    let said = "service is carried out by nobody, so its questions do not expire; `antiphon resume \
                service` continues it";
    assert!(stands.1.starts_with(said) && stands.2 == Some(12), "{}", stands.1);
    let mut serve = plans::antiphon(&fixture.path("."), &["resume", "service"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let expired = run("ask Now? --id now --wait --json");
    let line = &objects(&expired.0)[0];
    assert_eq!(
        (&line["answer"]["answer"], &line["answer"]["by"]),
        (&"no".into(), &"engine".into())
    );
    assert_eq!(expired.2, Some(15));
    let no = run("ask Now? --id now --wait 1m");
    assert_eq!((no.0.as_str(), no.2), ("no by engine: expired", Some(15)));
    serve.kill()?;
    serve.wait()?;
    Ok(())
}

/// A question whose time passes is something that an engine still has to do.
#[test]
fn an_engine_that_leaves_when_idle_first_answers_what_expires() -> Result {
    let fixture = Fixture::new();
    asked(&fixture, "Now? --id now --expires 300ms --run service");
    asked(&fixture, "Ever? --id ever --run service");
    let served = told(fixture.output("serve --idle-exit 1ms"));
    assert_eq!(served.2, Some(0), "{}", served.1);
    let open = objects(&told(fixture.output("waiting --json")).0);
    assert_eq!((open.len(), &open[0]["id"]), (1, &"ever".into()));
    let found = told(fixture.output("ask Now? --id now --run service"));
    assert_eq!(found.0, "no by engine: expired");
    Ok(())
}

#[test]
fn an_item_asks_and_waits_and_may_not_answer_itself() -> Result {
    let dir = tempfile::tempdir()?;
    let asks = pipe(dir.path(), "asks")?;
    let work = format!(
        "  ask:
    shell: |
      {BIN} ask 'Go on?' --id go > /dev/null
      {BIN} approve go; echo \"approve $?\"
      {BIN} deny go --reason no --run other; echo \"deny $?\"
      {BIN} ask 'There?' --run other; echo \"other $?\"
      {BIN} waiting --json
      echo asked > asks
      {BIN} ask 'Go on?' --id go --wait; echo \"yes $?\"
      {BIN} ask 'And this?' --id this --wait; echo \"no $?\"
"
    );
    plan_with(dir.path(), "plan.yaml", "budget: { sessions: 9, duration: 5m }", &work)?;
    let held = "  held: { shell: 'echo runs > runs; read word < ends' }\n";
    plan_with(dir.path(), "other.yaml", "budget: { sessions: 9, duration: 5m }", held)?;
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    let other = Running::start(dir.path(), &["run", "other.yaml", "--id", "other"])?;
    heard(&runs)?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&asks)?;
    let cli =
        |arguments: &[&str]| Ok::<_, Box<dyn std::error::Error>>(told(ran(dir.path(), arguments)?));
    let open = objects(&cli(&["waiting", "--json"])?.0);
    assert_eq!((open.len(), &open[0]["by"]), (1, &"session:r.1".into()));
    let list = cli(&["list"])?.0;
    assert!(list.contains("1 question is open: antiphon waiting"), "{list}");
    assert!(cli(&["status", "r"])?.0.contains("\n1 question is open: `antiphon waiting` shows"));

    // Where two runs ask under one id, the run must be named.
    assert_eq!(cli(&["ask", "Go there?", "--id", "go", "--run", "other"])?.2, Some(0));
    let (_, error, code) = cli(&["approve", "go"])?;
    let several =
        "error: question go is open in more than one run: other, r\nhint: name the run with --run";
    assert_eq!((error.as_str(), code), (several, Some(2)));
    assert_eq!(cli(&["approve", "go", "--run", "r", "--reason", "tested"])?.2, Some(0));
    assert_eq!(cli(&["approve", "go"])?.0, "go approved in other, version 5");
    while !cli(&["waiting", "--run", "r"])?.0.contains("And this?") {}
    assert_eq!(cli(&["deny", "this", "--reason", "too late"])?.2, Some(0));
    assert_eq!(run.end()?.status.code(), Some(0));
    say(&ends, "now")?;
    assert_eq!(other.end()?.status.code(), Some(0));

    let printed = cli(&["output", "r", "ask"])?.0;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..3], ["approve 2", "deny 2", "other 2"]);
    assert!(lines[3].contains("\"id\":\"go\"") && !lines[3].contains("answer"), "{printed}");
    let rest = ["yes by operator: tested", "yes 0", "no by operator: too late", "no 15"];
    assert_eq!(lines[4..], rest);
    let said = cli(&["logs", "r", "ask"])?;
    let refused = "session r.1 may not answer question go: sessions ask, and a person answers from \
                   outside of them";
    assert!(format!("{}{}", said.0, said.1).contains(refused), "{said:?}");
    Ok(())
}
