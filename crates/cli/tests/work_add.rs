//! Items that are added to a run, by its own sessions and by people, with real processes.

use crate::plans::{self, Result, Running, ran};

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

fn printed(ran: &plans::Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

fn said(ran: &plans::Ran) -> String {
    String::from_utf8_lossy(&ran.stderr).trim_end().to_owned()
}

#[test]
fn a_session_adds_items_to_its_own_run_which_are_carried_out_with_it() -> Result {
    let dir = tempfile::tempdir()?;
    let more = r#"{ "runners": { "say": { "command": ["echo", "{{what}}"] } },
  "work": {
    "report": { "runner": "say", "what": "report on {{split.output}}", "needs": ["split"] },
    "cell": { "runner": "say", "matrix": { "what": ["x", "y"] } },
    "sum": { "shell": "echo all", "needs": ["cell", "report", "last"] } } }"#;
    std::fs::write(dir.path().join("more.json"), more)?;
    let lends = "name: lends
budget: { sessions: 1, duration: 1m }
work: { taker: { command: [echo], shared: [resource/gpu] } }
";
    std::fs::write(dir.path().join("lends.yaml"), lends)?;
    let plan = format!(
        "name: grows
budget: {{ sessions: 20, duration: 5m }}
concurrency: 3
work:
  split: {{ shell: 'echo \"{{\\\"output\\\":\\\"two parts\\\"}}\" >$ANTIPHON_RESULT' }}
  planner:
    shell: |
      {BIN} work add --file more.json && {BIN} work add extra --needs cell --priority -1 -- echo extra
      {BIN} work add first --priority 1 -- echo first 2> outranks.txt; echo $? >> outranks.txt
      {BIN} work add split -- echo again 2> twice.txt; echo $? >> twice.txt
      {BIN} work add lost --needs nowhere -- echo lost 2> unknown.txt; echo $? >> unknown.txt
      echo 'work: {{ sly: {{ command: [echo], as: split }} }}' | {BIN} work add --file - 2> sly.txt; echo $? >> sly.txt
      {BIN} work add other --run other -- echo other 2> other.txt; echo $? >> other.txt
      echo 'work: {{ inner: {{ plan: lends.yaml }} }}' | {BIN} work add --file - 2> lends.txt; echo $? >> lends.txt
    needs: [split]
  last: {{ shell: 'echo last', needs: [planner] }}
"
    );
    std::fs::write(dir.path().join("plan.yaml"), plan)?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(0), "{}", printed(&run));
    let output = |item: &str| {
        Ok::<_, Box<dyn std::error::Error>>(printed(&ran(dir.path(), &["logs", "r", item])?))
    };
    assert_eq!(output("report")?, "report on two parts");
    assert_eq!(output("cell[y]")?, "y");
    assert_eq!(output("sum")?, "all");
    assert_eq!(output("extra")?, "extra");
    let told = output("planner")?;
    let told: Vec<&str> = told.lines().filter_map(|line| line.split(", version").next()).collect();
    assert_eq!(told, ["4 items added to r", "extra added to r"]);
    let refused = |name: &str| std::fs::read_to_string(dir.path().join(name));
    let outranks = refused("outranks.txt")?;
    assert!(outranks.contains("work first has priority 1, but the session"), "{outranks}");
    assert!(outranks.ends_with("\n2\n"), "{outranks}");
    let twice = refused("twice.txt")?;
    assert!(twice.contains("split"), "{twice}");
    assert!(twice.ends_with("\n2\n"), "{twice}");
    let unknown = refused("unknown.txt")?;
    assert!(unknown.contains("nowhere"), "{unknown}");
    let sly = refused("sly.txt")?;
    assert_eq!(
        sly,
        "error: work sly would be given the name split, under which another item speaks, which the item \
         whose session adds it is not given itself\n2\n"
    );
    let lent = refused("lends.txt")?;
    assert_eq!(
        lent,
        "error: work inner would be given the shared key resource/gpu, which the item whose session adds it \
         is not given itself\n2\n"
    );
    let other = refused("other.txt")?;
    assert!(other.ends_with("\n2\n"), "{other}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    let receipt = printed(&ran(dir.path(), &["receipt", "show", "r"])?);
    assert!(receipt.contains("8 successful"), "{receipt}");
    Ok(())
}

#[test]
fn what_is_added_without_an_engine_is_carried_out_once_the_run_is_resumed() -> Result {
    let dir = tempfile::tempdir()?;
    let gate = plans::pipe(dir.path(), "gate")?;
    let plan = "name: later
budget: { sessions: 20, duration: 5m }
work:
  build: { shell: 'echo built; read go < gate' }
";
    std::fs::write(dir.path().join("plan.yaml"), plan)?;
    let mut engine = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    engine.until(dir.path(), "r", "agent_initialized", "build")?;
    engine.kill()?;
    let added =
        ran(dir.path(), &["work", "add", "docs", "--needs", "build", "--", "echo", "docs"])?;
    assert_eq!(added.status.code(), Some(0), "{}", said(&added));
    let mut resumed = Running::start(dir.path(), &["resume", "r"])?;
    std::fs::write(&gate, "go\n")?;
    assert_eq!(resumed.0.wait()?.code(), Some(0));
    assert_eq!(printed(&ran(dir.path(), &["logs", "r", "docs"])?), "docs");
    let ended = ran(dir.path(), &["work", "add", "more", "--run", "r", "--", "echo", "more"])?;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(said(&ended).contains("has ended"), "{ended:?}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn what_cannot_be_added_is_told_with_its_place_and_changes_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let more = "name: more
work:
  a: { command: [echo, '{{b.output}}'], needs: [c] }
  c: { command: [echo], needs: [a], gate: x }
  grid: { command: [echo, '{{m}}'], matrix: { m: [1, 2] }, width: 1 }
  secret: { command: [echo], env: { KEY: { secret: KEY } } }
";
    std::fs::write(dir.path().join("more.yaml"), more)?;
    let refused = ran(dir.path(), &["work", "add", "--file", "more.yaml"])?;
    assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
    let told: Vec<String> = said(&refused)
        .lines()
        .filter_map(|line| line.strip_prefix("error: ").map(str::to_owned))
        .collect();
    let expected = [
        "unknown key `name` in added work",
        "`a` does not list `b` in its `needs`, so the output may be missing",
        "these wait for each other and would never start: a -> c -> a",
        "`gate` is reserved and not supported by this version",
        "`width` cannot be used in items that are added to a run",
        "more.yaml cannot be added: 5 problems",
    ];
    assert_eq!(told, expected, "{}", said(&refused));
    let work = "work: { secret: { command: [echo], env: { KEY: { secret: KEY } } } }";
    std::fs::write(dir.path().join("secret.yaml"), work)?;
    let refused = ran(dir.path(), &["work", "add", "--file", "secret.yaml"])?;
    assert!(
        said(&refused).contains("items that are added cannot have secrets"),
        "{}",
        said(&refused)
    );
    assert!(!dir.path().join("state").exists(), "nothing was touched");
    Ok(())
}
