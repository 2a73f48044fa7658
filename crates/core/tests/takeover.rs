//! Taking over more than one append holds.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;

use std::collections::BTreeSet;

use antiphon_core::coordination::{
    Capability, Coordination, CoordinationBudget, CoordinationConfig, Runners, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{MAX_APPEND_BYTES, StreamTip};
use antiphon_core::id::{CoordinationId, StreamName};
use antiphon_core::time::{LedgerTime, Now, WallTime};
use antiphon_core::world::{Asker, Command, Rejection, Turn, World, commands};

use common::empty_world;

const SESSIONS: usize = 2_000;
const COORDINATIONS: usize = 25;

fn world(epoch: u64) -> World {
    let mut world = empty_world(epoch);
    let mut runners = Runners::default();
    runners.add_function("work".parse().unwrap(), Capability::default());
    world.set_runners(runners);
    world
}

fn now() -> Now {
    Now { at: LedgerTime(1), wall: WallTime(1), random: [0; 32] }
}

fn turns(world: &mut World) -> Vec<Turn> {
    std::iter::from_fn(|| world.take_turn(&now())).collect()
}

fn start(id: &str, items: usize) -> Command {
    let long = "x".repeat(200);
    let work = (0..items)
        .map(|number| WorkSpec::function(format!("{long}{number}"), "work").unwrap())
        .collect();
    let budget = CoordinationBudget::new(1_000_000, 600_000, 1_000, None).unwrap();
    let config = CoordinationConfig::of_work(work, budget)
        .unwrap()
        .with_id(id)
        .unwrap()
        .with_concurrency(10_000)
        .unwrap();
    Command::Start(commands::Start {
        id: id.parse().unwrap(),
        config: Box::new(config),
        blobs: Vec::new(),
    })
}

fn asker() -> Asker {
    Asker { actor: "alice".parse().unwrap(), id: None }
}

#[test]
fn more_lost_sessions_than_one_append_holds_are_recorded_over_turns_before_anything_binds() {
    let mut first = world(1);
    first.handle(start("c0", SESSIONS), asker(), &now()).unwrap();
    let _ = turns(&mut first);
    let run = first.coordination(&"c0".parse().unwrap()).unwrap();
    assert_eq!(run.bindings().len(), SESSIONS);
    let tip = StreamTip { version: run.version(), hash: Digest::of(b"the last event") };
    let snapshot = String::from_utf8(run.snapshot()).unwrap();

    let mut second = world(2);
    for number in 0..COORDINATIONS {
        let other = snapshot.replace("\"c0\"", &format!("\"c{number}\""));
        second.restore(Coordination::restore(other.as_bytes()).unwrap(), tip);
    }
    second.resume(&now()).unwrap();
    let refused = second.handle(start("new", 1), asker(), &now()).unwrap_err();
    assert_eq!(refused, Rejection::TakingOver);

    let (mut lost, mut bytes) = (0, 0);
    let mut resumed = BTreeSet::new();
    while second.is_taking_over() {
        let turn = second.take_turn(&now()).unwrap();
        let size: usize =
            turn.append.events.iter().map(|event| event.payload.bytes().unwrap().len()).sum();
        assert!(size <= MAX_APPEND_BYTES, "an append of {size} bytes");
        for event in &turn.append.events {
            match &*event.kind {
                "coordination.resumed" => {
                    assert!(
                        resumed.insert(event.stream.clone()),
                        "{} is resumed twice",
                        event.stream
                    );
                }
                "coordination.session_unbound" => {
                    lost += 1;
                    bytes += event.payload.bytes().unwrap().len();
                }
                "coordination.session_bound" => {
                    assert!(!second.is_taking_over(), "something is bound too early");
                }
                other => panic!("{other} in a takeover"),
            }
        }
    }
    assert!(bytes > MAX_APPEND_BYTES, "{bytes} bytes are too few to try this");
    assert_eq!(lost, COORDINATIONS * SESSIONS);
    assert_eq!(resumed, (0..COORDINATIONS).map(|number| stream(&format!("c{number}"))).collect());
    second.handle(start("new", 1), asker(), &now()).unwrap();
}

fn stream(id: &str) -> StreamName {
    StreamName::Coordination(id.parse::<CoordinationId>().unwrap())
}
