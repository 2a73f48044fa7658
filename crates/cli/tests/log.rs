//! `antiphon log` as its users see it.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Fixture, check, masked};
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::id::CoordinationId;
use antiphon::{Engine, Output};
use serde_json::{Value, json};
use tokio::sync::Notify;

#[test]
fn every_event_is_a_line_with_its_key_facts() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log build"),
        r#"1  <time>  coordination.started          started build (Build it): 2 items, 1 at a time; at most 10 sessions, 1m00s, 5000 tokens
2  <time>  coordination.work_added       added compile, test
3  <time>  coordination.session_bound    running compile (session 1)
4  <time>  coordination.session_unbound  succeeded compile (session 1) after <age>
5  <time>  coordination.session_bound    running test (session 2)
6  <time>  coordination.session_unbound  failed test (session 2) after <age>, next try at once: no luck
7  <time>  coordination.session_bound    running test (session 3, attempt 2)
8  <time>  coordination.session_unbound  succeeded test (session 3) after <age>, 120 tokens
9  <time>  coordination.completed        succeeded: no work is left; receipt <hash>
--- exit 0
"#,
    );
    check(
        &fixture.run("log coordination/broken --from 4"),
        "\
4  <time>  coordination.session_unbound  failed bad (session 1) after <age>: it cannot be done
5  <time>  coordination.work_skipped     skipped after: needs bad, which did not succeed
6  <time>  coordination.completed        failed: no work is left; receipt <hash>
--- exit 0
",
    );
    check(
        &fixture.run("log ledger"),
        "\
1  <time>  ledger.opened  opened in epoch 1 by antiphon 0.1.0, process <pid> on <host>
2  <time>  ledger.closed  closed
--- exit 0
",
    );
}

#[test]
fn events_are_narrowed_by_version_number_and_type() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log build --type session_bound --from 4 --limit 1"),
        "7  <time>  coordination.session_bound    running test (session 3, attempt 2)\n--- exit 0\n",
    );
    check(
        &fixture.run("log build --type coordination.started"),
        "1  <time>  coordination.started          started build (Build it): 2 items, 1 at a time; at most 10 sessions, 1m00s, 5000 tokens\n\
         --- exit 0\n",
    );
    check(
        &fixture.run("log build --type *bound --type work_* --after 1 -n 3"),
        "\
6  <time>  coordination.session_unbound  failed test (session 2) after <age>, next try at once: no luck
7  <time>  coordination.session_bound    running test (session 3, attempt 2)
8  <time>  coordination.session_unbound  succeeded test (session 3) after <age>, 120 tokens
--- exit 0
",
    );
    check(&fixture.run("log build -n 2"), &{
        let all = fixture.run("log build");
        all.lines()
            .rev()
            .take(3)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    });
}

#[test]
fn events_are_narrowed_to_an_item_a_session_and_a_time() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log broken --work after"),
        "\
2  <time>  coordination.work_added       added bad, after
5  <time>  coordination.work_skipped     skipped after: needs bad, which did not succeed
--- exit 0
",
    );
    check(
        &fixture.run("log build --work test --session 2 --since 1h"),
        "\
5  <time>  coordination.session_bound    running test (session 2)
6  <time>  coordination.session_unbound  failed test (session 2) after <age>, next try at once: no luck
--- exit 0
",
    );
    check(
        &fixture.run("log build --work tset"),
        "--- stderr\nthere is no item tset; did you mean test?\n--- exit 0\n",
    );
    check(
        &fixture.run("log build --work test --session 1"),
        "--- stderr\nno matching events\n--- exit 0\n",
    );
    check(
        &fixture.run("log build --since 2200-01-01"),
        "--- stderr\nno matching events since <time>\n--- exit 0\n",
    );
    let wrong = fixture.run("log build --since soon");
    assert!(
        wrong.contains("expected how long ago, such as `<age>`") && wrong.ends_with("--- exit 2\n"),
        "{wrong}"
    );
}

/// More than the pages in which events are read, and the item asked for at both ends.
#[test]
fn the_last_of_a_long_log_are_found_from_its_end() {
    let fixture = Fixture::empty();
    fixture.block_on(async {
        let mut setup = Engine::builder(fixture.state()).unwrap();
        setup.register("work", |_| async { Ok(Output::none()) }).unwrap();
        let engine = setup.start().await.unwrap();
        let items = (0..1_200)
            .map(|number| WorkSpec::function(format!("item-{number}"), "work").unwrap())
            .collect();
        let budget = CoordinationBudget::new(2_000, 600_000, 1_000, None).unwrap();
        let config = CoordinationConfig::of_work(items, budget)
            .unwrap()
            .with_concurrency(8)
            .unwrap()
            .with_id("long")
            .unwrap();
        let run = engine.submit(config).await.unwrap();
        run.wait().await.unwrap();
        engine.close().await.unwrap();
    });
    let bounds = fixture.objects("log long --json --type session_bound");
    assert_eq!(bounds.len(), 1_200);
    assert_eq!(fixture.objects("log long --json --type session_bound -n 1150"), bounds[50..]);
    let all = fixture.objects("log long --json");
    assert_eq!(fixture.objects("log long --json -n 2100"), all[all.len() - 2_100..]);
    let first = fixture.objects("log long --json --work item-0 -n 2");
    let versions: Vec<_> = first.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(versions, ["coordination.session_bound", "coordination.session_unbound"]);
}

#[test]
fn without_a_name_the_newest_coordination_is_meant_and_told() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log"),
        "\
1  <time>  coordination.started          started service: 0 items, 1 at a time; at most 10 sessions, 1m00s, 5000 tokens; open to more work
--- stderr
showing coordination/service, the newest run
--- exit 0
",
    );
    let empty = Fixture::empty();
    empty.block_on(async {
        Engine::builder(empty.state()).unwrap().start().await.unwrap().close().await.unwrap();
    });
    check(
        &empty.run("log"),
        "--- stderr\nerror: there are no runs in <dir>/state\n\
         hint: `antiphon run FILE` starts one\n--- exit 2\n",
    );
}

#[test]
fn an_empty_answer_is_explained() {
    let fixture = Fixture::new();
    check(
        &fixture.run("log build --type paused --from 8"),
        "\
--- stderr
no events of type paused; there are coordination.completed, coordination.session_unbound
--- exit 0
",
    );
    check(
        &fixture.run("log build --from 99"),
        "--- stderr\nno events from version 99 on; the last is 9\n--- exit 0\n",
    );
    check(
        &fixture.run("log build --type bound"),
        "\
--- stderr
error: invalid value 'bound' for '--type <PATTERN>': unknown event type; did you mean session_bound or session_unbound?

For more information, try '--help'.
--- exit 2
",
    );
}

#[test]
fn json_has_the_envelope_and_the_payload() {
    assert_eq!(
        Fixture::new().objects("log build --json --from 3 --type session_* --session 1"),
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
    let refusal = |name: &str, hint: &str| {
        format!(
            "--- stderr\nerror: there is no run {name} in <dir>/state\nhint: {hint}\n--- exit 2\n"
        )
    };
    check(&fixture.run("log buidl"), &refusal("buidl", "did you mean build?"));
    check(&fixture.run("verify biuld"), &refusal("biuld", "did you mean build?"));
    check(
        &fixture.run("log b"),
        "--- stderr\nerror: \"b\" begins more than one of the ids of runs: broken, build\nhint: give more of the name, or all of it\n--- exit 2\n",
    );
    check(
        &fixture.run("receipt show something-else"),
        &refusal("something-else", "`antiphon list` shows the runs there are"),
    );
    check(
        &fixture.run("log pool/gpu"),
        "--- stderr\nerror: there is no stream pool/gpu in <dir>/state\n--- exit 2\n",
    );
}

#[test]
fn following_what_has_ended_waits_for_nothing() {
    let fixture = Fixture::new();
    for line in ["log build --from 9", "log build --from 99", "log broken"] {
        let recorded = fixture.output(line).stdout;
        let followed = fixture.output(&format!("{line} --follow"));
        assert_eq!((followed.status.success(), followed.stdout), (true, recorded), "{line}");
    }
    check(
        &fixture.run("log broken --follow --type completed -n 1"),
        &fixture.run("log broken --type completed"),
    );
}

/// An engine at work on the one item of `build`, which waits until it is let go.
async fn at_work(fixture: &Fixture, go: &Arc<Notify>) -> (Engine, CoordinationId) {
    let go = Arc::clone(go);
    let mut setup = Engine::builder(fixture.state()).unwrap();
    setup
        .register("wait", move |_| {
            let go = Arc::clone(&go);
            async move {
                go.notified().await;
                Ok(Output::none())
            }
        })
        .unwrap();
    let engine = setup.with_grace(Duration::from_millis(10)).start().await.unwrap();
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None).unwrap();
    let config =
        CoordinationConfig::of_work(vec![WorkSpec::function("compile", "wait").unwrap()], budget)
            .unwrap();
    let run = engine.submit(config.with_id("build").unwrap()).await.unwrap();
    (engine, run.id().clone())
}

fn following(fixture: &Fixture, line: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child =
        fixture.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn next(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let line = masked(&line);
    line.split_whitespace().filter(|word| *word != "<time>").collect::<Vec<_>>().join(" ")
}

#[test]
fn a_follower_sees_what_another_process_records_until_the_coordination_has_ended() {
    let (fixture, go) = (Fixture::empty(), Arc::new(Notify::new()));
    fixture.block_on(async {
        let (engine, id) = at_work(&fixture, &go).await;
        let (mut child, mut output) =
            following(&fixture, "log build --work compile --after 2 --follow");
        assert_eq!(next(&mut output), "3 coordination.session_bound running compile (session 1)");
        go.notify_one();
        assert_eq!(
            next(&mut output),
            "4 coordination.session_unbound succeeded compile (session 1) after <age>"
        );
        assert_eq!(next(&mut output), "");
        assert!(child.wait().unwrap().success());
        engine.run(&id).unwrap().wait().await.unwrap();
        engine.close().await.unwrap();
    });
}

#[test]
fn a_follower_goes_on_across_a_restart_and_prints_json() {
    let (fixture, go) = (Fixture::empty(), Arc::new(Notify::new()));
    fixture.block_on(async {
        let (engine, _) = at_work(&fixture, &go).await;
        let (mut child, mut output) = following(&fixture, "log build --from 3 --follow --json");
        let mut kind = || {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            event["type"].as_str().unwrap().to_owned()
        };
        assert_eq!(kind(), "coordination.session_bound");
        engine.close().await.unwrap();
        assert_eq!(kind(), "coordination.session_unbound");
        let (engine, id) = at_work(&fixture, &go).await;
        assert_eq!(kind(), "coordination.resumed");
        assert_eq!(kind(), "coordination.session_bound");
        engine.run(&id).unwrap().cancel("enough").await.unwrap();
        assert_eq!(kind(), "coordination.stop_requested");
        assert_eq!(kind(), "coordination.session_unbound");
        assert_eq!(kind(), "coordination.aborted");
        assert!(child.wait().unwrap().success());
        engine.close().await.unwrap();
    });
}

#[test]
fn a_follower_ends_with_whoever_reads_its_output() {
    let (fixture, go) = (Fixture::empty(), Arc::new(Notify::new()));
    fixture.block_on(async {
        let (engine, _) = at_work(&fixture, &go).await;
        let (mut child, mut output) = following(&fixture, "log build --follow");
        assert!(next(&mut output).starts_with("1 coordination.started"));
        drop(output);
        // Nothing more happens in the coordination: it is not a failed write that ends it.
        assert!(child.wait().unwrap().success());
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, "");
        go.notify_one();
        engine.close().await.unwrap();
    });
}

#[test]
fn a_text_is_the_same_in_the_log_and_in_an_export() {
    let fixture = Fixture::new();
    let reason = "a\u{7f}b\u{1b}[31mc\u{85}";
    assert!(
        fixture.command("cancel service --reason").arg(reason).output().unwrap().status.success()
    );
    let last = fixture.objects("log service --json --limit 1");
    assert!(last[0]["payload"].to_string().contains("a\u{7f}b\\u001b[31mc\u{85}"), "{last:?}");
    let export = fixture.output("receipt export service");
    std::fs::write(fixture.path("receipt.json"), export.stdout).unwrap();
    assert!(fixture.output("verify receipt.json").status.success());
}
