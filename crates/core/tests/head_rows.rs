//! The word that lists show for a coordination.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;

use antiphon_core::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon_core::event::StopKind;
use antiphon_core::id::CoordinationId;
use antiphon_core::time::{LedgerTime, Now, WallTime};
use antiphon_core::world::{Asker, Command, commands};

use common::empty_world;

const NOW: Now = Now { at: LedgerTime(1), wall: WallTime(1), random: [0; 32] };

/// Starts a coordination whose work nobody carries out, gives it commands, and returns the words of
/// its head rows.
fn words(commands: &[fn(CoordinationId) -> Command]) -> Vec<String> {
    let mut world = empty_world(1);
    let id: CoordinationId = "c".parse().unwrap();
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None).unwrap();
    let config =
        CoordinationConfig::of_work(vec![WorkSpec::function("a", "missing").unwrap()], budget)
            .unwrap();
    let start = Command::Start(commands::Start {
        id: id.clone(),
        config: Box::new(config),
        blobs: Vec::new(),
    });
    let commands = std::iter::once(start).chain(commands.iter().map(|command| command(id.clone())));
    let mut words = Vec::new();
    for command in commands {
        world.handle(command, Asker { actor: "alice".parse().unwrap(), id: None }, &NOW).unwrap();
        words.extend(
            world.take_turn(&NOW).unwrap().append.heads.into_iter().map(|head| head.status),
        );
    }
    words
}

fn pause(coordination: CoordinationId) -> Command {
    Command::Pause(commands::Pause { coordination, reason: String::new() })
}

fn close(coordination: CoordinationId) -> Command {
    Command::Stop(commands::Stop { coordination, kind: StopKind::Close, reason: String::new() })
}

fn drain(coordination: CoordinationId) -> Command {
    Command::Stop(commands::Stop { coordination, kind: StopKind::Drain, reason: String::new() })
}

#[test]
fn what_takes_no_more_work_is_paused_as_long_as_its_pause_lasts() {
    assert_eq!(words(&[pause, close]), ["running", "paused", "paused"]);
    assert_eq!(words(&[close]), ["running", "stopping"]);
    assert_eq!(words(&[pause, drain]), ["running", "paused", "aborted"]);
}
