//! `antiphon status` as its users see it: of what has ended, of what runs beside it, and of what
//! was erased.

use std::process::{Child, Stdio};

use crate::common::{Fixture, check};
use serde_json::json;

#[test]
fn without_an_id_it_is_of_the_newest_that_has_not_ended() {
    check(
        &Fixture::new().run("status"),
        "\
run           service
status        interrupted
started       <time>, <age> ago
engine        not running; `antiphon resume service` continues it

sessions ░░░░░░░░ 0/10  time ░░░░░░░░ <age>/1m00s  tokens ░░░░░░░░ 0/5000  cost 0.00
--- exit 0
",
    );
}

#[test]
fn what_has_ended_is_shown_with_what_each_item_said() {
    let fixture = Fixture::new();
    check(
        &fixture.run("status build"),
        "\
run           build (Build it)
status        succeeded
started       <time>, <age> ago
ended         <time>, took <age>
items         2 ok

ITEM     STATE      ATTEMPT  TIME  WHY
compile  succeeded  1        <age>
test     succeeded  2        <age>

sessions ██░░░░░░ 3/10  time ░░░░░░░░ <age>/1m00s  tokens ░░░░░░░░ 120/5000  cost 0.00
--- exit 0
",
    );
    check(
        &fixture.run("status coordination/broken"),
        "\
run           broken
status        failed
started       <time>, <age> ago
ended         <time>, took <age>
items         0 ok, 1 failed, 1 skipped
next          `antiphon retry broken` runs again what did not succeed

ITEM   STATE    ATTEMPT  TIME  WHY
bad    failed   1        <age>  it cannot be done
after  skipped  -        -     needs bad, which did not succeed

sessions █░░░░░░░ 1/10  time ░░░░░░░░ <age>/1m00s  tokens ░░░░░░░░ 0/5000  cost 0.00
--- exit 0
",
    );
    check(
        &fixture.run("status broken --limit 1"),
        "\
run           broken
status        failed
started       <time>, <age> ago
ended         <time>, took <age>
items         0 ok, 1 failed, 1 skipped
next          `antiphon retry broken` runs again what did not succeed

ITEM  STATE   ATTEMPT  TIME  WHY
bad   failed  1        <age>  it cannot be done
and 1 more: 1 skipped

sessions █░░░░░░░ 1/10  time ░░░░░░░░ <age>/1m00s  tokens ░░░░░░░░ 0/5000  cost 0.00
--- exit 0
",
    );
}

#[test]
fn the_items_that_failed_are_shown_alone_when_asked_for() {
    check(
        &Fixture::new().run("status broken --failed"),
        "\
run           broken
status        failed
started       <time>, <age> ago
ended         <time>, took <age>
items         0 ok, 1 failed, 1 skipped
next          `antiphon retry broken` runs again what did not succeed

ITEM  STATE   ATTEMPT  TIME  WHY
bad   failed  1        <age>  it cannot be done

sessions █░░░░░░░ 1/10  time ░░░░░░░░ <age>/1m00s  tokens ░░░░░░░░ 0/5000  cost 0.00
--- exit 0
",
    );
}

#[test]
fn what_was_erased_is_said_and_is_no_error() {
    check(
        &Fixture::erased().run("status build"),
        "\
run           build (Build it)
status        succeeded
started       <time>, <age> ago
ended         <time>, took <age>
items         2 ok
note: of what happened from version 6 on, only the end is known; that version cannot be read: its payload was erased

ITEM     STATE      ATTEMPT  TIME  WHY
compile  succeeded  1        <age>
test     unknown    -        -     what became of it cannot be read

sessions ██░░░░░░ 3/10  time ░░░░░░░░ <age>/1m00s  tokens ░░░░░░░░ 120/5000  cost 0.00
--- exit 0
",
    );
}

#[test]
fn a_coordination_that_is_not_there_is_refused() {
    check(
        &Fixture::new().run("status bild"),
        "\
--- stderr
error: there is no run bild in <dir>/state
hint: did you mean build?
--- exit 2
",
    );
    check(
        &Fixture::empty().run("status"),
        "\
--- stderr
error: there is no state directory <dir>/state
hint: choose a state directory with --dir or ANTIPHON_DIR, or change to a directory that has one; `antiphon run` creates one
--- exit 3
",
    );
}

#[test]
fn as_json_it_is_one_object() {
    let fixture = Fixture::new();
    let mut objects = fixture.objects("status broken --json");
    for (place, name) in [("/meters/time_ns/used", "<used>"), ("/items/0/took_ns", "<took_ns>")] {
        let value = objects[0].pointer_mut(place).unwrap();
        assert!(value.take().is_u64(), "{place}");
        *value = name.into();
    }
    assert_eq!(
        objects,
        [json!({
            "id": "broken",
            "name": null,
            "status": "failed",
            "ended": true,
            "version": 6,
            "started": "<time>",
            "changed": "<time>",
            "receipt": "<hash>",
            "end": {
                "run": "broken",
                "verdict": "failed",
                "items": { "succeeded": 0, "taken_over": 0, "failed": 1, "skipped": 1, "unfinished": 0 },
                "failures": [
                    { "item": "bad", "session": 1, "outcome": "FAILURE", "why": "it cannot be done" }
                ]
            },
            "counts": { "failed": 1, "skipped": 1 },
            "meters": {
                "sessions": { "used": 1, "ceiling": 10, "estimated": false },
                "time_ns": { "used": "<used>", "ceiling": 60_000_000_000_u64, "estimated": false },
                "tokens": { "used": 0, "ceiling": 5_000, "estimated": false },
                "cost": { "used": 0, "ceiling": null, "estimated": false }
            },
            "items": [
                {
                    "id": "bad",
                    "state": "failed",
                    "attempt": 1,
                    "sessions": [1],
                    "took_ns": "<took_ns>",
                    "text": "it cannot be done"
                },
                {
                    "id": "after",
                    "state": "skipped",
                    "attempt": 0,
                    "sessions": [],
                    "waits": "needs bad, which did not succeed"
                }
            ],
            "left_out": 0
        })]
    );
}

/// A run that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn a_run_is_seen_from_beside_it_and_after_its_engine_was_killed() {
    let fixture = Fixture::empty();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, fixture.path("pipe"), rustix::fs::FileType::Fifo, mode, 0)
        .unwrap();
    let plan = "name: test
budget: { sessions: 20, duration: 5m }
concurrency: 1
work:
  stays: { command: [sh, -c, 'echo here > pipe; exec sleep 300'] }
  never: { command: ['true'], needs: [stays] }
  other: { command: ['true'] }
";
    std::fs::write(fixture.path("plan.yaml"), plan).unwrap();
    let run = fixture.command("run --id seen plan.yaml").stdout(Stdio::null()).spawn().unwrap();
    let mut run = Killed(run);
    assert_eq!(std::fs::read_to_string(fixture.path("pipe")).unwrap(), "here\n");
    check(
        &fixture.run("status"),
        "\
run           seen (test)
status        running
started       <time>, <age> ago

ITEM   STATE    ATTEMPT  TIME  WHY
stays  running  1        <age>
never  waiting  -        -     needs stays
other  ready    -        -     one at a time

sessions ░░░░░░░░ 1/20  time ░░░░░░░░ <age>/5m00s  tokens 0  cost 0.00
--- exit 0
",
    );
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    check(
        &fixture.run("status"),
        "\
run           seen (test)
status        interrupted
started       <time>, <age> ago
engine        not running; `antiphon resume seen` continues it

ITEM   STATE        ATTEMPT  TIME  WHY
stays  interrupted  1        <age>
never  waiting      -        -     needs stays
other  ready        -        -     one at a time

sessions ░░░░░░░░ 1/20  time ░░░░░░░░ <age>/5m00s  tokens 0  cost 0.00
--- exit 0
",
    );
}
