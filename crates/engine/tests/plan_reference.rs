//! The reference and the schema of plan files say what the reader does.

#![allow(clippy::unwrap_used, reason = "a document that cannot be read has failed the test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use antiphon::plan::{OBJECTS, Plan, parse, schema};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Compares with a document; with `UPDATE_TRANSCRIPTS` set, writes it.
#[track_caller]
fn check(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(path, found).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let different = written.lines().zip(found.lines()).find(|(written, found)| written != found);
    assert!(
        written == found,
        "{}: {different:?}; UPDATE_TRANSCRIPTS=1 writes it anew",
        path.display()
    );
}

#[test]
fn the_schema_is_the_one_that_is_checked_in() {
    check(
        &root().join("docs/plan.schema.json"),
        &format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap()),
    );
}

#[test]
fn the_reference_describes_every_key() {
    let path = root().join("docs/plan.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let heading = "## Every key\n\nKeys in bold are required.\n";
    let (before, _) = text.split_once(heading).unwrap();
    let mut keys = String::new();
    for object in OBJECTS {
        let _infallible = writeln!(keys, "\n### `{}`: {}\n", object.name, object.what);
        keys.push_str("| key | takes | meaning | example |\n|---|---|---|---|\n");
        for key in object.keys {
            let name = if key.required {
                format!("**`{}`**", key.name)
            } else {
                format!("`{}`", key.name)
            };
            let row = format!(
                "| {name} | {} | {} | `{}` |",
                key.kind,
                key.doc,
                key.example.replace('|', "\\|")
            );
            let _infallible = writeln!(keys, "{row}");
        }
        if object.open {
            keys.push_str("\nFurther keys are the parameters of its runner.\n");
        }
        if !object.later.is_empty() {
            let later: Vec<String> = object.later.iter().map(|name| format!("`{name}`")).collect();
            let _infallible = writeln!(
                keys,
                "\nReserved and not supported by this version: {}.",
                later.join(", ")
            );
        }
    }
    check(&path, &format!("{before}{heading}{keys}"));
}

#[test]
fn the_plans_of_the_reference_can_be_run() {
    let text = std::fs::read_to_string(root().join("docs/plan.md")).unwrap();
    let plans: Vec<&str> =
        text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let plans: Vec<&str> = plans.into_iter().filter(|plan| plan.starts_with("name:")).collect();
    assert_eq!(plans.len(), 7);
    for plan in plans {
        parse(plan, Path::new("/plans/p.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn every_plan_of_the_examples_can_be_run() {
    let mut seen = 0;
    let examples =
        std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    for example in examples.filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(example).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                Plan::read(&path).unwrap_or_else(|problems| panic!("{problems}"));
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn every_example_of_a_key_is_read() {
    for object in OBJECTS {
        for key in object.keys {
            let in_item = |rest: &str| format!("work: {{ a: {{ command: [x], {rest} }} }}\n");
            let head =
                |rest: &str| format!("name: p\nbudget: {{ sessions: 50, duration: 1h }}\n{rest}\n");
            let text = match (object.name, key.name) {
                ("plan", "name" | "budget" | "work") => continue,
                ("plan", "gates") => {
                    head(&format!("{}\nwork: {{ tests: {{ command: [x] }} }}", key.example))
                }
                ("plan", _) => head(&format!("{}\nwork: {{ a: {{ command: [x] }} }}", key.example)),
                ("budget", "sessions") | ("budget", "duration") => continue,
                ("budget", _) => {
                    format!(
                        "name: p\nbudget: {{ sessions: 5, duration: 1h, {} }}\n{}",
                        key.example,
                        in_item("usage: result")
                    )
                }
                ("runner", "command" | "shell") => continue,
                ("runner", _) => head(&format!(
                    "runners: {{ r: {{ command: [x], {} }} }}\n{}",
                    key.example,
                    in_item("priority: 1")
                )),
                (
                    "item",
                    "runner" | "command" | "shell" | "plan" | "matrix" | "width" | "on_exhausted",
                ) => continue,
                ("item", "when") => {
                    let other = "work: { b: { command: [y], route: [{ to: a }] },";
                    head(&in_item(key.example).replace("work: {", other))
                }
                ("item", "route") | ("route", _) => {
                    let rule = match (object.name, key.name) {
                        ("item", _) => key.example.to_owned(),
                        (_, "to" | "then") => format!("route: [{{ {} }}]", key.example),
                        _ => format!("route: [{{ then: end, {} }}]", key.example),
                    };
                    let other = "work: { b: { command: [y], when: routed },";
                    let other = if rule.contains("to:") { other } else { "work: {" };
                    head(&in_item(&rule).replace("work: {", other))
                }
                ("item", "needs") => head(
                    &in_item(&key.example.replace("models", "b"))
                        .replace("work: {", "work: { b: { command: [y] },"),
                ),
                ("need", name) => {
                    let of = match name {
                        "item" | "signal" | "gate" | "key" | "approval" => "",
                        "about" | "from" | "success" => "signal: done, ",
                        "at_least" => "gate: coverage, ",
                        _ => "key: state/phase, ",
                    };
                    let least = if name == "gate" { ", at_least: 0.8" } else { "" };
                    let needs = format!("needs: [{{ {of}{}{least} }}]", key.example);
                    head(
                        &in_item(&needs.replace("models", "b"))
                            .replace("work: {", "work: { b: { command: [y] },"),
                    )
                }
                ("item", "capabilities") => head(&format!(
                    "runners: {{ r: {{ command: [x], {0} }} }}\nwork: {{ a: {{ {0} }} }}",
                    key.example
                )),
                ("item", "limits") => head(&in_item(&format!("usage: result, {}", key.example))),
                ("item", _) => head(&in_item(key.example)),
                ("on_end", _) => head(&format!(
                    "on_end: {{ {} }}\nwork: {{ a: {{ command: [x] }} }}",
                    key.example
                )),
                ("breaker", "failures") => continue,
                ("breaker", _) => head(&format!(
                    "breaker: {{ failures: 2, {} }}\n{}",
                    key.example,
                    in_item("priority: 1")
                )),
                ("retry", name) => {
                    let backoff =
                        if name == "attempts" || name == "backoff" { "" } else { ", backoff: 1s" };
                    head(&in_item(&format!("retry: {{ {}{backoff} }}", key.example)))
                }
                ("limits", _) => {
                    head(&in_item(&format!("usage: result, limits: {{ {} }}", key.example)))
                }
                ("check", "timeout") => {
                    head(&in_item(&format!("check: {{ command: [y], {} }}", key.example)))
                }
                ("check", _) => head(&in_item(&format!("check: {{ {} }}", key.example))),
                ("env_from", "default") => {
                    head(&in_item(&format!("env: {{ A: {{ from: B, {} }} }}", key.example)))
                }
                ("env_from" | "env_text" | "env_secret", _) => {
                    head(&in_item(&format!("env: {{ A: {{ {} }} }}", key.example)))
                }
                ("secret_command", _) => {
                    head(&in_item(&format!("env: {{ A: {{ secret: {{ {} }} }} }}", key.example)))
                }
                ("stdin_file", "file") => head(&in_item(&format!("stdin: {{ {} }}", key.example))),
                ("stdin_file", _) => {
                    head(&in_item(&format!("stdin: {{ file: f, {} }}", key.example)))
                }
                ("input_value", _) => {
                    head(&in_item(&format!("input: {{ a: {{ {} }} }}", key.example)))
                }
                ("output_file", "file") => {
                    head(&in_item(&format!("output: {{ a: {{ {} }} }}", key.example)))
                }
                ("output_file", _) => {
                    head(&in_item(&format!("output: {{ a: {{ file: f, {} }} }}", key.example)))
                }
                ("gate", _) => head(&format!(
                    "gates: {{ coverage: {{ {} }} }}\nwork: {{ tests: {{ command: [x] }} }}",
                    key.example
                )),
                ("signal", _) => head(&format!(
                    "signals: {{ done: {{ {} }} }}\nwork: {{ tests: {{ command: [x] }} }}",
                    key.example
                )),
                (object, key) => panic!("no plan for {object}.{key}"),
            };
            parse(&text, Path::new("/plans/p.yaml")).unwrap_or_else(|problems| {
                panic!("{}.{}: {problems}\n{text}", object.name, key.name)
            });
        }
    }
}

/// What an editor reads in a plan's first line.
const MODELINE: &str = "# yaml-language-server: $schema=";

#[test]
fn every_example_names_a_schema_that_is_there() {
    let named = root().join("docs/plan.schema.json").canonicalize().unwrap();
    let mut seen = 0;
    for example in std::fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        for file in std::fs::read_dir(&example).unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&file).unwrap();
                let schema = text.lines().next().unwrap().strip_prefix(MODELINE);
                let schema = schema.and_then(|path| example.join(path).canonicalize().ok());
                assert_eq!(schema.as_ref(), Some(&named), "{}", file.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 3, "{seen}");
    assert!(std::fs::read_to_string(root().join("docs/plan.md")).unwrap().contains(MODELINE));
}
