//! A ledger that an earlier version left in the middle of things: the binary verifies it and goes
//! on with it.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Fixture, check};
use serde_json::{Value, json};

/// The first version of which a ledger is kept.
const FIRST: &str = "b045367";

/// One that wrote members of events before they had a schema of their own.
const WITHOUT_SCHEMAS: &str = "a27e6b6";

/// What is kept of a version.
fn kept(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/released").join(version)
}

/// A state directory as the killed engine of a version left it.
fn left_behind(version: &str) -> Fixture {
    let fixture = Fixture::empty();
    fs::create_dir(fixture.state()).unwrap();
    for file in ["ledger.db", "ledger.db-wal", "head"] {
        fs::copy(kept(version).join(file), fixture.state().join(file)).unwrap();
    }
    fixture
}

/// Verifies each receipt that the version exported, by itself and against the ledger.
fn verify_receipts(fixture: &Fixture, version: &str, receipts: usize) {
    let mut verified = 0;
    for entry in fs::read_dir(kept(version).join("receipts")).unwrap() {
        let file = entry.unwrap().path();
        let file = file.to_str().unwrap();
        for line in [format!("verify {file}"), format!("verify --against {file}")] {
            let said = fixture.run(&line);
            assert!(said.ends_with("\nsound\n--- exit 0\n"), "{line}: {said}");
        }
        verified += 1;
    }
    assert_eq!(verified, receipts);
}

/// What the sessions of a run came to after it was resumed: the work and the outcome of each.
fn outcomes(fixture: &Fixture, id: &str) -> Vec<(Value, Value)> {
    fixture
        .objects(&format!("log {id} --json"))
        .into_iter()
        .skip_while(|event| {
            let kinds = ["coordination.interrupted", "coordination.resumed"];
            !kinds.iter().any(|kind| event["type"] == *kind)
        })
        .filter(|event| event["type"] == "coordination.session_unbound")
        .map(|event| (event["payload"]["work"].clone(), event["payload"]["outcome"].clone()))
        .collect()
}

#[test]
fn the_ledger_of_an_earlier_version_and_its_receipts_verify() {
    let fixture = left_behind(FIRST);
    check(
        &fixture.run("verify"),
        "93 events in 11 streams, <n> commits\n8 receipts rebuilt, 0 payloads erased\nsound\n--- exit 0\n",
    );
    verify_receipts(&fixture, FIRST, 8);
}

#[test]
fn what_an_earlier_version_left_unfinished_is_carried_out_to_its_end() {
    let fixture = left_behind(FIRST);
    let said = fixture.run("continue waiting --sessions 4");
    assert!(said.ends_with("--- exit 0\n"), "{said}");
    // `waiting` has an item that failed, and another that did what was left.
    let said = fixture.run("resume");
    assert!(said.ends_with("--- exit 6\n"), "{said}");

    let interrupted = [("second", "LOST"), ("second", "SUCCESS"), ("third", "SUCCESS")]
        .map(|(work, outcome)| (json!(work), json!(outcome)));
    assert_eq!(outcomes(&fixture, "overnight"), interrupted);
    assert_eq!(outcomes(&fixture, "waiting"), [(json!("b"), json!("SUCCESS"))]);
    let said = fixture.run("verify");
    assert!(
        said.ends_with("\n10 receipts rebuilt, 0 payloads erased\nsound\n--- exit 0\n"),
        "{said}"
    );
    verify_receipts(&fixture, FIRST, 8);
}

/// The plan of `overnight`, as it was submitted then.
const OVERNIGHT: &str = r#"name: overnight
budget: { sessions: 10, duration: 1h }
work:
  first: { shell: 'echo first' }
  second: { shell: 'case "$ANTIPHON_SESSION" in *.2) touch /tmp/second-runs; sleep 600;; esac; echo second', needs: [first] }
  third: { shell: 'echo third', needs: [second] }
"#;

#[test]
fn a_run_of_an_earlier_version_is_found_to_be_the_same_from_another_terminal() {
    let fixture = left_behind(FIRST);
    let file = fixture.path("overnight.yaml");
    let submit = |plan: &str| {
        fs::write(&file, plan).unwrap();
        let mut run = fixture.command("run --id overnight -");
        run.current_dir("/tmp").env("HOME", "/elsewhere").env_remove("LANG");
        run.stdin(fs::File::open(&file).unwrap()).output().unwrap()
    };
    let other = submit(&OVERNIGHT.replace("echo third", "echo 3"));
    let said = String::from_utf8(other.stderr).unwrap();
    assert_eq!(
        said[said.find("error: ").unwrap()..],
        *"error: run overnight exists and was started with something else: `shell` of item third was \
         `echo third` and is `echo 3`; `antiphon resume overnight` continues it as it was started, \
         and another id starts this\n"
    );
    let same = submit(OVERNIGHT);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    let continued = [("second", "LOST"), ("second", "SUCCESS"), ("third", "SUCCESS")]
        .map(|(work, outcome)| (json!(work), json!(outcome)));
    assert_eq!(outcomes(&fixture, "overnight"), continued);
}

/// The schemas that a run's start and its items are recorded in.
fn schemas(fixture: &Fixture, id: &str) -> [Value; 2] {
    let events = fixture.objects(&format!("log {id} --json"));
    ["coordination.started", "coordination.work_added"]
        .map(|kind| events.iter().find(|event| event["type"] == kind).unwrap()["schema"].clone())
}

#[test]
fn members_that_had_no_schema_are_read_as_they_were_written_and_written_in_one_from_then_on() {
    let fixture = left_behind(WITHOUT_SCHEMAS);
    assert_eq!(schemas(&fixture, "overnight@2"), [json!(2), json!(2)]);
    let said = fixture.run("resume overnight@2");
    assert!(said.ends_with("--- exit 0\n"), "{said}");
    let interrupted = [("second", "LOST"), ("second", "SUCCESS"), ("third", "SUCCESS")]
        .map(|(work, outcome)| (json!(work), json!(outcome)));
    assert_eq!(outcomes(&fixture, "overnight@2"), interrupted);

    assert_eq!(schemas(&fixture, "matrix@3"), [json!(3), json!(2)]);
    let said = fixture.run("retry matrix@3 --item second");
    assert!(said.ends_with("--- exit 0\n"), "{said}");
    assert_eq!(schemas(&fixture, "matrix@4"), [json!(5), json!(3)]);
    let said = fixture.run("verify");
    assert!(
        said.ends_with("\n9 receipts rebuilt, 0 payloads erased\nsound\n--- exit 0\n"),
        "{said}"
    );
    verify_receipts(&fixture, WITHOUT_SCHEMAS, 7);
}
