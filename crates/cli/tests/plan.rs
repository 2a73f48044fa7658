//! `antiphon plan` as its users see it.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Fixture, check};

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
    assert_eq!(seen, 14);
}
