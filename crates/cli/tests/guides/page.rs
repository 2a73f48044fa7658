//! A page of the documentation: what its reader types, and what it says is printed then.

use std::path::{Path, PathBuf};

use super::reader::follow;
use crate::common::masked;

/// What a reader types, up to the next prompt, and what is printed then.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) typed: String,
    printed: String,
}

/// A page: the text between its console blocks, and the steps in each of them.
pub(crate) struct Page {
    path: PathBuf,
    between: Vec<String>,
    blocks: Vec<Vec<Step>>,
}

/// A block that is not typed into a console.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) kind: String,
    pub(crate) text: String,
}

impl Page {
    /// Reads a page of `docs`.
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let (mut between, mut blocks, mut rest) = (Vec::new(), Vec::new(), text.as_str());
        while let Some((before, after)) = rest.split_once("```console\n") {
            let (block, after) = after.split_once("```\n").expect("a block has an end");
            between.push(before.to_owned());
            blocks.push(steps(block));
            rest = after;
        }
        between.push(rest.to_owned());
        Self { path, between, blocks }
    }

    /// What is typed, in the order of the page.
    pub(crate) fn steps(&self) -> Vec<&Step> {
        self.blocks.iter().flatten().collect()
    }

    /// The blocks that nobody types into a console.
    pub(crate) fn texts(&self) -> Vec<Text> {
        let blocks = self.between.iter().flat_map(|text| text.split("```").skip(1).step_by(2));
        blocks
            .map(|block| {
                let (kind, text) = block.split_once('\n').expect("a block has lines");
                Text { kind: kind.to_owned(), text: text.to_owned() }
            })
            .collect()
    }

    /// Follows the page and compares what is printed with what it says, or writes that anew.
    #[track_caller]
    pub(crate) fn is_true(&self) {
        let steps = self.steps();
        let found = follow(&steps);
        assert_eq!(found.len(), steps.len());
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            std::fs::write(&self.path, self.rewritten(&found)).unwrap();
            return;
        }
        for (step, found) in steps.iter().zip(&found) {
            let (found, expected) = (step.steady(found), step.steady(&step.printed));
            assert!(
                found == expected,
                "{}found:\n{found}\nexpected:\n{expected}\nUPDATE_TRANSCRIPTS=1 writes it anew",
                step.typed
            );
        }
    }

    /// The page with what was printed now, where that differs in more than what differs by run.
    fn rewritten(&self, found: &[String]) -> String {
        let (mut text, mut found) = (self.between[0].clone(), found.iter());
        for (steps, after) in self.blocks.iter().zip(&self.between[1..]) {
            text.push_str("```console\n");
            for (step, printed) in steps.iter().zip(&mut found) {
                let same = step.steady(printed) == step.steady(&step.printed);
                text.push_str(&format!("$ {}\n", step.typed.trim_end().replace('\n', "\n> ")));
                text.push_str(if same { &step.printed } else { printed });
            }
            text.push_str("```\n");
            text.push_str(after);
        }
        text
    }
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { typed: format!("{command}\n"), printed: String::new() });
            continue;
        }
        let step = steps.last_mut().expect("a block begins with a command");
        // A line of a document that is typed in may be empty.
        let more = line.strip_prefix("> ").or_else(|| (line == ">").then_some(""));
        match more.filter(|_| step.printed.is_empty()) {
            Some(more) => step.typed.push_str(&format!("{more}\n")),
            None => step.printed.push_str(&format!("{line}\n")),
        }
    }
    steps
}

/// Commands that show a run while it is carried out.
const FOLLOWING: [&str; 4] =
    ["antiphon run ", "antiphon retry ", "antiphon resume", "antiphon attach"];

impl Step {
    /// What is printed, without what differs by run: names that nobody chose, times, and with them
    /// the width of columns.
    fn steady(&self, printed: &str) -> String {
        let is_id = |word: &&str| word.len() == 36 && word.matches('-').count() == 4;
        let mut text = printed.to_owned();
        for id in printed.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(is_id) {
            text = text.replace(id, "<id>");
        }
        let text = without_dates(&masked(&text));
        let words = |line: &str| {
            line.split_whitespace()
                .map(|word| match word {
                    // What `mktemp` made.
                    word if word.starts_with("/tmp/tmp.") => "<dir>",
                    word => word,
                })
                .collect::<Vec<_>>()
                .join(" ")
        };
        let mut lines: Vec<String> =
            text.lines().map(words).map(|line| without_sizes(&line)).collect();
        // Items that run beside each other end in any order, and so their events have any of two
        // versions.
        if FOLLOWING.iter().any(|command| self.typed.contains(command)) {
            lines.sort();
        }
        lines.join("\n").replace("event 6 of", "event 5 of")
    }
}

/// Replaces the sizes of files on disk.
fn without_sizes(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len() {
        if words[at] == "MiB" {
            words[at - 1] = "<size>";
        }
    }
    words.join(" ")
}

/// Replaces the days that are part of names.
fn without_dates(text: &str) -> String {
    let is_date = |text: &[u8]| {
        text.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    let (mut rest, mut steady) = (text, String::new());
    while let Some(at) = rest.as_bytes().windows(10).position(is_date) {
        steady.push_str(&rest[..at]);
        steady.push_str("<day>");
        rest = &rest[at + 10..];
    }
    steady + rest
}
