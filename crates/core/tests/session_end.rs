//! What a session may leave at its end fits its event, whatever it is.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;

use std::time::Duration;

use antiphon_core::coordination::{
    Capability, CoordinationBudget, CoordinationConfig, MAX_SCORE_NAME_BYTES, MAX_SCORES,
    MAX_TEXT_BYTES, Runners, SessionEnd, SessionOutcome, StopCause, WorkSpec,
};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon_core::id::{SessionId, Version};
use antiphon_core::time::Now;
use antiphon_core::world::{Action, Asker, Command, World, commands};

use common::empty_world;

/// How a session of one second is recorded whose engine hears of its end after three seconds, when
/// it has asked it to stop.
fn heard_late(outcome: SessionOutcome, ran: Option<Duration>) -> SessionUnbound {
    let (mut world, session, fence) = bound();
    let now = Now::from(3_000_000_001);
    let end = SessionEnd { ran, ..SessionEnd::new(outcome) };
    let mut end = commands::EndSession::new(session, fence, end);
    end.asked = Some(StopCause::Timeout);
    world.handle(end, Asker::engine(), &now).unwrap();
    let event = &world.take_turn(&now).unwrap().append.events[0];
    match CoordinationEvent::of(event).unwrap() {
        CoordinationEvent::SessionUnbound(unbound) => unbound,
        other => panic!("the session ended: {other:?}"),
    }
}

#[test]
fn a_session_that_is_known_to_have_ended_in_time_did_so_however_late_that_is_heard() {
    use SessionOutcome::{Failure, Success, Timeout};
    let ms = |ms| Some(Duration::from_millis(ms));
    for (said, ran, recorded, ticks) in [
        (Success, ms(400), Success, 400),
        (Failure, ms(400), Failure, 400),
        (Success, ms(1_000), Timeout, 1_000),
        (Success, ms(2_500), Timeout, 2_500),
        (Success, None, Timeout, 3_000),
        (Timeout, ms(400), Timeout, 400),
    ] {
        let unbound = heard_late(said, ran);
        assert_eq!((unbound.outcome, unbound.used.ticks), (recorded, ticks), "{said:?} {ran:?}");
    }
}

/// A world with one session, which has a second, bound at its beginning.
fn bound() -> (World, SessionId, Version) {
    let now = Now::from(1);
    let mut world = empty_world(1);
    let mut runners = Runners::default();
    runners.add_function("work".parse().unwrap(), Capability::default());
    world.set_runners(runners);
    let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
    let work = WorkSpec::function("a", "work").unwrap().with_timeout_ticks(1_000);
    let config = Box::new(CoordinationConfig::of_work(vec![work], budget).unwrap());
    let start = commands::Start { id: "c".parse().unwrap(), config, blobs: Vec::new() };
    world.handle(Command::Start(start), Asker::engine(), &now).unwrap();
    let turn = world.take_turn(&now).unwrap();
    let [Action::Spawn(spawn)] = &turn.actions[..] else { panic!("one session starts") };
    let (session, fence) = (spawn.session.clone(), spawn.fence);
    (world, session, fence)
}

#[test]
fn a_session_that_leaves_as_much_as_it_may_is_recorded() {
    let now = Now::from(1);
    let mut world = empty_world(1);
    let asker = Asker { actor: "alice".parse().unwrap(), id: None };
    let mut runners = Runners::default();
    runners.add_function("work".parse().unwrap(), Capability::default());
    world.set_runners(runners);
    let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
    let work = WorkSpec::function("\"".repeat(256), "work").unwrap();
    let config = Box::new(CoordinationConfig::of_work(vec![work], budget).unwrap());
    world
        .handle(
            Command::Start(commands::Start { id: "c".parse().unwrap(), config, blobs: Vec::new() }),
            asker.clone(),
            &now,
        )
        .unwrap();
    let turn = world.take_turn(&now).unwrap();
    let [Action::Spawn(spawn)] = &turn.actions[..] else { panic!("one session starts") };

    // As JSON the names take twice their length, and each byte of the text six.
    let name = |number: usize, fill: &str| {
        format!("{number:0>3}{}", fill.repeat(MAX_SCORE_NAME_BYTES - 3))
    };
    let kept = (0..MAX_SCORES).map(|number| (name(number, "\""), i64::MIN)).collect();
    let mut end =
        SessionEnd::new(SessionOutcome::Success).with_text("\u{1}".repeat(MAX_TEXT_BYTES));
    end.scores.clone_from(&kept);
    end.scores.extend((0..MAX_SCORES).map(|number| (name(number, "\u{1}"), 1)));
    let end = commands::EndSession::new(spawn.session.clone(), spawn.fence, end);
    world.handle(end, asker, &now).unwrap();
    let event = &world.take_turn(&now).unwrap().append.events[0];
    let CoordinationEvent::SessionUnbound(unbound) = CoordinationEvent::of(event).unwrap() else {
        panic!("the session ended")
    };
    assert_eq!(unbound.scores, kept);
    let text = unbound.text.unwrap();
    assert!(text.starts_with("100 scores were left out: at most 100 are kept"), "{text:.80}");
}
