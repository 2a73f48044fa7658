//! Why an item does not run, situation by situation: the texts that people read, whole.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod history;

use std::fmt::Write as _;

use antiphon_core::coordination::{
    CoordinationBudget, CoordinationConfig, FailurePolicy, Runner, SessionOutcome, WorkSpec,
};
use antiphon_core::event::StopKind;
use antiphon_core::time::{Deadline, LedgerTime, WallTime};
use history::{History, Step};

fn caller(id: &str) -> WorkSpec {
    WorkSpec::new(id.parse().unwrap(), Runner::Caller)
}

fn budget() -> CoordinationBudget {
    CoordinationBudget::new(10, 60_000, 1_000, Some(100)).unwrap()
}

fn history(work: Vec<WorkSpec>) -> History {
    History::of(CoordinationConfig::of_work(work, budget()).unwrap(), 1_000)
}

fn end(outcome: SessionOutcome) -> Step {
    Step::End { pick: 0, outcome, tokens: 1, cost: 0, output: false, decided: None }
}

/// One line an item: its name, then what keeps it from running.
fn why(history: &mut History) -> String {
    history.proposal();
    let mut lines = String::new();
    for work in history.live.work_queue() {
        let reasons = history.live.why(work.as_str(), &history.now, &history::runners()).unwrap();
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        writeln!(
            lines,
            "{work}: {}",
            if reasons.is_empty() { "next".to_owned() } else { reasons.join("; ") }
        )
        .unwrap();
    }
    lines
}

#[test]
fn work_waits_for_needs_and_groups() {
    let work = vec![
        caller("a").in_group("g").unwrap().with_attempts(1),
        caller("b").in_group("g").unwrap(),
        caller("c").needs_work("a").unwrap().needs_group("g").unwrap(),
    ];
    let mut history = history(work);
    assert_eq!(
        why(&mut history),
        "a: next\nb: a goes first\nc: it needs a, which is ready; it needs group g, of which 2 have no outcome\n"
    );
    history.take(&Step::Propose);
    assert_eq!(
        why(&mut history),
        "a: it runs: session c.1, attempt 1\nb: all 1 slots are taken by c.1\n\
         c: it needs a, which is running; it needs group g, of which 2 have no outcome\n"
    );
    history.take(&end(SessionOutcome::Failure));
    assert_eq!(
        why(&mut history),
        "a: it has failed\nb: next\nc: it needs a, which has failed; it needs group g, in which a failed\n"
    );
    history.take(&Step::Propose);
    assert_eq!(
        why(&mut history),
        "a: it has failed\nb: next\nc: it was skipped; it needs a, which has failed\n"
    );
}

#[test]
fn work_whose_start_is_incomplete_says_how_to_go_on() {
    let config = CoordinationConfig::of_work(
        vec![caller("a").needs_work("b").unwrap(), caller("b")],
        budget(),
    )
    .unwrap();
    let mut history = History::of_first(config, 1);
    assert_eq!(
        why(&mut history),
        "a: the start is incomplete: 1 of 2 items are recorded; submit it again to complete it; it needs b, which is not recorded yet\n"
    );
}

#[test]
fn work_waits_for_moments_on_both_clocks() {
    let mut history = history(vec![caller("a"), caller("b")]);
    history.take(&Step::Propose);
    history.take(&end(SessionOutcome::Deferred {
        until: Deadline::Ledger(LedgerTime(2_500_000_000)),
    }));
    history.take(&Step::Propose);
    history.take(&end(SessionOutcome::Deferred { until: Deadline::Wall(WallTime(3_000_000_000)) }));
    assert_eq!(
        why(&mut history),
        "a: it waits until 2.500s of ledger time\nb: it waits until 1970-01-01T00:00:03Z\n"
    );
    history.pass(2_500_000_000);
    assert_eq!(why(&mut history), "a: next\nb: it waits until 1970-01-01T00:00:03Z\n");
}

#[test]
fn paused_and_stopping_coordinations_say_so() {
    let mut paused = history(vec![caller("a")]);
    paused.take(&Step::Pause);
    assert_eq!(why(&mut paused), "a: the run is paused: wanted\n");
    let mut drained = history(vec![caller("a")]);
    drained.take(&Step::Stop(StopKind::Drain));
    assert_eq!(why(&mut drained), "a: the run is stopping on request\n");
    drained.run_to_the_end();
    assert_eq!(why(&mut drained), "a: the run has ended\n");
    let mut failed =
        history(vec![caller("a").with_attempts(1).on_failure(FailurePolicy::Abort), caller("b")]);
    failed.take(&Step::Propose);
    failed.take(&end(SessionOutcome::Failure));
    assert_eq!(
        why(&mut failed),
        "a: it has failed\nb: the run is stopping: an error: work a failed, and its failure policy ends the run\n"
    );
}

#[test]
fn work_without_a_runner_names_it_and_lets_the_next_go_first() {
    let work = vec![
        WorkSpec::function("a", "compile").unwrap().with_priority(9),
        WorkSpec::plan("b", "release").unwrap(),
        caller("c"),
        caller("d"),
    ];
    let mut history = history(work);
    assert_eq!(
        why(&mut history),
        "a: no function compile is registered\nb: no plan release is registered\nc: next\nd: c goes first\n"
    );
}

#[test]
fn work_that_is_granted_nothing_names_who_holds_the_rest() {
    let work = vec![WorkSpec { max_tokens: Some(100), ..caller("a") }, caller("b")];
    let config = CoordinationConfig::of_work(work, budget()).unwrap().with_concurrency(2).unwrap();
    let mut history = History::of(config, 1_000);
    history.take(&Step::Propose);
    assert_eq!(
        why(&mut history),
        "a: it runs: session c.1, attempt 1\nb: no tokens left to grant; c.1 holds the rest\n"
    );
}
