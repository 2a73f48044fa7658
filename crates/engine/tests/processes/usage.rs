//! What sessions as processes used, as the programs that they run tell at the end of a long output.

use std::path::Path;

use antiphon::Engine;
use antiphon::Submission;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::plan::{Environment, parse};
use antiphon::process::WardenSetup;

use crate::fixture::within;

/// An agent that prints more than is kept, and goes on with its own run in the second item.
const PLAN: &str = r#"
name: agents
budget: { sessions: 10, duration: 10m }
runners:
  agent: { command: [/bin/sh, -c, "{{script}}"], usage: claude-stream, env: { PATH: /usr/bin:/bin }, limits: { output: 4KiB } }
work:
  first:
    runner: agent
    script: |
      for n in $(seq 500); do echo '{"type":"assistant","message":{"content":"so much to say"}}'; done
      echo '{"type":"result","subtype":"success","is_error":false,"session_id":"s","result":"one","total_cost_usd":0.01,"modelUsage":{"m":{"inputTokens":100}}}'
  second:
    runner: agent
    needs: [first]
    script: |
      : --resume s
      echo '{"type":"result","subtype":"success","is_error":false,"session_id":"s","result":"two","total_cost_usd":0.03,"modelUsage":{"m":{"inputTokens":120}}}'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_read_behind_a_cut_and_a_resumed_run_is_charged_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Engine::builder(directory.path().join("state")).unwrap();
    setup.run_processes(WardenSetup::default()).unwrap();
    let engine = setup.start().await.unwrap();
    let compiled = parse(PLAN, &Path::new(directory.path()).join("plan.yaml")).unwrap();
    let compiled = compiled.compile(&Environment::Of([].into())).unwrap();
    let run =
        engine.submit(Submission::new(compiled.config).with_inputs(compiled.blobs)).await.unwrap();
    within(run.wait()).await.unwrap();
    let mut events = run.follow().await.unwrap();
    let mut told = Vec::new();
    while let Some(recorded) = events.next().await.unwrap() {
        if let CoordinationEvent::SessionUnbound(unbound) =
            CoordinationEvent::of(&recorded).unwrap()
        {
            let (used, cut) = (unbound.used, unbound.tree.unwrap().cut);
            told.push((
                unbound.work.to_string(),
                unbound.text,
                cut,
                used.tokens,
                used.cost,
                used.estimated,
            ));
        }
    }
    let expected = [
        ("first".to_owned(), None, true, 100, 10_000, false),
        ("second".to_owned(), None, false, 20, 20_000, false),
    ];
    assert_eq!(told, expected);
    within(engine.close()).await.unwrap();
}
