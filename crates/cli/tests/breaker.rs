//! What a run does when too many items in a row have failed, as its plan says.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::plans::{Result, Running, plan_with, ran};

/// Three items that fail, and two that do not.
const WORK: &str = "  a: { command: ['false'], retry: { attempts: 1 } }\n  b: { command: ['false'], retry: { attempts: 1 } }\n  c: { command: ['false'], retry: { attempts: 1 } }\n  d: { command: ['true'] }\n  e: { command: ['true'] }\n";

fn breaker(dir: &Path, breaker: &str) -> Result {
    let head = format!("budget: {{ sessions: 10, duration: 5m }}\nbreaker: {breaker}");
    plan_with(dir, "plan.yaml", &head, WORK)
}

/// How many items there are of each state.
fn counts(dir: &Path, id: &str) -> Result<serde_json::Value> {
    let status = ran(dir, &["status", id, "--json"])?;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    Ok(status["counts"].clone())
}

#[test]
fn a_run_that_pauses_says_which_items_tripped_it_and_continue_goes_on_with_a_new_count() -> Result {
    let dir = tempfile::tempdir()?;
    breaker(dir.path(), "{ failures: 2, then: pause }")?;
    let mut run = Running::start(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    let mut lines = BufReader::new(run.0.stderr.take().ok_or("no standard error")?).lines();
    assert_eq!(
        lines.next().ok_or("it told nothing")??,
        "r is paused: the breaker tripped after 2 items in a row failed: a, b; `antiphon continue r` continues it, `antiphon cancel r` ends it"
    );
    assert_eq!(counts(dir.path(), "r")?, serde_json::json!({ "failed": 2, "ready": 3 }));
    let continued = ran(dir.path(), &["continue", "r"])?;
    assert_eq!(String::from_utf8(continued.stdout)?, "r continued\n");
    assert_eq!(run.0.wait()?.code(), Some(6));
    assert_eq!(counts(dir.path(), "r")?, serde_json::json!({ "failed": 3, "succeeded": 2 }));
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn without_a_breaker_no_number_of_failures_stops_a_run() -> Result {
    let dir = tempfile::tempdir()?;
    breaker(dir.path(), "off")?;
    assert_eq!(ran(dir.path(), &["run", "--id", "r", "plan.yaml"])?.status.code(), Some(6));
    assert_eq!(counts(dir.path(), "r")?, serde_json::json!({ "failed": 3, "succeeded": 2 }));
    breaker(dir.path(), "2")?;
    assert_eq!(ran(dir.path(), &["run", "--id", "s", "plan.yaml"])?.status.code(), Some(10));
    assert_eq!(counts(dir.path(), "s")?, serde_json::json!({ "failed": 2, "unfinished": 3 }));
    Ok(())
}
