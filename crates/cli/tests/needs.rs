//! Items that wait for signals, gates and keys, with real processes.

use crate::plans::{self, Result, Running, ran, story};

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

fn printed(ran: &plans::Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

#[test]
fn an_item_waits_for_its_gate_across_the_death_of_the_engine() -> Result {
    let dir = tempfile::tempdir()?;
    let work = format!(
        "  build: {{ shell: '{BIN} signal send built' }}
  test: {{ shell: 'true', needs: [{{ signal: built, from: build }}] }}
  release: {{ shell: 'true', needs: [test, {{ gate: coverage, at_least: 0.8 }}] }}
"
    );
    let keys = "name: release\nbudget: { sessions: 9, duration: 5m }\nconcurrency: 2";
    std::fs::write(dir.path().join("plan.yaml"), format!("{keys}\nwork:\n{work}"))?;
    let mut engine = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    engine.until(dir.path(), "r", "agent_completed", "test")?;
    engine.kill()?;

    let score = |score| ran(dir.path(), &["gate", "score", "coverage", score, "--run", "r"]);
    assert_eq!(score("0.5")?.status.code(), Some(0));
    let why = printed(&ran(dir.path(), &["why", "r", "release"])?);
    assert!(why.contains("it needs gate coverage of at least 0.8, and it is 0.5"), "{why}");
    assert_eq!(score("0.81")?.status.code(), Some(0));
    let resumed = ran(dir.path(), &["resume", "r"])?;
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
    let shown = printed(&ran(dir.path(), &["show", "r", "release"])?);
    assert!(shown.contains("\n              gate coverage of at least 0.8\n"), "{shown}");
    let receipt = printed(&ran(dir.path(), &["receipt", "show", "r"])?);
    assert!(receipt.contains("sessions      3: 3 successful; resumed 1 time\n"), "{receipt}");
    assert!(receipt.contains("gates         coverage 0.81\n"), "{receipt}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn what_is_not_there_in_time_is_told_in_the_story_and_the_receipt() -> Result {
    let dir = tempfile::tempdir()?;
    let work = "  build: { shell: 'true' }
  announce: { shell: 'true', needs: [build, { key: state/go, equals: tests, timeout: 100ms }] }
  after: { shell: 'true', needs: [announce] }
";
    let keys = "name: late\nbudget: { sessions: 9, duration: 5m }";
    std::fs::write(dir.path().join("plan.yaml"), format!("{keys}\nwork:\n{work}"))?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(6), "{run:?}");
    let told = story(&run);
    let skipped = "skipped announce: key state/go was not there in time";
    assert!(told.iter().any(|line| line == skipped), "{told:?}");
    let receipt = printed(&ran(dir.path(), &["receipt", "show", "r"])?);
    assert!(receipt.contains("skipped: key state/go was not there in time"), "{receipt}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_gate_is_scored_by_the_items_that_the_plan_names_and_by_no_other_session() -> Result {
    let dir = tempfile::tempdir()?;
    let work = format!(
        "  sly: {{ shell: '{BIN} gate score coverage 1 2>sly.txt; echo $? >>sly.txt' }}
  low: {{ shell: 'echo \"{{\\\"scores\\\":{{\\\"coverage\\\":0.9}}}}\" >$ANTIPHON_RESULT; exit 1', needs: [sly] }}
  tests:
    shell: 'echo \"{{\\\"scores\\\":{{\\\"coverage\\\":0.84,\\\"other\\\":1}}}}\" >$ANTIPHON_RESULT'
    needs: [sly]
  hand: {{ shell: '{BIN} gate score review 0.5', needs: [tests] }}
  release: {{ shell: 'true', needs: [{{ gate: coverage, at_least: 0.8 }}, {{ gate: review, at_least: 0.5 }}] }}
"
    );
    let keys = "name: gates\nbudget: { sessions: 9, duration: 20s }\nretry: { attempts: 1 }
gates: { coverage: { by: [tests, low] }, review: { by: [hand] } }";
    std::fs::write(dir.path().join("plan.yaml"), format!("{keys}\nwork:\n{work}"))?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(6), "{run:?}");
    let sly = std::fs::read_to_string(dir.path().join("sly.txt"))?;
    assert!(
        sly.contains("this session may not score gate coverage; only sessions of items"),
        "{sly}"
    );
    let receipt = printed(&ran(dir.path(), &["receipt", "show", "r"])?);
    assert!(receipt.contains("gates         coverage 0.84, review 0.5\n"), "{receipt}");
    let history = printed(&ran(dir.path(), &["log", "r", "--json"])?);
    assert_eq!(history.matches("coordination.key_set").count(), 2, "{history}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_gate_that_all_runs_share_lets_each_go_on_that_waits_for_it() -> Result {
    let dir = tempfile::tempdir()?;
    let work = "  build: { shell: 'true' }
  release: { shell: 'true', needs: [build, { gate: staging, at_least: 1, of: shared }] }
";
    let keys = "name: release\nbudget: { sessions: 9, duration: 5m }\ngates: { coverage: {} }";
    std::fs::write(dir.path().join("plan.yaml"), format!("{keys}\nwork:\n{work}"))?;
    let mut engine = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    engine.until(dir.path(), "r", "agent_completed", "build")?;
    let why = printed(&ran(dir.path(), &["why", "r", "release"])?);
    let needs =
        "it needs gate staging of at least 1, in the run or in shared, and nothing is there";
    assert!(why.contains(needs), "{why}");
    let scored = ran(dir.path(), &["gate", "score", "staging", "1", "--run", "shared"])?;
    assert_eq!(scored.status.code(), Some(0), "{scored:?}");
    assert_eq!(engine.0.wait()?.code(), Some(0));
    let log = printed(&ran(dir.path(), &["log", "r"])?);
    assert!(
        log.contains("running release (session 2, gate staging met in shared at version 2)"),
        "{log}"
    );
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}
