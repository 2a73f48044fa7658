//! How the end of a run is told: why it ended, how many items came to what, and what failed first,
//! wherever it is asked.

use std::path::Path;

use crate::plans::{Result, plan_with, ran};

/// Items that fail in different ways, one that needs one of them, and one that is never reached.
const WORK: &str = r#"
  good: { command: ['true'] }
  traced: { shell: "printf 'Traceback:\n  File x\nValueError: bad\n  ^^^\n' >&2; exit 3" }
  needs: { command: ['true'], needs: [traced] }
  quiet: { shell: "echo only the output; exit 1" }
  slow: { shell: "echo half way >&2; exec sleep 300", timeout: 500ms }
  never: { command: ['true'] }
"#;

fn ended(dir: &Path, keys: &str, work: &str, code: i32) -> Result<Vec<String>> {
    plan_with(dir, "plan.yaml", &format!("{keys}\nretry: {{ attempts: 1 }}"), work)?;
    let output = ran(dir, &["run", "--id", "r", "plan.yaml"])?;
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().skip_while(|line| line.get(19..22) == Some("Z  "));
    Ok(lines.filter(|line| !line.starts_with("receipt ")).map(str::to_owned).collect())
}

const BUDGET: &str = "budget: { sessions: 50, duration: 5m }";

#[test]
fn a_tripped_breaker_names_its_items_and_each_failure_is_told_by_its_last_line() -> Result {
    let dir = tempfile::tempdir()?;
    let lines = ended(dir.path(), BUDGET, WORK, 10)?;
    assert!(
        lines[0].ends_with(", 4 sessions: 1 ok, 3 failed, 1 skipped, 1 unfinished"),
        "{lines:?}"
    );
    assert_eq!(
        lines[1..],
        [
            "the breaker tripped after 3 items in a row failed: traced, quiet, slow",
            "failed traced: exit 3: ValueError: bad; `antiphon logs r traced`",
            "failed quiet: exit 1: only the output; `antiphon logs r quiet`",
            "failed slow: timed out: half way; `antiphon logs r slow`",
            "`antiphon retry r` runs again what did not succeed",
            "details: `antiphon receipt show r`"
        ]
    );

    let status = String::from_utf8(ran(dir.path(), &["status", "r"])?.stdout)?;
    for line in [
        "why           the breaker tripped after 3 items in a row failed: traced, quiet, slow",
        "items         1 ok, 3 failed, 1 skipped, 1 unfinished",
        "next          `antiphon retry r` runs again what did not succeed",
        "never   unfinished  -        -     not run: the run ended first",
    ] {
        assert!(status.lines().any(|found| found == line), "{line}\n{status}");
    }
    let failed = ran(dir.path(), &["status", "r", "--failed", "--json"])?;
    let failed: serde_json::Value = serde_json::from_slice(&failed.stdout)?;
    let items = failed["items"].as_array().ok_or("no items")?;
    assert!(items.iter().all(|item| item["state"] == "failed"), "{failed}");
    assert_eq!((items.len(), &failed["left_out"]), (3, &0.into()));
    let end = &failed["end"];
    assert_eq!(end["tripped_by"], serde_json::json!(["traced", "quiet", "slow"]));
    assert_eq!(end["failures"][2]["last_line"], "half way");
    assert_eq!(end["items"]["unfinished"], 1);

    let listed = String::from_utf8(ran(dir.path(), &["list"])?.stdout)?;
    assert!(
        listed.ends_with(
            "  the breaker tripped after 3 items in a row failed: traced, quiet, slow\n"
        ),
        "{listed}"
    );
    let listed = ran(dir.path(), &["list", "--json"])?;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
    assert_eq!(listed["why"], "too many items failed in a row, which tripped the breaker");
    Ok(())
}

#[test]
fn a_spent_budget_is_told_with_use_and_ceiling() -> Result {
    let dir = tempfile::tempdir()?;
    let work = "  a: { command: ['false'], retry: { attempts: 2 } }\n  b: { command: ['true'] }\n";
    let lines = ended(dir.path(), "budget: { sessions: 2, duration: 5m }", work, 9)?;
    assert_eq!(lines[1], "the session budget is spent: 2 of 2");
    Ok(())
}

#[test]
fn of_many_failures_the_first_ten_are_told_and_the_rest_is_counted() -> Result {
    let dir = tempfile::tempdir()?;
    let work = "  cell: { shell: 'echo $N >&2; exit 1', env: { N: '{{n}}' }, matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] } }\n";
    let lines = ended(dir.path(), &format!("{BUDGET}\nbreaker: off"), work, 7)?;
    assert!(lines[0].ends_with(", 12 sessions: 0 ok, 12 failed"), "{lines:?}");
    assert_eq!(lines[1], "failed cell[1]: exit 1: 1; `antiphon logs r 'cell[1]'`");
    assert_eq!(lines[10], "failed cell[10]: exit 1: 10; `antiphon logs r 'cell[10]'`");
    assert_eq!(lines[11], "2 more failed: `antiphon status r --failed`");
    Ok(())
}

#[test]
fn a_nested_run_that_failed_is_shown_by_its_own_status() -> Result {
    let dir = tempfile::tempdir()?;
    plan_with(
        dir.path(),
        "inner.yaml",
        BUDGET,
        "  a: { command: ['false'], retry: { attempts: 1 } }\n",
    )?;
    let lines = ended(
        dir.path(),
        "budget: { sessions: 60, duration: 5m }",
        "  inner: { plan: inner.yaml }\n",
        7,
    )?;
    assert!(lines[1].starts_with("failed inner: "), "{lines:?}");
    assert!(lines[1].ends_with("; `antiphon status r.1`"), "{lines:?}");
    let status = String::from_utf8(ran(dir.path(), &["status", "r.1"])?.stdout)?;
    assert!(status.contains("`antiphon retry r` runs again what did not succeed"), "{status}");
    Ok(())
}
