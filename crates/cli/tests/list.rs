//! `antiphon list` as its users see it.

use std::process::Stdio;

use crate::common::{Fixture, check};
use serde_json::json;

#[test]
fn coordinations_are_listed_newest_first() {
    check(
        &Fixture::new().run("list"),
        "\
ID       NAME      STATUS       ITEMS  FAILED  SESSIONS  STARTED               AGE  WHY
service  -         interrupted  0/0    0       0         <time>  <age>
broken   -         failed       2/2    1       1         <time>  <age>   0 ok, 1 failed, 1 skipped
build    Build it  succeeded    2/2    0       3         <time>  <age>
--- exit 0
",
    );
}

#[test]
fn a_listing_is_narrowed_by_state() {
    let fixture = Fixture::new();
    check(
        &fixture.run("list --running"),
        "\
ID       NAME  STATUS       ITEMS  FAILED  SESSIONS  STARTED               AGE  WHY
service  -     interrupted  0/0    0       0         <time>  <age>
--- exit 0
",
    );
    check(
        &fixture.run("list --ended --status FAILED"),
        "\
ID      NAME  STATUS  ITEMS  FAILED  SESSIONS  STARTED               AGE  WHY
broken  -     failed  2/2    1       1         <time>  <age>   0 ok, 1 failed, 1 skipped
--- exit 0
",
    );
    check(
        &fixture.run("list --status done"),
        "\
--- stderr
error: invalid value 'done' for '--status <STATUS>'
  [possible values: starting, running, waiting, paused, interrupted, stopping, succeeded, partial, failed, aborted]

For more information, try '--help'.
--- exit 2
",
    );
}

#[test]
fn a_listing_that_is_cut_off_says_so() {
    let fixture = Fixture::new();
    check(
        &fixture.run("list --limit 1"),
        "\
ID       NAME  STATUS       ITEMS  FAILED  SESSIONS  STARTED               AGE  WHY
service  -     interrupted  0/0    0       0         <time>  <age>
--- stderr
2 more not shown; use --limit 0 to show all
--- exit 0
",
    );
    assert_eq!(fixture.run("list --limit 0"), fixture.run("list"));
}

#[test]
fn json_has_one_object_a_line() {
    let listed = Fixture::new().objects("list --json --status succeeded");
    assert_eq!(
        listed,
        [json!({
            "id": "build", "name": "Build it", "status": "succeeded", "ended": true, "version": 9, "hash": "<hash>",
            "started": "<time>", "changed": "<time>",
            "summary": {
                "name": "Build it", "plan": "<hash>", "receipt": "<hash>", "ending": { "completed": "AllWorkCompleted" },
                "work": 2, "running": 0,
                "totals": {
                    "sessions": 3, "successful": 2, "failed": 1, "cancelled": 0, "lost": 0, "deferred": 0, "work_succeeded": 2,
                    "work_failed": 0, "work_skipped": 0, "work_skipped_by_rule": 0, "work_unfinished": 0, "critical_missed": 0,
                    "resumes": 0, "writes_refused": 0,
                },
                "usage": {
                    "consumed_episodes": 3, "consumed_tokens": 120, "consumed_cache_tokens": 0, "consumed_cost": 0,
                    "elapsed_ticks": "<elapsed_ticks>", "estimated": false, "tick_rate_hz": 1000,
                },
            },
        })]
    );
}

#[test]
fn a_missing_directory_is_named_with_what_to_do() {
    let fixture = Fixture::empty();
    let hint = "choose a state directory with --dir or ANTIPHON_DIR, or change to a directory that has one; `antiphon run` creates one";
    for command in ["list", "log build", "receipt show build", "verify", "verify build"] {
        check(
            &fixture.run(command),
            &format!(
                "--- stderr\nerror: there is no state directory <dir>/state\nhint: {hint}\n--- exit 3\n"
            ),
        );
    }
    std::fs::create_dir(fixture.state()).unwrap();
    check(
        &fixture.run("list"),
        &format!(
            "--- stderr\nerror: there is no ledger in <dir>/state\nhint: {hint}\n--- exit 3\n"
        ),
    );
    std::fs::create_dir(fixture.state().join(".antiphon")).unwrap();
    check(
        &fixture.run("list"),
        "--- stderr\nerror: there is no ledger in <dir>/state\nhint: did you mean <dir>/state/.antiphon?\n--- exit 3\n",
    );
}

#[test]
fn the_nearest_state_directory_upwards_is_taken() {
    let fixture = Fixture::new();
    std::fs::rename(fixture.state(), fixture.path(".antiphon")).unwrap();
    let below = fixture.path("some/where");
    std::fs::create_dir_all(&below).unwrap();
    let found = fixture
        .command("list --json --running")
        .current_dir(below)
        .env_remove("ANTIPHON_DIR")
        .output()
        .unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(listed["id"], "service");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fixture = Fixture::new();
    for line in
        ["list", "log build", "receipt show build", "receipt export build", "verify", "doctor"]
    {
        let mut command = fixture.command(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(
            (ended.status.code(), String::from_utf8(ended.stderr).unwrap()),
            (Some(0), String::new()),
            "{line}"
        );
    }
}

#[test]
fn colours_are_for_terminals_and_those_who_ask() {
    let fixture = Fixture::new();
    assert!(!fixture.output("list").stdout.contains(&0x1b));
    let asked =
        fixture.command("list --status failed").env("CLICOLOR_FORCE", "1").output().unwrap();
    let text = String::from_utf8(asked.stdout).unwrap();
    assert!(text.contains("broken  -     \u{1b}[31mfailed\u{1b}[0m  2/2"), "{text}");
}

#[test]
fn a_copy_that_lacks_the_newest_part_of_its_ledger_says_so() {
    let fixture = Fixture::new();
    let old = std::fs::read(fixture.state().join("ledger.db")).unwrap();
    fixture.succeeds("do --id newer -- true");
    std::fs::write(fixture.state().join("ledger.db"), old).unwrap();
    let said = fixture.run("list");
    let note = "note: <dir>/state may lack the newest part of its ledger: it ends at commit ";
    assert!(
        said.contains(note) && said.contains("build") && said.ends_with("--- exit 0\n"),
        "{said}"
    );
}
