//! `antiphon init` as its users see it, up to the receipt of what it writes.

use crate::common::{Fixture, check};

#[test]
fn the_starter_plan_runs_as_it_is() {
    let fixture = Fixture::empty();
    check(
        &fixture.run("init"),
        "wrote plan.yaml; look it over, then run it with\n\n    antiphon run plan.yaml\n--- exit 0\n",
    );
    check(
        &fixture.run("plan check plan.yaml"),
        "plan.yaml can be run: 3 items, 10 sessions, <age>\n--- exit 0\n",
    );
    let ran = fixture.run("run plan.yaml --id starter");
    assert!(ran.ends_with("--- exit 0\n"), "{ran}");

    let ends: Vec<(String, String, String)> = fixture
        .objects("log starter --type session_unbound --json")
        .iter()
        .map(|event| {
            let text = |name: &str| event["payload"][name].as_str().unwrap().to_owned();
            (text("work"), text("outcome"), event["payload"]["then"].to_string())
        })
        .collect();
    let outcomes = |of: &str| {
        ends.iter()
            .filter(|(work, ..)| work == of)
            .map(|(_, outcome, _)| outcome.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(outcomes("count"), ["SUCCESS"]);
    assert_eq!(outcomes("flaky"), ["FAILURE", "SUCCESS"]);
    assert_eq!(outcomes("report"), ["SUCCESS"]);
    assert_eq!(ends.last().unwrap().0, "report", "it waits for the other two");
    assert!(fixture.run("verify").ends_with("\nsound\n--- exit 0\n"));
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let fixture = Fixture::empty();
    std::fs::write(fixture.path("mine.yaml"), "mine").unwrap();
    check(
        &fixture.run("init mine.yaml"),
        "--- stderr\nerror: mine.yaml already exists; nothing was written\n\
         hint: choose another name, as in `antiphon init other.yaml`\n--- exit 2\n",
    );
    assert_eq!(std::fs::read_to_string(fixture.path("mine.yaml")).unwrap(), "mine");
    check(
        &fixture.run("init absent/plan.yaml"),
        "--- stderr\nerror: could not write absent/plan.yaml: No such file or directory (os error 2)\n--- exit 3\n",
    );
}

#[test]
fn a_name_that_a_shell_would_take_apart_is_quoted_in_the_next_command() {
    let fixture = Fixture::empty();
    let output = fixture.command("init").arg("my plan.yaml").arg("--json").output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answer,
        serde_json::json!({ "file": "my plan.yaml", "next": "antiphon run 'my plan.yaml'" })
    );
}
