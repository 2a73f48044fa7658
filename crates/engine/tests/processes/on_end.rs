//! Commands for the ends of runs that take longer than they may.

use std::path::Path;
use std::time::Duration;

use antiphon::plan::{Environment, parse};
use antiphon::process::WardenSetup;
use antiphon::{Engine, OnEnd, Submission};

use crate::fixture::within;

/// Neither the command nor what it started ends by itself in time.
const PLAN: &str = r#"
name: ends
budget: { sessions: 10, duration: 10m }
on_end: { command: [/bin/sh, -c, "sleep 300 & echo $$ $! >> pids; wait"] }
work:
  a: { command: [/bin/true] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_too_long_is_ended_with_all_that_it_started_and_has_failed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    let setup = Engine::builder(directory.join("state")).unwrap();
    let mut setup = setup.with_on_end_within(Duration::from_secs(2));
    setup.run_processes(WardenSetup::default()).unwrap();
    let engine = setup.start().await.unwrap();
    let compiled = parse(PLAN, &directory.join("plan.yaml")).unwrap();
    let compiled = compiled.compile(&Environment::Of([].into())).unwrap();
    let run =
        engine.submit(Submission::new(compiled.config).with_inputs(compiled.blobs)).await.unwrap();
    within(run.wait()).await.unwrap();
    let ended = within(run.on_end()).await.unwrap();
    assert_eq!(ended, OnEnd::Ended { failure: Some("timed out (tried once)".to_owned()) });
    let pids = std::fs::read_to_string(directory.join("pids")).unwrap();
    let pids: Vec<&str> = pids.split_whitespace().collect();
    let left = pids.iter().filter(|pid| Path::new("/proc").join(pid).exists()).count();
    assert_eq!((pids.len(), left), (2, 0), "{pids:?}");
    within(engine.close()).await.unwrap();
}
