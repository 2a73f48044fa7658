//! Sessions that are to start where their machine has no room for them, for longer than they wait.

use std::time::Duration;

use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::plan::{Environment, parse};
use antiphon::process::WardenSetup;
use antiphon::{Engine, Submission};

use crate::fixture::within;

const PLAN: &str = r#"
name: room
budget: { sessions: 10, duration: 10m }
retry: { attempts: 1 }
work:
  a: { command: [/bin/true] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_waited_for_room_as_long_as_is_stated_could_not_be_started() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().canonicalize().unwrap().join("state");
    let room_within = Duration::from_millis(50);
    let mut setup = Engine::builder(&state).unwrap().with_room_within(room_within);
    setup.run_processes(WardenSetup::default()).unwrap();
    let engine = setup.start().await.unwrap();
    // Nothing can be written down in a file.
    std::fs::remove_dir(state.join("sessions")).unwrap();
    std::fs::write(state.join("sessions"), "").unwrap();
    let compiled = parse(PLAN, &directory.path().join("plan.yaml")).unwrap();
    let compiled = compiled.compile(&Environment::Of([].into())).unwrap();
    let run =
        engine.submit(Submission::new(compiled.config).with_inputs(compiled.blobs)).await.unwrap();
    within(run.wait()).await.unwrap();
    let mut events = run.follow().await.unwrap();
    let mut ends = Vec::new();
    while let Some(recorded) = events.next().await.unwrap() {
        if let CoordinationEvent::SessionUnbound(unbound) =
            CoordinationEvent::of(&recorded).unwrap()
        {
            ends.push((unbound.outcome.as_str(), unbound.text.unwrap_or_default()));
        }
    }
    let text = format!(
        "there was no room for it for 0 s: cannot write down that it is to start: {}: Not a \
         directory (os error 20)",
        state.join("sessions").display()
    );
    assert_eq!(ends, [("SPAWN_FAILED", text)]);
    within(engine.close()).await.unwrap();
}
