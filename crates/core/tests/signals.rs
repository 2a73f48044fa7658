//! Signals in numbers: how fast a session may send, and how many of the last ones are kept.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use antiphon_core::coordination::event::{CoordinationEvent, Signalled};
use antiphon_core::coordination::{
    About, Capability, Coordination, CoordinationBudget, CoordinationConfig, Meta, Runners, Signal,
    WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, StreamTip};
use antiphon_core::id::{Epoch, SessionId, Version};
use antiphon_core::time::{LedgerTime, Now, WallTime};
use antiphon_core::world::{Action, Asker, LedgerFacts, Rejection, World, Written, commands};

fn now(ms: u64) -> Now {
    let nanos = ms * 1_000_000;
    Now { at: LedgerTime(nanos), wall: WallTime(nanos), random: [0; 32] }
}

/// A world with a run of two sessions, and what they show.
fn two_sessions() -> (World, Vec<(SessionId, Version)>) {
    let mut world = World::new(LedgerFacts {
        format: 1,
        ledger: Digest::GENESIS,
        epoch: Epoch(1),
        commit: CommitTip::default(),
        tip: StreamTip::default(),
        started: None,
        engine: "0.1.0".to_owned(),
    });
    world.open_ledger("host", 1, false, &now(0)).unwrap();
    let mut runners = Runners::default();
    runners.add_function("work".parse().unwrap(), Capability::default());
    world.set_runners(runners);
    let work = ["a", "b"].map(|id| WorkSpec::function(id, "work").unwrap());
    let budget = CoordinationBudget::new(10, 3_600_000, 1_000, None).unwrap();
    let config = CoordinationConfig::of_work(work.to_vec(), budget).unwrap();
    let config = config.with_id("c").unwrap().with_concurrency(2).unwrap();
    let start =
        commands::Start { id: "c".parse().unwrap(), config: Box::new(config), blobs: Vec::new() };
    world.handle(start, Asker::engine(), &now(0)).unwrap();
    let turns: Vec<_> = std::iter::from_fn(|| world.take_turn(&now(0))).collect();
    let spawned = turns.iter().flat_map(|turn| &turn.actions).filter_map(|action| match action {
        Action::Spawn(spawn) => Some((spawn.session.clone(), spawn.fence)),
        _ => None,
    });
    let sessions = spawned.collect();
    (world, sessions)
}

fn send(
    world: &mut World,
    (session, fence): &(SessionId, Version),
    ms: u64,
) -> Result<Written, Rejection> {
    let (session, fence) = (session.clone(), Some(*fence));
    let signal = Box::new(Signal::new("note".parse().unwrap()));
    let sent = commands::SendSessionSignal { session, fence, signal };
    world.handle(sent, Asker::engine(), &now(ms))
}

#[test]
fn a_session_that_sends_too_fast_is_told_when_to_go_on_and_keeps_nobody_else_from_sending() {
    let (mut world, sessions) = two_sessions();
    for _ in 0..1_000 {
        send(&mut world, &sessions[0], 5).unwrap();
    }
    let refused = send(&mut world, &sessions[0], 5).unwrap_err().to_string();
    assert_eq!(
        refused,
        "session c.1 sends too many signals: 100 a second are let through, 1000 at once; send this \
         one again in 10 ms"
    );
    let other = send(&mut world, &sessions[1], 5);
    assert!(matches!(other, Ok(Written::Done(_))));
    send(&mut world, &sessions[0], 15).unwrap();
    assert!(send(&mut world, &sessions[0], 15).is_err());
    let counts = world.coordination(&"c".parse().unwrap()).unwrap().signal_counts();
    assert_eq!(counts.unwrap().total(), 1_002);
}

#[test]
fn of_more_agents_than_are_kept_the_oldest_are_in_the_stream_alone() {
    let (world, _) = two_sessions();
    let mut run = world.coordination(&"c".parse().unwrap()).unwrap().clone();
    let first = run.version().0 + 1;
    for number in 0..5_001 {
        let from = format!("agent-{number}").parse().unwrap();
        let sent = Signalled {
            kind: "note".parse().unwrap(),
            from,
            to: Vec::new(),
            about: None,
            failed: false,
            data: None,
            digest: None,
            dedup: None,
        };
        let meta = Meta {
            version: run.version().next(),
            at: LedgerTime(1),
            wall: WallTime(1),
            cause: None,
        };
        run.apply(&CoordinationEvent::Signalled(Box::new(sent)), &meta).unwrap();
    }
    let latest = |run: &Coordination, number: u32| {
        let agent = format!("agent-{number}").parse().unwrap();
        let latest = run.latest_signal(&"note".parse().unwrap(), &About::Agent(agent));
        latest.map(|latest| latest.version.0 - first)
    };
    // Each is kept as the last about its sender and as the last from it, and one as the last of all.
    let kept = [None, None, Some(2), Some(5_000)];
    assert_eq!([0, 1, 2, 5_000].map(|number| latest(&run, number)), kept);
    let restored = Coordination::restore(&run.snapshot()).unwrap();
    assert_eq!([0, 1, 2, 5_000].map(|number| latest(&restored, number)), kept);
}
