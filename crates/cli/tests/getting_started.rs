//! docs/getting-started.md is followed to the letter: one shell runs its commands in their order,
//! and prints what it says.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::masked;

/// Stands alone on a line after what a command has printed.
const END: &str = "\u{1e}";

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/getting-started.md")
}

/// What a reader types, up to the next prompt, and what is printed then.
#[derive(Default)]
struct Step {
    typed: String,
    printed: String,
}

/// The text between the blocks, and the steps in each of them.
fn parts(text: &str) -> (Vec<&str>, Vec<Vec<Step>>) {
    let (mut between, mut blocks, mut rest) = (Vec::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (block, after) = after.split_once("```\n").expect("a block has an end");
        let mut steps: Vec<Step> = Vec::new();
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { typed: format!("{command}\n"), printed: String::new() });
                continue;
            }
            let step = steps.last_mut().expect("a block begins with a command");
            match line.strip_prefix("> ").filter(|_| step.printed.is_empty()) {
                Some(more) => step.typed.push_str(&format!("{more}\n")),
                None => step.printed.push_str(&format!("{line}\n")),
            }
        }
        between.push(before);
        blocks.push(steps);
        rest = after;
    }
    between.push(rest);
    (between, blocks)
}

/// Runs the steps in one shell, as a reader would, beside a clone that was built; gives what each
/// of them printed.
fn follow(steps: &[&Step]) -> Vec<String> {
    let clone = tempfile::tempdir().unwrap();
    let built = clone.path().join("target/release");
    std::fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_antiphon"), built.join("antiphon")).unwrap();

    // The exit code that a step has left is there for the next one.
    let end = format!("{{ code=$?; echo '{END}'; (exit $code); }}\n");
    let script: String = steps.iter().map(|step| format!("{}{end}", step.typed)).collect();
    let printed = clone.path().join("printed");
    let output = std::fs::File::create(&printed).unwrap();
    let status = Command::new("timeout")
        .args(["300", "sh", "-c", &script])
        .current_dir(clone.path())
        .env("TMPDIR", clone.path())
        .env_remove("ANTIPHON_DIR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .status()
        .unwrap();
    let printed = std::fs::read_to_string(&printed).unwrap();
    assert!(status.success(), "{status} after\n{printed}");
    // Shells differ in what they say of a job that was killed.
    let printed: String =
        printed.split_inclusive('\n').filter(|line| !line.contains("Killed")).collect();
    printed.split_terminator(&format!("{END}\n")).map(str::to_owned).collect()
}

/// What is printed, without what differs by run: names that nobody chose, times, and with them the
/// width of columns.
fn steady(step: &Step, printed: &str) -> String {
    let is_id = |word: &&str| word.len() == 36 && word.matches('-').count() == 4;
    let is_time =
        |word: &str| word.strip_suffix("s:").is_some_and(|number| number.parse::<f64>().is_ok());
    let mut text = printed.to_owned();
    for id in printed.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(is_id) {
        text = text.replace(id, "<id>");
    }
    let text = masked(&text);
    let words = |line: &str| {
        line.split_whitespace()
            .map(|word| if is_time(word) { "<age>:" } else { word })
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines: Vec<String> = text.lines().map(words).collect();
    // Items that run beside each other end in any order, and so their events have any of two
    // versions.
    if step.typed.starts_with("antiphon run ") {
        lines.sort();
    }
    lines.join("\n").replace("event 6 of", "event 5 of")
}

#[test]
fn every_command_prints_what_the_document_says() {
    let text = std::fs::read_to_string(document()).unwrap();
    let (between, blocks) = parts(&text);
    let steps: Vec<&Step> = blocks.iter().flatten().collect();
    let found = follow(&steps);
    assert_eq!(found.len(), steps.len());
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(document(), rewritten(&between, &blocks, &found)).unwrap();
        return;
    }
    for (step, found) in steps.iter().zip(&found) {
        let (found, expected) = (steady(step, found), steady(step, &step.printed));
        assert!(
            found == expected,
            "{}found:\n{found}\nexpected:\n{expected}\nUPDATE_TRANSCRIPTS=1 writes it anew",
            step.typed
        );
    }
}

/// The document with what was printed now, where that differs in more than what differs by run.
fn rewritten(between: &[&str], blocks: &[Vec<Step>], found: &[String]) -> String {
    let (mut text, mut found) = (between[0].to_owned(), found.iter());
    for (steps, after) in blocks.iter().zip(&between[1..]) {
        text.push_str("```console\n");
        for (step, printed) in steps.iter().zip(&mut found) {
            let same = steady(step, printed) == steady(step, &step.printed);
            text.push_str(&format!("$ {}\n", step.typed.trim_end().replace('\n', "\n> ")));
            text.push_str(if same { &step.printed } else { printed });
        }
        text.push_str("```\n");
        text.push_str(after);
    }
    text
}

/// What is not run is the build, which the test stands beside, and nothing else.
#[test]
fn nothing_but_the_build_is_left_to_the_reader() {
    let text = std::fs::read_to_string(document()).unwrap();
    let (between, _) = parts(&text);
    let other: Vec<&str> =
        between.iter().flat_map(|text| text.split("```").skip(1).step_by(2)).collect();
    assert_eq!(other, ["sh\ncargo build --release\n"]);
}
