#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::collections::BTreeMap;

use antiphon::coordination::{WorkSpec, WorkStage};
use antiphon::event::{CoordinationEvent, Paused, StopKind, StopRequested};
use antiphon::id::{Actor, WorkId};

use super::board::Board;
use super::frame::{FrameTime, Size, frame};
use super::history::History;
use super::line::width;
use super::row::Rows;
use crate::timestamps;

fn item(id: &str, needs: &[&str]) -> WorkSpec {
    needs
        .iter()
        .fold(WorkSpec::function(id, "f").unwrap(), |spec, need| spec.needs_work(need).unwrap())
}

/// One item in every state.
fn story() -> History {
    let work = vec![
        item("models", &[]),
        item("validators", &["models"]),
        item("flaky", &[]),
        item("broken", &[]),
        item("after", &["broken"]),
        item("quota", &[]),
        item("daemon", &[]),
        item("tests", &["validators", "flaky", "quota", "daemon"]),
        item("next", &[]),
    ];
    let mut history = History::of(work, 2);
    history.bind("models").after(2).succeed("models", 12_345, true);
    history.bind("broken").after(1).fail("broken", "exit 1: no luck");
    history.bind("quota").after(1).defer("quota", "rate limit");
    history.bind("daemon").after(1).leave_something("daemon");
    history.after(30).bind("broken").after(1).fail("broken", "exit 1: at all");
    history.skip("after", "broken");
    history.bind("flaky").after(3).fail("flaky", "exit 2: 日本語");
    history.after(31).bind("flaky").bind("validators");
    history
}

fn shown(board: &Board, history: &History, rows: usize, columns: usize) -> Vec<String> {
    timestamps::use_utc();
    each_item_is_where_the_state_has_it(board);
    let size = Size::new(rows, columns);
    let lines = frame(board, &BTreeMap::new(), FrameTime::new(history.wall(), 0), size);
    let bare: Vec<String> =
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
    assert!(bare.len() < rows.max(2), "{rows} rows: {bare:#?}");
    for line in &bare {
        assert!(width(line) < columns, "{columns} columns: {line:?}");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }
    bare.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// What is kept of items beside the state follows it, also where the event names another item.
fn each_item_is_where_the_state_has_it(board: &Board) {
    let Some(run) = board.run().filter(|run| run.work_count() < 1_000) else { return };
    for place in 0..board.counts().total() {
        let item = board.item(place);
        assert_eq!(Some(item.class.stage()), run.work_stage(item.id.as_str()), "{}", item.id);
    }
}

/// The words of a frame, the counts of `status` and the states of its items are the same.
#[test]
fn every_count_is_that_of_the_items_in_that_state() {
    let history = story();
    let board = history.board();
    let asked = BTreeMap::new();
    let rows = Rows::new(&board, board.present(history.wall()), &asked);
    let mut by_state = BTreeMap::<WorkStage, usize>::new();
    for place in 0..board.counts().total() {
        *by_state.entry(rows.row(place).stage).or_default() += 1;
    }
    assert_eq!(board.counts().present().collect::<BTreeMap<_, _>>(), by_state);
    let folded = shown(&board, &history, 4, 200).remove(1);
    let said: Vec<&str> = folded.trim().trim_start_matches("9 items: ").split(", ").collect();
    assert_eq!(said.len(), by_state.len(), "{folded}");
    for (stage, count) in by_state {
        assert!(said.contains(&format!("{count} {stage}").as_str()), "{folded}");
    }
}

/// A frame for a terminal that is hardly one has at least the heading, and no line wider than it
/// is.
fn shown_within(board: &Board, history: &History, rows: usize, columns: usize) -> bool {
    let lines =
        frame(board, &BTreeMap::new(), FrameTime::new(history.wall(), 0), Size::new(rows, columns));
    let bare: Vec<String> =
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
    !bare.is_empty()
        && bare.len() <= rows.saturating_sub(1).max(1)
        && bare.iter().all(|line| width(line) <= columns.max(1))
}

#[track_caller]
fn check(found: &[String], expected: &str) {
    let found = found.join("\n");
    assert!(found == expected.trim_matches('\n'), "found:\n{found}\nexpected:\n{expected}");
}

#[test]
fn every_item_says_how_it_is_and_what_it_waits_for() {
    let mut history = story();
    history.after(4);
    check(
        &shown(&history.board(), &history, 40, 200),
        r"
codegen  running  3 of 9 ended, 1 failed, 2 running, 1 awaiting cleanup  run-1
✓ models        2.0s
⠋ validators    4.0s
⠋ flaky         4.0s  #2  before: exit 2: 日本語
✗ broken        1.0s  #2  exit 1: at all
- after                   needs broken, which did not succeed
↻ quota         1.0s      waits until 2025-11-21T04:16:00Z: rate limit
! daemon        1.0s      session 4 left something running; waiting until that is gone; left a process
· tests                   needs validators, flaky, quota and 1 more
· next                    ready: all 2 slots are taken
sessions ░░░░░░░░ 8/200k  time █░░░░░░░ 1m14s/10m00s  tokens ░░░░░░░░ ~12.3k/200k  cost ░░░░░░░░ ~0.12345/5.00 EUR
",
    );
}

#[test]
fn a_narrow_terminal_cuts_lines_and_breaks_none() {
    let history = story();
    check(
        &shown(&history.board(), &history, 40, 40),
        r"
codegen  running  3 of 9 ended, 1 fail…
✓ models        2.0s
⠋ validators    0.0s
⠋ flaky         0.0s  #2  before: exit…
✗ broken        1.0s  #2  exit 1: at a…
- after                   needs broken…
↻ quota         1.0s      waits until …
! daemon        1.0s      session 4 le…
· tests                   needs valida…
· next                    ready: all 2…
sessions ░░░░░░░░ 8/200k
time █░░░░░░░ 1m10s/10m00s
tokens ░░░░░░░░ ~12.3k/200k
cost ░░░░░░░░ ~0.12345/5.00 EUR
",
    );
}

#[test]
fn a_low_terminal_shows_what_runs_and_failed_first_and_counts_the_rest() {
    let history = story();
    let board = history.board();
    check(
        &shown(&board, &history, 5, 80),
        r"
codegen  running  3 of 9 ended, 1 failed, 2 running, 1 awaiting cleanup  run-1
⠋ validators    0.0s
  and 8 more: 1 running, 1 failed, 1 awaiting cleanup, 1 delayed, 1 ready, 1 w…
sessions ░░░░░░░░ 8/200k  time █░░░░░░░ 1m10s/10m00s
",
    );
    check(
        &shown(&board, &history, 9, 80),
        r"
codegen  running  3 of 9 ended, 1 failed, 2 running, 1 awaiting cleanup  run-1
⠋ validators    0.0s
⠋ flaky         0.0s  #2  before: exit 2: 日本語
✗ broken        1.0s  #2  exit 1: at all
! daemon        1.0s      session 4 left something running; waiting until that…
↻ quota         1.0s      waits until 2025-11-21T04:16:00Z: rate limit
  and 4 more: 1 ready, 1 waiting, 1 skipped, 1 succeeded
sessions ░░░░░░░░ 8/200k  time █░░░░░░░ 1m10s/10m00s
",
    );
    for rows in 0..5 {
        for columns in [0, 1, 2, 10] {
            assert!(shown_within(&board, &history, rows, columns));
        }
    }
}

#[test]
fn a_pause_and_a_stop_say_why() {
    let mut history = story();
    let by = || Actor::new("local").unwrap();
    history
        .push(&CoordinationEvent::Paused(Paused { by: by(), reason: "lunch\u{202e}".to_owned() }));
    // A pause stops the clock of the budget, not those of what runs.
    history.after(60);
    let board = history.board();
    check(
        &shown(&board, &history, 6, 60),
        r"
codegen  paused  3 of 9 ended, 1 failed, 2 running, 1 awai…
⠋ validators   1m00s
  and 8 more: 1 running, 1 failed, 1 awaiting cleanup, 1 d…
sessions ░░░░░░░░ 8/200k  time █░░░░░░░ 1m10s/10m00s
paused: lunch\u{202e}
",
    );
    history.push(&CoordinationEvent::StopRequested(StopRequested {
        kind: StopKind::Drain,
        by: by(),
        reason: "interrupted".to_owned(),
        parent: None,
    }));
    check(
        &shown(&history.board(), &history, 6, 60),
        r"
codegen  stopping  3 of 9 ended, 1 failed, 2 running, 1 aw…
⠋ validators   1m00s
  and 8 more: 1 running, 1 failed, 1 awaiting cleanup, 1 d…
sessions ░░░░░░░░ 8/200k  time █░░░░░░░ 1m10s/10m00s
stopping: interrupted
",
    );
}

#[test]
fn a_run_that_only_waits_for_secrets_is_not_said_to_run() {
    let history = History::of(vec![item("deploy", &[])], 1);
    let mut board = history.board();
    assert_eq!(board.stage().as_str(), "running");
    board.wait_for_secrets(true);
    assert_eq!((board.stage().as_str(), board.unexplained().len()), ("waiting", 1));
    board.wait_for_secrets(false);
    assert_eq!(board.stage().as_str(), "running");
}

#[test]
fn a_reason_of_the_engine_stands_beside_its_item() {
    let history = History::of(vec![item("deploy", &[])], 1);
    let board = history.board();
    assert_eq!(board.unexplained(), ["deploy"]);
    let asked =
        BTreeMap::from([(WorkId::new("deploy").unwrap(), "its secrets\u{7} are gone".to_owned())]);
    let lines = frame(&board, &asked, FrameTime::new(history.wall(), 0), Size::new(9, 80));
    check(&lines[1..2], "· deploy          ready: its secrets\\u{7} are gone");
}

#[test]
fn a_nested_plan_names_the_coordination_that_carries_it_out() {
    let mut history = History::of(vec![WorkSpec::plan("deploy", "plan").unwrap()], 1);
    history.bind("deploy");
    check(&shown(&history.board(), &history, 9, 80)[1..2], "⠋ deploy    0.0s  run run-1.1");
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_shown() {
    let mut history = story();
    history.erase(8);
    check(
        &shown(&history.board(), &history, 30, 100),
        r"
codegen  running  1 of 9 ended, 1 running  run-1
✓ models        2.0s
· validators          ready
· flaky               ready
↻ broken        1.0s  failed after 1.0s, next try in 30.0s: exit 1: no luck
· after               needs broken
⠋ quota         0.0s
· daemon              ready
· tests               needs validators, flaky, quota and 1 more
· next                ready
sessions ░░░░░░░░ 3/200k  time ░░░░░░░░ 3.0s/10m00s  tokens ░░░░░░░░ ~12.3k/200k
cost ░░░░░░░░ ~0.12345/5.00 EUR
note: shown as it was before version 8, which cannot be read: its payload was erased
",
    );
    let mut history = story();
    history.events[7].schema = 99;
    check(
        &shown(&history.board(), &history, 5, 100),
        r"
codegen  running  1 of 9 ended, 1 running  run-1
  9 items: 1 running, 1 delayed, 4 ready, 2 waiting, 1 succeeded
sessions ░░░░░░░░ 3/200k  time ░░░░░░░░ 3.0s/10m00s  tokens ░░░░░░░░ ~12.3k/200k
note: shown as it was before version 8, which cannot be read: coordination.session_unbound (schema…
",
    );
    let mut history = story();
    history.erase(1);
    check(
        &shown(&history.board(), &history, 30, 100),
        r"
run-1
note: shown as it was before version 1, which cannot be read: its payload was erased
",
    );
}

#[test]
fn groups_are_one_line_where_there_is_no_room_for_their_members() {
    let mut work: Vec<WorkSpec> = (0..100)
        .map(|n| item(&format!("convert[{n}]"), &[]).in_group("convert").unwrap())
        .collect();
    work.push(item("report", &[]).needs_group("convert").unwrap());
    let mut history = History::of(work, 2);
    history
        .bind("convert[0]")
        .after(1)
        .succeed("convert[0]", 0, false)
        .bind("convert[1]")
        .bind("convert[2]");
    let board = history.board();
    check(
        &shown(&board, &history, 10, 80),
        r"
codegen  running  1 of 101 ended, 2 running  run-1
⠋ convert[1]    0.0s
⠋ convert[2]    0.0s
+ convert             97 ready, 1 succeeded
· report              needs convert (99 left)
sessions ░░░░░░░░ 3/200k  time ░░░░░░░░ 1.0s/10m00s  tokens ░░░░░░░░ 0/200k
cost ░░░░░░░░ 0.00/5.00 EUR
",
    );
    let all = board.select(200);
    assert_eq!((all.shown.len(), all.left.total()), (101, 0));
}

#[test]
fn a_hundred_thousand_items_cost_a_frame_no_more_than_the_few_that_it_shows() {
    let work: Vec<WorkSpec> = (0..100_000).map(|n| item(&format!("item-{n}"), &[])).collect();
    let mut history = History::of(work, 3);
    for n in 0..2_000 {
        history.bind(&format!("item-{n}")).succeed(&format!("item-{n}"), 1, false);
    }
    history.bind("item-2000").bind("item-2001").bind("item-2002");
    let board = history.board();
    check(
        &shown(&board, &history, 12, 80),
        r"
codegen  running  2000 of 100000 ended, 3 running  run-1
⠋ item-2000    0.0s
⠋ item-2001    0.0s
⠋ item-2002    0.0s
· item-2003          ready: all 3 slots are taken
· item-2004          ready: all 3 slots are taken
· item-2005          ready: all 3 slots are taken
· item-2006          ready: all 3 slots are taken
  and 99993 more: 97993 ready, 2000 succeeded
sessions ░░░░░░░░ 2003/200k  time ░░░░░░░░ 0.0s/10m00s
tokens ░░░░░░░░ 2000/200k  cost ░░░░░░░░ 0.02/5.00 EUR
",
    );
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        shown(&board, &history, 50, 200);
    }
    // A walk over all of them takes many times as long, also on a slow machine.
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(2),
        "{:?} for 100 frames",
        begun.elapsed()
    );
}
