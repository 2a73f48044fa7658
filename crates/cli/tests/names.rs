//! How runs and items are named: by the beginning of their names, as the last one, or not at all.

use std::path::Path;

use crate::common::{Fixture, check};
use crate::plans::{Result, plan, plan_with, ran};
use antiphon::Engine;
use antiphon::coordination::{CoordinationBudget, CoordinationConfig};

/// Leaves an open run under an id that nobody carries out.
fn left(fixture: &Fixture, id: &str) -> Result {
    fixture.block_on(async {
        let engine = Engine::open(fixture.state()).await?;
        let budget = CoordinationBudget::new(10, 60_000, 1_000, None)?;
        engine.submit(CoordinationConfig::open(Vec::new(), budget)?.with_id(id)?).await?;
        engine.close().await?;
        Ok(())
    })
}

/// Runs a plan to its end.
fn done(dir: &Path, id: &str, work: &str) -> Result {
    plan(dir, work)?;
    let run = ran(dir, &["run", "--id", id, "plan.yaml"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    Ok(())
}

fn said(dir: &Path, arguments: &[&str]) -> Result<(String, Option<i32>)> {
    let ran = ran(dir, arguments)?;
    let text = [ran.stdout, ran.stderr].concat();
    Ok((String::from_utf8(text)?, ran.status.code()))
}

/// The run that `status` shows.
fn status(dir: &Path, word: &[&str]) -> Result<String> {
    let arguments = [&["status", "--json"], word].concat();
    let (text, code) = said(dir, &arguments)?;
    assert_eq!(code, Some(0), "{text}");
    let status: serde_json::Value = serde_json::from_str(&text)?;
    Ok(status["id"].as_str().ok_or("no id")?.to_owned())
}

const ITEMS: &str = "  prepare: { shell: 'echo prepared' }
  train: { command: [echo, '{{lr}}'], matrix: { lr: [0.1, 0.2] } }
  test: { command: [echo, tested], group: checks }
  tests: { command: [echo, all tested], group: checks }
";

#[test]
fn a_run_is_named_by_the_beginning_of_its_id_and_the_newest_as_last() -> Result {
    let dir = tempfile::tempdir()?;
    for id in ["build", "build-all", "nightly", "notes"] {
        done(dir.path(), id, ITEMS)?;
    }
    assert_eq!(status(dir.path(), &["build"])?, "build");
    assert_eq!(status(dir.path(), &["ni"])?, "nightly");
    assert_eq!(status(dir.path(), &["last"])?, "notes");
    assert_eq!(status(dir.path(), &[])?, "notes");
    let several = said(dir.path(), &["status", "n"])?;
    assert_eq!(
        several,
        (
            "error: \"n\" begins more than one of the ids of runs: notes, nightly\nhint: give more of the name, or all of it\n"
                .to_owned(),
            Some(2)
        )
    );
    let mistyped = said(dir.path(), &["status", "nihgtly"])?;
    assert!(mistyped.0.ends_with("hint: did you mean nightly?\n"), "{mistyped:?}");
    for command in
        [&["log"][..], &["verify"], &["receipt", "show"], &["resume"], &["wait"], &["attach"]]
    {
        let arguments = [command, &["ni"]].concat();
        assert_eq!(said(dir.path(), &arguments)?.1, Some(0), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn an_item_is_named_alone_in_the_newest_run_and_a_group_stands_for_its_items() -> Result {
    let dir = tempfile::tempdir()?;
    done(dir.path(), "older", "  train: { command: [echo, older] }\n")?;
    done(dir.path(), "newer", ITEMS)?;
    let output = |words: &[&str]| said(dir.path(), &[&["output"], words].concat());
    assert_eq!(output(&["prep"])?, ("prepared\n".to_owned(), Some(0)));
    assert_eq!(output(&["test"])?, ("tested\n".to_owned(), Some(0)));
    assert_eq!(output(&["checks"])?, ("tested\nall tested\n".to_owned(), Some(0)));
    assert_eq!(output(&["train"])?, ("0.1\n0.2\n".to_owned(), Some(0)));
    assert_eq!(output(&["train[0.2"])?, ("0.2\n".to_owned(), Some(0)));
    assert_eq!(output(&["--run", "old", "train"])?, ("older\n".to_owned(), Some(0)));
    assert_eq!(output(&["old", "train"])?, ("older\n".to_owned(), Some(0)));
    let mistyped = output(&["prepaer"])?;
    assert!(mistyped.0.ends_with("hint: did you mean prepare?\n"), "{mistyped:?}");
    for (word, sessions) in [("prep", 1), ("checks", 2), ("train", 2)] {
        let (log, _) =
            said(dir.path(), &["log", "--type", "session_bound", "--work", word, "newer"])?;
        assert_eq!(log.lines().count(), sessions, "{word}: {log}");
    }
    let unnamed = output(&["newer"])?;
    assert_eq!(unnamed.1, Some(2));
    assert!(unnamed.0.contains("`antiphon output newer ITEM`"), "{unnamed:?}");
    Ok(())
}

/// What a hint says can be typed as it stands.
#[test]
fn a_hint_that_names_a_cell_is_quoted_for_the_shell() -> Result {
    let dir = tempfile::tempdir()?;
    done(dir.path(), "trains", "  one: { command: ['true'] }\n")?;
    done(dir.path(), "newer", "  train: { command: [echo, '{{n}}'], matrix: { n: [1] } }\n")?;
    let (said, _) = said(dir.path(), &["why", "tra"])?;
    assert!(said.ends_with("`--run newer 'train[1]'` the other\n"), "{said}");
    Ok(())
}

#[test]
fn a_word_that_is_a_run_and_an_item_is_refused_naming_both() -> Result {
    let dir = tempfile::tempdir()?;
    done(dir.path(), "train", "  one: { command: ['true'] }\n")?;
    done(dir.path(), "newer", "  train: { command: ['true'] }\n")?;
    assert_eq!(
        said(dir.path(), &["why", "train"])?,
        (
            "error: \"train\" may be the run train, or the item train of newer, the newest run\nhint: `--run train` is the one, `--run newer train` the other\n"
                .to_owned(),
            Some(2)
        )
    );
    assert_eq!(said(dir.path(), &["why", "--run", "newer", "train"])?.1, Some(0));
    Ok(())
}

#[test]
fn what_changes_a_run_needs_no_name_where_only_one_can_be_meant() -> Result {
    let fixture = Fixture::new();
    check(
        &fixture.run("pause"),
        "service paused; `antiphon continue service` continues it\n--- exit 0\n",
    );
    left(&fixture, "inbox")?;
    check(
        &fixture.run("cancel"),
        "--- stderr\nerror: more than one unfinished run could be meant: inbox, service\nhint: give the id of one\n--- exit 2\n",
    );
    fixture.succeeds("continue");
    fixture.succeeds("cancel in");
    fixture.succeeds("cancel");
    check(
        &fixture.run("cancel"),
        "--- stderr\nerror: there is no unfinished run in <dir>/state\nhint: `antiphon list` shows the runs there are\n--- exit 2\n",
    );
    Ok(())
}

#[test]
fn a_retry_needs_no_name_where_one_run_only_ended_without_success() -> Result {
    let dir = tempfile::tempdir()?;
    done(dir.path(), "fine", "  one: { command: ['true'] }\n")?;
    plan(dir.path(), "  one: { shell: 'test -e mended', retry: { attempts: 1 } }\n")?;
    assert_eq!(said(dir.path(), &["run", "--id", "broken", "plan.yaml"])?.1, Some(7));
    // A retry that fails stands for the run that it retries.
    assert_eq!(said(dir.path(), &["retry"])?.1, Some(7));
    assert_eq!(said(dir.path(), &["retry"])?.1, Some(7));
    assert_eq!(status(dir.path(), &["last"])?, "broken@3");
    assert_eq!(said(dir.path(), &["run", "--id", "other", "plan.yaml"])?.1, Some(7));
    assert_eq!(
        said(dir.path(), &["retry"])?,
        (
            "error: more than one run to retry could be meant: other, broken@3\nhint: give the id of \
             one\n"
                .to_owned(),
            Some(2)
        )
    );
    std::fs::write(dir.path().join("mended"), "")?;
    assert_eq!(said(dir.path(), &["run", "--id", "other", "--again", "plan.yaml"])?.1, Some(0));
    assert_eq!(said(dir.path(), &["retry"])?.1, Some(0));
    assert_eq!(status(dir.path(), &["last"])?, "broken@4");
    assert_eq!(
        said(dir.path(), &["retry"])?,
        (
            format!(
                "error: there is no run to retry in {}\nhint: `antiphon list` shows the runs there \
                 are\n",
                dir.path().join("state").display()
            ),
            Some(2)
        )
    );
    Ok(())
}

#[test]
fn the_values_of_a_matrix_are_printed_where_there_are_some() -> Result {
    let dir = tempfile::tempdir()?;
    let cells = "  cell: { command: [sh, -c, 'echo $0; test $0 != 2', '{{n}}'], matrix: { n: [1, 2, 3] }, retry: { attempts: 1 } }\n";
    plan(dir.path(), cells)?;
    assert_eq!(said(dir.path(), &["run", "--id", "r", "plan.yaml"])?.1, Some(6));
    let (text, code) = said(dir.path(), &["output", "cell"])?;
    assert!(
        text.starts_with("1\n3\nerror: cell[2] of r has put out no value: it failed\n"),
        "{text}"
    );
    assert_eq!(code, Some(2));
    Ok(())
}

#[test]
fn the_newest_run_is_none_that_a_session_of_another_is() -> Result {
    let dir = tempfile::tempdir()?;
    plan_with(
        dir.path(),
        "inner.yaml",
        "budget: { sessions: 1, duration: 1m }",
        "  in: { command: ['true'] }\n",
    )?;
    done(dir.path(), "outer", "  nested: { plan: inner.yaml }\n")?;
    assert_eq!(status(dir.path(), &[])?, "outer");
    assert_eq!(status(dir.path(), &["out"])?, "outer");
    assert_eq!(status(dir.path(), &["outer.1"])?, "outer.1");
    Ok(())
}
