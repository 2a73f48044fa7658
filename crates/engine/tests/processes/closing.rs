//! An engine that is closed while processes run: they are asked to stop, none is left, and the next
//! start goes on.

use std::path::Path;
use std::time::Duration;

use antiphon::Engine;
use antiphon::Submission;
use antiphon::coordination::Verdict;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::CoordinationId;
use antiphon::ledger::verify::{Scope, verify_directory};
use antiphon::ledger::{SqliteOptions, SqliteStore, Store};
use antiphon::plan::{Environment, parse};
use antiphon::process::WardenSetup;

use crate::fixture::{comes_about, marker, within};
use crate::oracle::Oracle;

/// Says what happens to a session of `/bin/sh` that finds `again` in its directory when it is run
/// once more.
const PLAN: &str = r#"
name: closing
budget: { sessions: 10, duration: 10m }
concurrency: 3
runners:
  sh: { command: [/bin/sh, -c, "{{script}}", "MARKER"], grace: 300ms, env: { PATH: /usr/bin:/bin } }
work:
  polite: { runner: sh, script: "trap 'echo goodbye; exit 0' TERM; test -e again && exit 0; echo > \
      up-polite; sleep 1000 & wait" }
  rude: { runner: sh, script: "trap '' TERM; test -e again && exit 0; echo > up-rude; sleep 1000; :" }
  daemon:
    runner: sh
    script: |
      test -e again && exit 0
      setsid sh -c 'trap "" TERM; echo > up-daemon; sleep 1000; :' "$0" &
      wait
"#;

async fn engine(state: &Path, grace: Duration) -> Engine {
    let mut setup = Engine::builder(state).unwrap().with_grace(grace);
    setup.run_processes(WardenSetup::default()).unwrap();
    setup.start().await.unwrap()
}

async fn submit(engine: &Engine, directory: &Path, plan: &str) -> CoordinationId {
    let compiled = parse(plan, &directory.join("plan.yaml"))
        .unwrap()
        .compile(&Environment::Of([].into()))
        .unwrap();
    engine
        .submit(Submission::new(compiled.config).with_inputs(compiled.blobs))
        .await
        .unwrap()
        .id()
        .clone()
}

/// Who ended and how, in the order of the items; each with what it printed.
async fn ends(engine: &Engine, state: &Path, id: &CoordinationId) -> Vec<String> {
    let store = SqliteStore::at(state, SqliteOptions::default());
    let printed = |digest| String::from_utf8(store.blob(&digest).unwrap().unwrap()).unwrap();
    let mut events = engine.run(id).unwrap().follow().await.unwrap();
    let mut ends = Vec::new();
    while let Some(recorded) = events.next().await.unwrap() {
        if let CoordinationEvent::SessionUnbound(unbound) =
            CoordinationEvent::of(&recorded).unwrap()
        {
            let tree = unbound.tree.unwrap();
            let told = (
                unbound.outcome.as_str(),
                unbound.text.unwrap_or_default(),
                tree.clean,
                tree.stdout.map(printed),
            );
            ends.push(format!("{} {told:?}", unbound.work));
        }
    }
    ends.sort();
    ends
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_asks_processes_to_stop_and_leaves_none() {
    let (directory, marker) = (tempfile::tempdir().unwrap(), marker());
    let state = directory.path().join("state");
    let first = engine(&state, Duration::from_millis(20)).await;
    let id = submit(&first, directory.path(), &PLAN.replace("MARKER", &marker)).await;
    comes_about(|| {
        ["polite", "rude", "daemon"]
            .iter()
            .all(|name| directory.path().join(format!("up-{name}")).exists())
    })
    .await;
    within(first.close()).await.unwrap();
    assert_eq!(Oracle::of(&marker).survivors(), Vec::<String>::new());
    assert!(verify_directory(&state, &Scope::Ledger).unwrap().is_sound());

    std::fs::write(directory.path().join("again"), "").unwrap();
    let second = engine(&state, Duration::from_secs(10)).await;
    let ended = within(second.run(&id).unwrap().wait()).await.unwrap();
    assert_eq!(ended.verdict, Verdict::Succeeded);
    let lost = r#""LOST", "the engine was closed while the session ran", true"#;
    let expected = [
        format!("daemon ({lost}, None)"),
        r#"daemon ("SUCCESS", "", true, None)"#.to_owned(),
        format!("polite ({lost}, Some(\"goodbye\\n\"))"),
        r#"polite ("SUCCESS", "", true, None)"#.to_owned(),
        format!("rude ({lost}, None)"),
        r#"rude ("SUCCESS", "", true, None)"#.to_owned(),
    ];
    assert_eq!(ends(&second, &state, &id).await, expected);
    within(second.close()).await.unwrap();
    let report = verify_directory(&state, &Scope::Ledger).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.receipts_rebuilt, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_within_the_grace_is_not_asked_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let (state, pipe) = (directory.path().join("state"), directory.path().join("pipe"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let engine = engine(&state, Duration::from_secs(50)).await;
    let plan = "name: brief\nbudget: { sessions: 1, duration: 1m }\nwork: { brief: { command: \
        [/bin/cat, pipe] } }\n";
    let id = submit(&engine, directory.path(), plan).await;
    // Opening it waits for who reads.
    let write =
        tokio::task::spawn_blocking(move || std::fs::OpenOptions::new().write(true).open(pipe));
    let mut writer = within(write).await.unwrap().unwrap();
    let closing = engine.close();
    tokio::pin!(closing);
    tokio::select! {
        biased;
        _ = &mut closing => panic!("it waits for what runs"),
        () = std::future::ready(()) => {}
    }
    std::io::Write::write_all(&mut writer, b"done").unwrap();
    drop(writer);
    within(closing).await.unwrap();
    let again = self::engine(&state, Duration::ZERO).await;
    assert_eq!(ends(&again, &state, &id).await, [r#"brief ("SUCCESS", "", true, Some("done"))"#]);
    within(again.close()).await.unwrap();
}
