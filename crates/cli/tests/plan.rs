//! `antiphon plan` as its users see it.

#![allow(clippy::unwrap_used, reason = "a command that cannot be run has failed the test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Fixture, check};

/// Says what the binary says beside the plans of these tests.
fn run(arguments: &[&str]) -> String {
    let fixture = Fixture::empty();
    let mut command: Command = fixture.command("plan");
    let output = command.args(arguments).current_dir(plans()).output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    if !stderr.is_empty() {
        text.push_str(&format!("--- stderr\n{stderr}"));
    }
    text.push_str(&format!("--- exit {}\n", output.status.code().unwrap()));
    text
}

fn plans() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

/// Compares with a file; with `UPDATE_TRANSCRIPTS` set, writes it.
#[track_caller]
fn check_file(found: &str, path: &Path) {
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(path, found).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "{}: found:\n{found}\nexpected:\n{expected}", path.display());
}

#[test]
fn every_problem_of_a_broken_plan_is_told_with_its_line_and_what_to_do() {
    let mut seen = 0;
    for entry in std::fs::read_dir(plans()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let file = path.file_name().unwrap().to_str().unwrap();
            check_file(&run(&["check", file]), &path.with_extension("txt"));
            seen += 1;
        }
    }
    assert_eq!(seen, 20);
}

const EXAMPLE: &str = "../../../engine/tests/plan/backtest/plan.yaml";

#[test]
fn a_plan_without_a_problem_is_told_in_a_line() {
    check(
        &run(&["check", EXAMPLE]),
        "../../../engine/tests/plan/backtest/plan.yaml can be run: 10 items, 40 sessions, 2h, 400k tokens, 5 USD\n--- exit 0\n",
    );
    check(
        &run(&["check", EXAMPLE, "--json"]),
        "{\"left_out\":0,\"ok\":true,\"problems\":[]}\n--- exit 0\n",
    );
}

#[test]
fn a_plan_is_shown_with_what_waits_for_what() {
    check(
        &run(&["show", EXAMPLE]),
        "\
backtest: 40 sessions, 2h, 400k tokens, 5 USD, 4 sessions at a time

ITEM               RUNS                                                         GROUP  NEEDS
fetch              py                                                           -      -
backtest x6        python3 steps/backtest.py --market .. --year .. --prices ..  -      fetch
report (critical)  py                                                           -      backtest
summary            claude                                                       -      report
publish            plan publish.yaml                                            -      report, summary
--- exit 0
",
    );
    check(
        &run(&["show", "../../../engine/tests/plan/backtest/publish.yaml", "--mermaid"]),
        "\
flowchart LR
  n2[\"upload<br/>sh\"]
  subgraph g0[\"files\"]
    n0[\"render<br/>pandoc out/report.md -o out/report.html\"]
    n1[\"archive<br/>tar -czf out/data.tar.gz data\"]
  end
  g0 --> n2
--- exit 0
",
    );
    let shown = run(&["show", "../../../engine/tests/plan/backtest/publish.yaml", "--json"]);
    let (line, _) = shown.split_once('\n').unwrap();
    let item = |id: &str, runs: &str, group: Option<&str>, needs: &[&str]| {
        let mut item = serde_json::json!({ "id": id, "cells": 1, "runs": runs, "needs": needs, "critical": false });
        if let Some(group) = group {
            item["group"] = group.into();
        }
        item
    };
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(line).unwrap(),
        serde_json::json!({
            "name": "publish", "sessions": 4, "duration_ms": 600_000, "concurrency": 1,
            "items": [
                item("render", "pandoc out/report.md -o out/report.html", Some("files"), &[]),
                item("archive", "tar -czf out/data.tar.gz data", Some("files"), &[]),
                item("upload", "sh", None, &["files"]),
            ],
        })
    );
}

#[test]
fn problems_as_json_have_codes_and_places() {
    let output = run(&["check", "quotes.yaml", "--json"]);
    let (line, end) = output.split_once('\n').unwrap();
    assert_eq!(end, "--- exit 5\n");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(line).unwrap(),
        serde_json::json!({
            "ok": false,
            "left_out": 0,
            "problems": [
                {
                    "code": "syntax",
                    "message": "YAML reads a placeholder without quotes as a mapping",
                    "hint": "quote it: \"{{..}}\"",
                    "path": "quotes.yaml",
                    "line": 4,
                    "column": 27,
                    "text": "  a: { command: [python3, {{script}}] }",
                },
                {
                    "code": "unknown-need",
                    "message": "unknown item or group `b c`",
                    "hint": "known names: `a`",
                    "path": "quotes.yaml",
                    "line": 5,
                    "column": 30,
                    "text": "  b: { command: [a], needs: [b c] }",
                },
            ],
        })
    );
}

#[test]
fn a_broken_plan_is_not_shown() {
    let output = run(&["check", "tabs.yaml"]);
    check(&run(&["show", "tabs.yaml"]), &output);
    check(&run(&["show", "tabs.yaml", "--mermaid"]), &output);
    check(&run(&["show", "tabs.yaml", "--json"]), &run(&["check", "tabs.yaml", "--json"]));
}

#[test]
fn a_file_that_is_not_there_is_told_as_a_plan_that_cannot_be_run() {
    check(
        &run(&["check", "nowhere.yaml"]),
        "\
--- stderr
error: cannot read this file: No such file or directory (os error 2)
--> nowhere.yaml

error: nowhere.yaml cannot be run: 1 problem
--- exit 5
",
    );
}

#[test]
fn the_schema_is_the_one_that_is_checked_in() {
    let schema =
        std::fs::read_to_string(plans().join("../../../../docs/plan.schema.json")).unwrap();
    check(&run(&["schema"]), &format!("{schema}--- exit 0\n"));
}
