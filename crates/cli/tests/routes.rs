//! What follows attempts by the rules of a plan, with real processes.

use std::path::Path;

#[cfg(feature = "crash-points")]
use crate::plans::antiphon;
use crate::plans::{Ran, Result, Running, ran, story};

const LOOP: &str = r#"name: loop
budget: { sessions: 20, duration: 1m }
work:
  write:
    shell: 'echo line >> draft.txt; echo "{\"output\": {\"lines\": $(wc -l < draft.txt)}}" > $ANTIPHON_RESULT'
    visits: 4
    route: [{ to: review }]
  review:
    when: routed
    env: { WRITTEN: "{{write.output}}" }
    shell: 'case "$WRITTEN" in *3*) ok=true;; *) ok=false;; esac; echo "{\"output\": {\"ok\": $ok}}" > $ANTIPHON_RESULT'
    route:
      - { name: good, when: output.ok == true, to: [ship, tell], because: three lines are enough }
      - { name: again, to: write }
  ship: { when: routed, shell: 'cat draft.txt' }
  tell: { when: routed, shell: 'true' }
  flaky:
    shell: 'echo x >> flaky.txt; test $(wc -l < flaky.txt) -ge 2'
    retry: { attempts: 2 }
    route: [{ when: 'outcome == "failure" && exit == 1', then: retry }, { when: attempt > 9, to: never }]
  never: { when: routed, shell: 'true' }
  after: { needs: [ship, never], shell: 'true' }
"#;

fn printed(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

fn told(dir: &Path, args: &[&str]) -> Result<String> {
    Ok(printed(&ran(dir, args)?))
}

#[test]
fn a_loop_is_gone_through_until_a_rule_leads_out_of_it() -> Result {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("plan.yaml"), LOOP)?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let decided: Vec<String> =
        story(&run).into_iter().filter(|line| line.starts_with("decided")).collect();
    assert_eq!(
        decided,
        [
            "decided write (session 1), branch to review by rule 'rule 1': whatever the attempt was",
            "decided review (session 2), branch to write#2 by rule 'again': whatever the attempt was",
            "decided flaky (session 3), retry by rule 'rule 1': outcome == \"failure\" && exit == 1",
            "decided write#2 (session 5), branch to review#2 by rule 'rule 1': whatever the attempt was",
            "decided review#2 (session 6), branch to write#3 by rule 'again': whatever the attempt was",
            "decided write#3 (session 7), branch to review#3 by rule 'rule 1': whatever the attempt was",
            "decided review#3 (session 8), parallel to ship, tell by rule 'good': three lines are enough",
        ]
    );
    assert!(story(&run).contains(&"skipped never: nothing routed to it".to_owned()), "{run:?}");
    let why = |item| told(dir.path(), &["why", "r", item]);
    assert_eq!(
        why("review#3")?,
        "review#3: it has succeeded; after session r.8 it was decided: parallel to ship, tell, by good: \
         three lines are enough"
    );
    assert_eq!(
        why("never")?,
        "never: it was skipped; nothing routed to it, and nothing could any more"
    );
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_decision_outlives_the_engine_and_is_not_taken_twice() -> Result {
    let dir = tempfile::tempdir()?;
    let plan = |waits: &str| {
        format!(
            "name: kept
budget: {{ sessions: 9, duration: 1m }}
work:
  a: {{ shell: 'echo a >> said.txt', route: [{{ to: b }}], visits: 2 }}
  b: {{ when: routed, shell: 'echo b >> said.txt{waits}', route: [{{ to: c }}] }}
  c: {{ when: routed, shell: 'true' }}
"
        )
    };
    let waits = format!("; {} signal send here; sleep 60", env!("CARGO_BIN_EXE_antiphon"));
    std::fs::write(dir.path().join("plan.yaml"), plan(&waits))?;
    let mut engine = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    let begun = ["signal", "wait", "here", "--timeout", "60s"];
    while ran(dir.path(), &[&begun[..], &["--run", "r"]].concat())?.status.code() != Some(0) {
        assert_eq!(engine.0.try_wait()?, None);
    }
    engine.kill()?;
    std::fs::write(dir.path().join("plan.yaml"), plan(""))?;
    assert_eq!(ran(dir.path(), &["cancel", "r"])?.status.code(), Some(0));
    let log = told(dir.path(), &["log", "r"])?;
    assert_eq!(log.matches("decided a").count(), 1, "{log}");
    assert_eq!(std::fs::read_to_string(dir.path().join("said.txt"))?, "a\nb\n");

    // What routes to it runs again with it.
    let again = ran(dir.path(), &["retry", "r", "plan.yaml"])?;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join("said.txt"))?, "a\nb\na\nb\n");
    Ok(())
}

#[test]
fn rules_are_tried_without_running_anything() -> Result {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("plan.yaml"), LOOP)?;
    let state = |text: &str| std::fs::write(dir.path().join("state.json"), text);
    let test = |more: &[&str]| {
        let args = ["route", "test", "plan.yaml", "--state", "state.json"];
        ran(dir.path(), &[&args[..], more].concat())
    };
    state(r#"{ "outcome": "success", "output": { "ok": true } }"#)?;
    assert_eq!(
        printed(&test(&["--item", "review"])?),
        "RULE   HOLDS  WHEN               THEN
good   yes    output.ok == true  parallel to ship, tell
again  yes    -                  branch to write

review: parallel to ship, tell, by good: three lines are enough"
    );
    state("{}")?;
    let none = printed(&test(&["--item", "flaky"])?);
    assert!(
        none.ends_with("flaky: no rule holds; the outcome means what it always means"),
        "{none}"
    );
    assert_eq!(
        printed(&test(&["--item", "write", "--json"])?),
        r#"{"decided":{"decision":"branch","reason":"whatever the attempt was","rule":"rule 1","to":["review"]},"item":"write","rules":[{"holds":true,"name":"rule 1","when":null}]}"#
    );
    let several = test(&[])?;
    assert_eq!(several.status.code(), Some(2));
    let several = String::from_utf8_lossy(&several.stderr).into_owned();
    assert!(several.contains("name one with --item: write, review, flaky"), "{several}");
    state("[1]")?;
    let odd = test(&["--item", "write"])?;
    let odd = String::from_utf8_lossy(&odd.stderr).into_owned();
    assert!(
        odd.contains("state.json cannot be read as the state of an attempt: it must be a"),
        "{odd}"
    );
    assert!(!dir.path().join(".antiphon").exists());
    Ok(())
}

#[test]
fn a_retry_routes_anew_where_something_of_the_route_runs_again() -> Result {
    let dir = tempfile::tempdir()?;
    let plan = "name: again
budget: { sessions: 20, duration: 1m }
work:
  start: { shell: 'echo start >> said.txt', route: [{ to: [good, bad] }] }
  good: { when: routed, shell: 'echo good >> said.txt' }
  bad: { when: routed, shell: 'test -e mended', retry: { attempts: 1 } }
  turn: { shell: 'echo turn >> said.txt', visits: 2, route: [{ when: visit == 1, to: turn }] }
  odd: { shell: 'true', route: [{ then: error, because: it is odd }] }
";
    std::fs::write(dir.path().join("plan.yaml"), plan)?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(6), "{run:?}");
    let failed = "failed odd: it was decided that it has failed: it is odd; `antiphon logs r odd`";
    assert!(printed(&run).contains(failed), "{}", printed(&run));
    std::fs::write(dir.path().join("mended"), "")?;
    std::fs::write(dir.path().join("said.txt"), "")?;
    let again = ran(dir.path(), &["retry", "r"])?;
    // `odd` is decided as before; `turn` and its visit were taken over.
    assert_eq!(again.status.code(), Some(6), "{again:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join("said.txt"))?, "start\ngood\n");
    let receipt = told(dir.path(), &["receipt", "show", "r@2"])?;
    assert!(receipt.contains("work          4 succeeded, 1 failed, 0 skipped"), "{receipt}");
    let shown = told(dir.path(), &["plan", "show", "plan.yaml"])?;
    assert!(shown.contains("good   sh    -      a route"), "{shown}");
    let drawn = told(dir.path(), &["plan", "show", "plan.yaml", "--mermaid"])?;
    assert!(drawn.contains("  n0 -.-> n1\n  n0 -.-> n2\n  n3 -.-> n3"), "{drawn}");
    Ok(())
}

/// Needs `crash-points`.
#[cfg(feature = "crash-points")]
#[test]
fn no_decision_is_lost_or_taken_twice_wherever_the_engine_is_killed() -> Result {
    let plan = r#"name: killed
budget: { sessions: 30, duration: 1m }
work:
  a:
    shell: 'echo a >> said.txt; echo "{\"output\": $(wc -l < said.txt)}" > $ANTIPHON_RESULT'
    visits: 3
    route: [{ when: output < 3, to: a }, { to: [b, c] }]
  b: { when: routed, shell: 'true', route: [{ then: continue }] }
  c: { when: routed, shell: 'exit 1', retry: { attempts: 2 }, route: [{ when: attempt < 2, then: retry }, { then: skip }] }
"#;
    let mut killed = 0;
    for (point, times) in
        [("append.before", 2..16), ("append.after", 2..16), ("release.before", 1..12)]
    {
        for count in times {
            let dir = tempfile::tempdir()?;
            std::fs::write(dir.path().join("plan.yaml"), plan)?;
            let mut run = antiphon(dir.path(), &["run", "plan.yaml", "--id", "r"]);
            let at = format!("{point}:{count}");
            let run = run.env("ANTIPHON_CRASH_AT", &at).output()?;
            let verdict = match run.status.code() {
                Some(code) => code,
                None => {
                    killed += 1;
                    let again = match ran(dir.path(), &["resume", "r"])?.status.code() {
                        // It had not begun.
                        Some(2) => {
                            ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?.status.code()
                        }
                        code => code,
                    };
                    again.ok_or("the run was not resumed")?
                }
            };
            let log = told(dir.path(), &["log", "r"])?;
            assert_eq!(verdict, 0, "{at}: {log}");
            let decided: Vec<&str> = log
                .lines()
                .filter_map(|line| line.split_once("decided ").map(|(_, told)| told))
                .collect();
            let sessions: std::collections::BTreeSet<&str> =
                decided.iter().filter_map(|told| told.split(')').next()).collect();
            assert_eq!(sessions.len(), decided.len(), "{at}: one for each session: {log}");
            for (item, decisions) in [("a ", 1), ("a#2 ", 1), ("b ", 1), ("c ", 2)] {
                let of_item = decided.iter().filter(|told| told.starts_with(item)).count();
                // A session that is carried out again may have written one line more, and says so.
                let fewer = item == "a#2 " && of_item == 0;
                assert!(of_item == decisions || fewer, "{at}: {item}: {log}");
            }
            assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0), "{at}");
        }
    }
    assert!(killed > 20, "the engine was killed {killed} times");
    Ok(())
}
