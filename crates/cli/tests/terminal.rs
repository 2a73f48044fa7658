//! `antiphon run` on a terminal: what stands on the screen at its end, and that the terminal is
//! left as it was.

use std::path::Path;

use crate::screen::{OnTerminal, Result};
use rustix::process::Signal;

/// What runs the plan.
const RUN: &[&str] = &["run", "--id", "shown", "plan.yaml"];

fn plan(dir: &Path, work: &str) -> Result {
    let head = "name: test\nbudget: { sessions: 200, duration: 5m }\nconcurrency: 1\nwork:\n";
    Ok(std::fs::write(dir.join("plan.yaml"), format!("{head}{work}"))?)
}

fn fifo(path: &Path) -> Result {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)?)
}

/// Lines without what differs by run.
fn masked(lines: &[String]) -> Vec<String> {
    let is_time = |word: &str| {
        word.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok())
            || word.len() == 20 && word.ends_with('Z')
    };
    let mask = |word: &str| match word.split_once('/') {
        Some((used, ceiling)) if is_time(used) => format!("<time>/{ceiling}"),
        _ if is_time(word.trim_end_matches(',')) => "<time>".to_owned(),
        _ if word.trim_end_matches(',').len() == 64 => "<hash>".to_owned(),
        _ => word.to_owned(),
    };
    lines
        .iter()
        .map(|line| line.split_whitespace().map(mask).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_last_frame_and_the_summary_stay_on_a_clean_terminal() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  first: { command: [sh, -c, 'exit 0'] }\n  bad: { command: [sh, -c, 'printf \"\\033[2Jno\" >&2; exit 3'], retry: { attempts: 1 }, needs: [first] }\n  after: { command: ['true'], needs: [bad] }\n",
    )?;
    let (text, screen, status) = OnTerminal::start(dir.path(), RUN, (24, 80), |_| {})?.end()?;
    assert_eq!(
        masked(&screen.lines()),
        [
            "test partial 3 of 3 ended, 1 failed shown",
            "✓ first <time>",
            "✗ bad <time> exit 3: \\u{1b}[2Jno",
            "- after needs bad, which did not succeed",
            "sessions ░░░░░░░░ 2/200 time ░░░░░░░░ <time>/5m00s tokens 0 cost 0.00",
            "partial in <time> 2 sessions: 1 ok, 1 failed, 1 skipped",
            "failed bad: exit 3: \\u{1b}[2Jno; `antiphon logs shown bad`",
            "`antiphon retry shown` runs again what did not succeed",
            "receipt <hash> verified",
            "details: `antiphon receipt show shown`"
        ],
        "{text:?}"
    );
    assert_eq!(status.code(), Some(6));
    assert!(screen.is_clean(), "{text:?}");
    assert!(text.contains("\u{1b}[31m✗"), "{text:?}");
    Ok(())
}

#[test]
fn ctrl_c_is_answered_above_the_frame_and_leaves_the_terminal_clean() -> Result {
    let dir = tempfile::tempdir()?;
    fifo(&dir.path().join("pipe"))?;
    plan(
        dir.path(),
        "  stays: { command: [sh, -c, 'echo here > pipe; exec sleep 300'] }\n  never: { command: ['true'], needs: [stays] }\n",
    )?;
    let mut run =
        OnTerminal::start(dir.path(), RUN, (24, 80), |command| _ = command.env("NO_COLOR", "1"))?;
    assert_eq!(std::fs::read_to_string(dir.path().join("pipe"))?, "here\n");
    run.signal(Signal::INT)?;
    run.until("press Ctrl-C again to stop them")?;
    run.signal(Signal::INT)?;
    let (text, screen, status) = run.end()?;
    assert_eq!(
        masked(&screen.lines())[..3],
        [
            "waiting for running sessions; press Ctrl-C again to stop them",
            "stopping running sessions",
            "shown is unfinished: `antiphon resume shown` continues it; `antiphon cancel shown` ends it"
        ],
        "{text:?}"
    );
    assert_eq!(status.code(), Some(8));
    assert!(screen.is_clean(), "{text:?}");
    assert!(!text.split("\u{1b}[").skip(1).any(is_colour), "{text:?}");
    Ok(())
}

/// Whether what follows the beginning of a control sequence makes it a colour.
fn is_colour(text: &str) -> bool {
    text.find(|c: char| !c.is_ascii_digit() && c != ';')
        .is_some_and(|end| text[end..].starts_with('m'))
}

#[test]
fn more_items_than_rows_never_take_more_than_the_terminal_has() -> Result {
    let dir = tempfile::tempdir()?;
    let work: String = (0..40)
        .map(|n| format!("  item-with-a-long-name-{n}: {{ command: ['true'] }}\n"))
        .collect();
    plan(dir.path(), &work)?;
    for size in [(5, 40), (6, 20), (3, 200)] {
        let _none = std::fs::remove_dir_all(dir.path().join("state"));
        // The screen refuses lines that are too wide and frames that do not fit.
        let (text, screen, status) = OnTerminal::start(dir.path(), RUN, size, |_| {})?.end()?;
        assert_eq!(status.code(), Some(0), "{text:?}");
        assert!(screen.is_clean(), "{text:?}");
        let frames = screen.lines().iter().filter(|line| line.starts_with("test")).count();
        assert_eq!(frames, 1, "one frame stays: {:#?}", screen.lines());
    }
    Ok(())
}

#[test]
fn a_run_that_is_killed_leaves_the_cursor_where_it_was_seen() -> Result {
    let dir = tempfile::tempdir()?;
    fifo(&dir.path().join("pipe"))?;
    plan(dir.path(), "  stays: { command: [sh, -c, 'echo here > pipe; exec sleep 300'] }\n")?;
    let mut run = OnTerminal::start(dir.path(), RUN, (24, 80), |_| {})?;
    std::fs::read_to_string(dir.path().join("pipe"))?;
    run.until("stays")?;
    run.between_frames()?;
    run.child.kill()?;
    let (text, screen, _killed) = run.end()?;
    assert!(screen.is_clean(), "{text:?}");
    Ok(())
}

#[test]
fn a_terminal_that_obeys_nothing_gets_lines() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  only: { command: ['true'] }\n")?;
    let (text, screen, _status) =
        OnTerminal::start(dir.path(), RUN, (24, 80), |command| _ = command.env("TERM", "dumb"))?
            .end()?;
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(
        masked(&screen.lines()),
        [
            "<time> started shown (test): 1 item, 1 at a time; at most 200 sessions, 5m00s",
            "<time> running only (session 1)",
            "<time> succeeded only (session 1) after <time>",
            "succeeded in <time> 1 session",
            "receipt <hash> verified",
            "details: `antiphon receipt show shown`"
        ]
    );
    Ok(())
}
