//! Wall time that is set back between the moment an item became ready and its binding.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;

use antiphon_core::coordination::{
    Coordination, CoordinationBudget, CoordinationConfig, Meta, Runners, SessionEnd,
    SessionOutcome, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::StreamTip;
use antiphon_core::event::CoordinationEvent;
use antiphon_core::id::{CoordinationId, WorkId};
use antiphon_core::time::{Deadline, LedgerTime, Now, WallTime};
use antiphon_core::world::{Action, Asker, Command, Turn, World, commands};

use common::empty_world;

const UNTIL: WallTime = WallTime(1_000);

fn now(at: u64, wall: u64) -> Now {
    Now { at: LedgerTime(at), wall: WallTime(wall), random: [0; 32] }
}

fn world(epoch: u64) -> World {
    let mut world = empty_world(epoch);
    let mut runners = Runners::default();
    runners.add_plan("inner".parse().unwrap(), 1);
    world.set_runners(runners);
    world
}

fn handle(world: &mut World, command: Command, now: &Now) {
    world.handle(command, Asker { actor: "alice".parse().unwrap(), id: None }, now).unwrap();
}

/// The events and the number of expansions asked for, over all turns that follow; a world that asks
/// for ever is cut off.
fn turns(world: &mut World, now: &Now) -> (Vec<String>, usize) {
    world.expire(now);
    let turns: Vec<Turn> = std::iter::from_fn(|| world.take_turn(now)).take(10).collect();
    let events = turns
        .iter()
        .flat_map(|turn| &turn.append.events)
        .map(|event| event.kind.to_string())
        .collect();
    let asked = turns
        .iter()
        .flat_map(|turn| &turn.actions)
        .filter(|action| matches!(action, Action::Expand { .. }))
        .count();
    (events, asked)
}

fn config(items: Vec<WorkSpec>) -> CoordinationConfig {
    CoordinationConfig::of_work(items, CoordinationBudget::new(10, 600_000, 1_000, None).unwrap())
        .unwrap()
}

/// The answer to an expansion.
fn expanded(coordination: &CoordinationId, work: &WorkId) -> Command {
    let inner = config(vec![WorkSpec::function("x", "missing").unwrap()]);
    Command::Expanded(commands::Expanded {
        coordination: coordination.clone(),
        work: work.clone(),
        config: Ok(Box::new(inner)),
    })
}

/// A coordination of one nested item that was deferred until a moment of wall time.
fn deferred(id: &CoordinationId, work: &WorkId) -> Coordination {
    let mut first = world(1);
    let config =
        config(vec![WorkSpec::plan(work.as_str(), "inner").unwrap()]).with_id(id.as_str()).unwrap();
    handle(
        &mut first,
        Command::Start(commands::Start {
            id: id.clone(),
            config: Box::new(config),
            blobs: Vec::new(),
        }),
        &now(1, 1),
    );
    turns(&mut first, &now(1, 1));
    handle(&mut first, expanded(id, work), &now(1, 1));
    let mut run = first.coordination(id).unwrap().clone();
    let end = SessionEnd::new(SessionOutcome::Deferred { until: Deadline::Wall(UNTIL) });
    let unbound = run.decide_unbinding(1, end, &now(2, 2)).unwrap();
    let meta =
        Meta { version: run.version().next(), at: LedgerTime(2), wall: WallTime(2), cause: None };
    run.apply(&CoordinationEvent::SessionUnbound(unbound), &meta).unwrap();
    run
}

#[test]
fn a_deferred_nested_item_whose_moment_had_come_is_bound_when_its_plan_comes() {
    let (id, work): (CoordinationId, WorkId) = ("p".parse().unwrap(), "a".parse().unwrap());
    let run = deferred(&id, &work);
    let tip = StreamTip { version: run.version(), hash: Digest::of(b"the last event") };
    let mut second = world(2);
    second.restore(run, tip);
    second.resume(&now(3, 3)).unwrap();
    assert_eq!(turns(&mut second, &now(3, 3)), (vec!["coordination.resumed".to_owned()], 0));
    assert_eq!(second.next_deadline().1, Some(UNTIL));
    assert_eq!(turns(&mut second, &now(4, UNTIL.0)), (vec![], 1), "its moment has come");

    let back = now(5, 5);
    assert_eq!(
        second.why(&id, work.as_str(), &back).unwrap(),
        [antiphon_core::coordination::Blocked::Expanding]
    );
    handle(&mut second, expanded(&id, &work), &back);
    let (events, asked) = turns(&mut second, &back);
    assert_eq!((events[0].as_str(), asked), ("coordination.session_bound", 0), "{events:?}");
    assert_eq!(second.coordination(&id).unwrap().bindings().len(), 1);
}
