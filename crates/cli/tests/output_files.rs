//! Files that items declare as their outputs: what a session did not write is told, and a retry
//! tells them by what they hold.

use std::path::Path;

use crate::plans::{Ran, Result, plan, ran};
use serde_json::Value;

/// A run `r` of these items.
fn run_of(dir: &Path, items: &str) -> Result<Ran> {
    plan(dir, items)?;
    ran(dir, &["run", "--id", "r", "plan.yaml"])
}

/// The end of the first session of `r`.
fn first_end(dir: &Path) -> Result<Value> {
    let log = ran(dir, &["log", "r", "--json", "--type", "coordination.session_unbound"])?;
    let first = String::from_utf8(log.stdout)?;
    let first: Value = serde_json::from_str(first.lines().next().ok_or("no session has ended")?)?;
    Ok(first["payload"].clone())
}

#[test]
fn a_file_that_was_there_before_and_was_not_written_is_told() -> Result {
    let dir = tempfile::tempdir()?;
    let path = dir.path().canonicalize()?.join("model.bin");
    std::fs::write(&path, "of last week")?;
    let items = "  train: { command: ['true'], output: { model: model.bin } }\n";
    assert_eq!(run_of(dir.path(), items)?.status.code(), Some(0));
    let expected = format!(
        "the output \"model\" was not written: {} was there before the session and is as it was",
        path.display()
    );
    let end = first_end(dir.path())?;
    assert_eq!((&end["outcome"], &end["text"]), (&"SUCCESS".into(), &expected.clone().into()));
    let status = String::from_utf8(ran(dir.path(), &["status", "r"])?.stdout)?;
    assert!(status.contains(&expected), "{status}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_file_that_has_to_be_fresh_and_was_not_written_is_a_failure() -> Result {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("model.bin"), "of last week")?;
    let items = "  train: { shell: 'test -e now && cp model.bin other && mv other model.bin; true', output: { model: { file: model.bin, fresh: true } }, retry: { attempts: 1 } }\n";
    assert_eq!(run_of(dir.path(), items)?.status.code(), Some(7));
    let end = first_end(dir.path())?;
    assert_eq!(end["outcome"], "FAILURE");
    assert!(
        end["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("the output \"model\" was not written: ")),
        "{end}"
    );
    // The same bytes, written again, are written.
    std::fs::write(dir.path().join("now"), "")?;
    assert_eq!(ran(dir.path(), &["run", "--id", "r2", "plan.yaml"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn what_a_session_left_of_its_files_is_on_the_record() -> Result {
    let dir = tempfile::tempdir()?;
    let items = "  train: { shell: 'printf weights > model.bin; mkdir -p logs', output: { model: model.bin, logs: logs } }\n";
    assert_eq!(run_of(dir.path(), items)?.status.code(), Some(0));
    let end = first_end(dir.path())?;
    assert_eq!(end["text"], Value::Null);
    assert!(end["tree"]["files"].is_string(), "{end}");
    assert_eq!(ran(dir.path(), &["verify", "r"])?.status.code(), Some(0));
    Ok(())
}
