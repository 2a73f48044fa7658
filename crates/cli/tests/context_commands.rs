//! `antiphon context` inside a session, outside of it, and without an engine.

use crate::common::Fixture;
use crate::plans::{Result, Running, heard, pipe, plan_with, ran, say};
use serde_json::{Value, json};

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

#[test]
fn a_session_finds_the_context_of_its_agent_and_keeps_to_its_time() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    let work = format!(
        "  first: {{ shell: 'echo runs > runs; read word < ends; {BIN} context get; echo $?' }}
  reads:
    needs: [first]
    as: reader
    shell: '{BIN} context get > now.json; cat \"$ANTIPHON_CONTEXT\"'
  forges: {{ needs: [reads], shell: '{BIN} context set reader own.json 2> said.txt; echo $?' }}
  sleeps: {{ needs: [forges], shell: 'sleep 1h', retry: {{ attempts: 1 }} }}
"
    );
    plan_with(dir.path(), "plan.yaml", "budget: { sessions: 9, duration: 5m }", &work)?;
    let own = json!({ "agent_assignment": { "objective": "read" }, "n": 7 });
    std::fs::write(dir.path().join("own.json"), own.to_string())?;
    let hurry = json!({ "resource_allocation": { "max_execution_time_ms": 1000 } });
    std::fs::write(dir.path().join("hurry.json"), hurry.to_string())?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&runs)?;
    for (agent, file) in [("reader", "own.json"), ("sleeps", "hurry.json")] {
        let set = ran(dir.path(), &["context", "set", agent, file])?;
        assert_eq!(set.status.code(), Some(0), "{set:?}");
    }
    say(&ends, "now")?;
    assert_eq!(run.end()?.status.code(), Some(6));
    let output = |item: &str| -> Result<String> {
        Ok(String::from_utf8(ran(dir.path(), &["output", item])?.stdout)?.trim().to_owned())
    };
    assert_eq!(output("first")?, "2");
    let file: Value = serde_json::from_str(&output("reads")?)?;
    let now: Value = serde_json::from_slice(&std::fs::read(dir.path().join("now.json"))?)?;
    assert_eq!(file["context"], now);
    assert_eq!(
        [
            &now["n"],
            &now["coordination_metadata"]["agent_id"],
            &now["agent_assignment"]["objective"]
        ],
        [&json!(7), &json!("reader"), &json!("read")]
    );
    assert_eq!(output("forges")?, "2");
    let status = ran(dir.path(), &["status", "--json", "r"])?;
    let status: Value = serde_json::from_slice(&status.stdout)?;
    let sleeps = status["items"].as_array().unwrap().iter().find(|item| item["id"] == "sleeps");
    assert_eq!(sleeps.unwrap()["text"], "timed out");
    let why = String::from_utf8(ran(dir.path(), &["verify", "r"])?.stdout)?;
    assert!(why.contains("sound"), "{why}");
    Ok(())
}

#[test]
fn contexts_are_set_and_shown_without_an_engine_and_what_is_none_is_refused() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("own.json"), "{ \"own\": 1 }").unwrap();
    std::fs::write(fixture.path("wrong.json"), "{ \"context_version\": 0 }").unwrap();
    let set = fixture.output("context set tester own.json --run service");
    assert!(String::from_utf8_lossy(&set.stdout).starts_with("context of tester set in service"));
    let shown = fixture.output("context get tester --run service");
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["own"], &shown["context_version"]), (&json!(1), &json!(1)));
    for (line, code) in [
        ("context get --run service", 2),
        ("context get nobody --run service", 2),
        ("context set tester wrong.json --run service", 2),
        ("context set tester missing.json --run service", 3),
        ("context set tester own.json --run build", 2),
    ] {
        assert_eq!(fixture.output(line).status.code(), Some(code), "{line}");
    }
}

#[test]
fn what_is_left_of_a_budget_is_told_and_to_a_session_what_it_may_use() -> Result {
    let dir = tempfile::tempdir()?;
    let work = format!(
        "  first: {{ shell: 'true' }}
  asks: {{ needs: [first], timeout: 60s, shell: '{BIN} budget left --json' }}
"
    );
    plan_with(dir.path(), "plan.yaml", "budget: { sessions: 9, duration: 5m }", &work)?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?.status.code(), Some(0));
    let left: Value = serde_json::from_slice(&ran(dir.path(), &["output", "asks"])?.stdout)?;
    assert_eq!((&left["run"], &left["left"]["sessions"]), (&json!("r"), &json!(7)));
    assert_eq!(left["left"].get("tokens"), None);
    let time = |of: &str| left[of]["time_ns"].as_u64().unwrap() / 1_000_000_000;
    assert!((200..300).contains(&time("left")) && (30..=60).contains(&time("session")), "{left}");
    let said = String::from_utf8(ran(dir.path(), &["budget", "left"])?.stdout)?;
    let lines: Vec<Vec<&str>> =
        said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines.len(), &lines[1][..]), (3, &["sessions", "7", "9"][..]), "{said}");
    Ok(())
}

#[test]
fn a_plan_gives_its_sessions_contexts_which_a_person_may_replace() -> Result {
    let dir = tempfile::tempdir()?;
    let read = "python3 -c 'import json, os; c = json.load(open(os.environ[\"ANTIPHON_CONTEXT\"]))[\"context\"]; \
                print(c[\"agent_assignment\"][\"objective\"], c[\"resource_allocation\"][\"quality_threshold\"])'";
    let plan = format!(
        "name: given
budget: {{ sessions: 9, duration: 1m }}
work:
  models:
    context: {{ agent_assignment: {{ objective: write models, tasks: [a, b] }} }}
    shell: {}
  other: {{ shell: 'true', context: {{ agent_assignment: {{ tasks: [1] }}, resource_allocation: {{ quality_threshold: 2 }} }} }}
",
        serde_json::Value::from(read)
    );
    let path = dir.path().join("plan.yaml");
    std::fs::write(&path, &plan)?;
    let refused = ran(dir.path(), &["plan", "check", "plan.yaml"])?;
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    for wrong in ["/agent_assignment/tasks", "/resource_allocation/quality_threshold"] {
        assert!(refused.contains(wrong), "{refused}");
    }
    std::fs::write(
        &path,
        plan.lines().filter(|line| !line.contains("other")).collect::<Vec<_>>().join("\n"),
    )?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let logs = ran(dir.path(), &["logs", "r"])?;
    let logs = String::from_utf8_lossy(&logs.stdout).into_owned();
    assert!(logs.contains("write models 0.8"), "{logs}");
    Ok(())
}
