//! `antiphon log` as its users see it.

mod common;

use common::{Fixture, check};
use serde_json::json;

#[test]
fn every_event_is_a_line_with_its_key_facts() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log build"),
        r#"1  <time>  coordination.started          "Build it", 2 items, 1 at a time, at most 10 sessions, <span> s, 5000 tokens
2  <time>  coordination.work_added       compile, test
3  <time>  coordination.session_bound    compile: session 1, attempt 1
4  <time>  coordination.session_unbound  compile: session 1, SUCCESS, succeeded
5  <time>  coordination.session_bound    test: session 2, attempt 1
6  <time>  coordination.session_unbound  test: session 2, FAILURE (no \u{1b}[31mluck), to be retried
7  <time>  coordination.session_bound    test: session 3, attempt 2
8  <time>  coordination.session_unbound  test: session 3, SUCCESS, succeeded, 120 tokens
9  <time>  coordination.completed        succeeded: ALL_WORK_COMPLETED, receipt <hash>
--- exit 0
"#,
    );
    check(
        &fixture.run("log coordination/broken --from 4"),
        "\
4  <time>  coordination.session_unbound  bad: session 1, FAILURE (it cannot be done), failed
5  <time>  coordination.work_skipped     after: needs bad, which did not succeed
6  <time>  coordination.completed        failed: ALL_WORK_COMPLETED, receipt <hash>
--- exit 0
",
    );
    check(
        &fixture.run("log ledger"),
        "\
1  <time>  ledger.opened  epoch 1, antiphon 0.1.0, process <pid> on <host>
2  <time>  ledger.closed
--- exit 0
",
    );
}

#[test]
fn events_are_narrowed_by_version_number_and_type() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log build --type session_bound --from 4 --limit 1"),
        "5  <time>  coordination.session_bound    test: session 2, attempt 1\n--- exit 0\n",
    );
    check(
        &fixture.run("log build --type coordination.started"),
        "1  <time>  coordination.started          \"Build it\", 2 items, 1 at a time, at most 10 sessions, <span> s, 5000 tokens\n\
         --- exit 0\n",
    );
}

#[test]
fn an_empty_answer_is_explained() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log build --type bound --from 8"),
        "\
--- stderr
no event is of type bound; there are coordination.completed, coordination.session_unbound
--- exit 0
",
    );
    check(&fixture.run("log build --from 99"), "--- stderr\nno event from version 99 on; the last one is 9\n--- exit 0\n");
}

#[test]
fn json_has_the_envelope_and_the_payload() {
    assert_eq!(
        Fixture::new().objects("log build --json --from 3 --limit 2"),
        [
            json!({
                "stream": "coordination/build", "version": 3, "type": "coordination.session_bound", "schema": 1,
                "at": "<at>", "wall": "<wall>", "time": "<time>", "actor": "engine", "prev": "<hash>", "hash": "<hash>",
                "payload": {
                    "session": 1, "work": "compile", "attempt": 1, "looked_at": 2,
                    "grant": { "sessions": 1, "ticks": "<ticks>" }, "deadline": "<deadline>", "token": "<token>",
                },
            }),
            json!({
                "stream": "coordination/build", "version": 4, "type": "coordination.session_unbound", "schema": 1,
                "at": "<at>", "wall": "<wall>", "time": "<time>", "actor": "engine", "prev": "<hash>", "hash": "<hash>",
                "payload": {
                    "session": 1, "work": "compile", "outcome": "SUCCESS", "used": { "sessions": 1, "ticks": "<ticks>" },
                    "output": "<hash>", "then": { "done": "succeeded" },
                },
            }),
        ]
    );
}

#[test]
fn names_that_are_not_there_suggest_near_ones() {
    let fixture = Fixture::new();
    let told = |name: &str, hint: &str| {
        format!("--- stderr\nerror: there is no coordination {name} in <dir>/state\nhint: {hint}\n--- exit 2\n")
    };
    check(&fixture.run("log buidl"), &told("buidl", "did you mean build?"));
    check(&fixture.run("log b"), &told("b", "did you mean broken or build?"));
    check(&fixture.run("verify bui"), &told("bui", "did you mean build?"));
    check(&fixture.run("receipt show something-else"), &told("something-else", "`antiphon list` shows those that are"));
    check(&fixture.run("log pool/gpu"), "--- stderr\nerror: there is no stream pool/gpu in <dir>/state\n--- exit 2\n");
}
