//! What holds for any text that is given as a plan: reading ends, every problem has its place, and
//! what has none can be compiled.

#![allow(clippy::unwrap_used, reason = "a broken law fails the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use antiphon::plan::{CommandSpec, Environment, Origin, Plan, PlanError, PlanSpec, parse};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const EVERY_KEY: &str = include_str!("plan/every_key.yaml");

/// Reads a text and holds the laws against what comes of it.
fn check(text: &str) {
    let path = Path::new("/plans/p.yaml");
    match parse(text, path) {
        Err(problems) => check_problems(text, &problems),
        Ok(plan) => {
            let _outline = plan.outline().mermaid();
            match plan.compile(&Environment::Of(BTreeMap::new())) {
                Err(problems) => check_problems(text, &problems),
                Ok(compiled) => {
                    for blob in &compiled.blobs {
                        let read = CommandSpec::from_bytes(blob).map(|spec| spec.to_bytes());
                        let read = read
                            .or_else(|_| PlanSpec::from_bytes(blob).map(|spec| spec.to_bytes()))
                            .or_else(|_| Origin::from_bytes(blob).map(|origin| origin.to_bytes()))
                            .unwrap();
                        assert_eq!(read, *blob);
                    }
                }
            }
        }
    }
}

fn check_problems(text: &str, problems: &PlanError) {
    assert!(!problems.diagnostics.is_empty());
    assert!(problems.diagnostics.len() <= 100);
    for problem in &problems.diagnostics {
        assert!(!problem.message.is_empty());
        let Some(place) = &problem.place else { continue };
        assert!(place.line >= 1 && place.line <= text.split('\n').count(), "{problem:?}");
        assert!(place.column >= 1);
        assert!(place.text.chars().count() <= 162);
        assert!(place.text.get(place.mark.clone()).is_some(), "{problem:?}");
    }
    let _shown = problems.to_string();
}

const WORDS: &[&str] = &[
    "name",
    "budget",
    "work",
    "runners",
    "sessions",
    "duration",
    "command",
    "needs",
    "matrix",
    "width",
    "group",
    "retry",
    "env",
    "secret",
    "input",
    "output",
    "limits",
    "check",
    "plan",
    "{{",
    "}}",
    "{{a}}",
    "{{a.output.b}}",
    "\"",
    "'",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\n  ",
    "\n    ",
    "|\n",
    "&a ",
    "*a",
    "!t ",
    "<<",
    "? ",
    "#",
    "10m",
    "5",
    "a",
    "b",
    "~",
    "\t",
    "\u{feff}",
    "\u{0}",
    "ü",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "\\",
    "\r\n",
    "\u{2028}",
];

/// Pieces that plans are made of, well and badly put together.
fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(select(WORDS), 0..60).prop_map(|pieces| pieces.concat())
}

/// A plan that makes sense, with some of its text exchanged, doubled or taken out.
fn mutated() -> impl Strategy<Value = String> {
    let mutation = (
        any::<Index>(),
        any::<Index>(),
        0..12_usize,
        select(&["cut", "copy", "swap", "word"][..]),
        pieces(),
    );
    prop::collection::vec(mutation, 1..6).prop_map(|mutations| {
        let mut text: Vec<char> = EVERY_KEY.chars().collect();
        for (from, to, length, what, piece) in mutations {
            if text.is_empty() {
                break;
            }
            let (from, to) = (from.index(text.len()), to.index(text.len()));
            let end = (from + length).min(text.len());
            let part: Vec<char> = text[from..end].to_vec();
            match what {
                "cut" => drop(text.drain(from..end)),
                "copy" => drop(text.splice(to..to, part)),
                "swap" => text.swap(from, to),
                _ => drop(text.splice(from..end, piece.chars().take(length))),
            }
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_to_its_end(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn pieces_of_plans_are_read_to_their_end(text in pieces()) {
        check(&text);
        check(&format!("name: a\nbudget: {{ sessions: 5, duration: 1m }}\nwork:\n  a: {{ {text} \
            }}\n"));
        check(&format!("name: a\nbudget: {{ sessions: 5, duration: 1m }}\nwork:\n  a:\n    \
            command: [x]\n    {text}\n"));
    }

    #[test]
    fn mutated_plans_are_read_to_their_end(text in mutated()) {
        check(&text);
    }

    #[test]
    fn any_bytes_in_a_file_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.yaml");
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(Plan::read(&path).is_err());
    }

    #[test]
    fn durations_sizes_and_counts_read_back_as_they_are_written(
        millis in prop_oneof![1..100_000_u64, 1..10_000_000_000_000_000_u64],
        bytes in any::<u64>(),
        count in 1..u64::MAX,
        cost in 1..u64::MAX,
        jitter in 0..=1_000_000_u32,
    ) {
        use antiphon::plan::{Bytes, Cost, Count, Millis, Share};
        let text = format!(
            "name: p\nbudget: {{ sessions: 1, duration: {}, tokens: {}, cost: {} }}\nretry: {{ backoff: 1s, jitter: {} }}\n\
             work: {{ a: {{ command: [x], usage: result, limits: {{ memory: {} }} }} }}\n",
            Millis(millis), Count(count), Cost { millionths: cost, currency: "EUR".into() }, Share(jitter), Bytes(bytes)
        );
        let compiled = parse(&text, Path::new("/p.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
        let compiled = compiled.compile(&Environment::Unknown).unwrap();
        let budget = compiled.config.budget();
        prop_assert_eq!(budget.max_duration_ticks(), millis);
        prop_assert_eq!(budget.max_tokens(), Some(count));
        prop_assert_eq!(budget.max_cost(), Some(cost));
        prop_assert_eq!(compiled.config.work()[0].backoff.as_ref().unwrap().jitter_ppm, jitter);
        prop_assert_eq!(CommandSpec::from_bytes(&compiled.blobs[0]).unwrap().limits.memory, Some(Bytes(bytes)));
    }
}

/// The codes of what is wrong with a text, each once.
fn codes(text: &str) -> Vec<String> {
    check(text);
    let problems = parse(text, Path::new("/plans/p.yaml")).map(|_| ()).unwrap_err();
    let mut codes: Vec<String> = problems
        .diagnostics
        .iter()
        .map(|problem| serde_json::to_value(problem.code).unwrap().as_str().unwrap().to_owned())
        .collect();
    codes.dedup();
    codes
}

const HEAD: &str = "name: p\nbudget: { sessions: 4294967295, duration: 1m }\n";

#[test]
fn aliases_cannot_multiply_without_end() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let (before, aliases) = (level - 1, vec![format!("*a{}", level - 1); 10].join(", "));
        let _infallible = writeln!(text, "a{level}: &a{level} [{aliases}] # {before}");
    }
    assert_eq!(codes(&text), ["too-large"]);
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(60_000), vec!["*a"; 1_000].join(", "));
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn deep_nesting_is_refused() {
    assert_eq!(codes(&"[".repeat(100_000)), ["too-large"]);
    assert_eq!(codes(&"- ".repeat(100_000)), ["too-large"]);
    assert_eq!(codes(&"{a: ".repeat(50_000)), ["too-large"]);
    let mut text = String::new();
    for depth in 0..500 {
        let _infallible = writeln!(text, "{}a:", " ".repeat(depth));
    }
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn huge_texts_are_refused() {
    let text = format!("{HEAD}work: {{ a: {{ command: [x, {}] }} }}\n", "y".repeat(70_000));
    assert_eq!(codes(&text), ["too-large"]);
    let text = format!("{HEAD}work: {{ a: {{ command: [x, \"{}\"] }} }}\n", "{{".repeat(30_000));
    assert_eq!(codes(&text), ["bad-placeholder"]);
    let text = format!("{HEAD}work: {{ a: {{ command: [x, \"{}\"] }} }}\n", "{{a}}".repeat(10_000));
    assert_eq!(codes(&text), ["bad-placeholder"]);
}

#[test]
fn matrices_and_what_they_repeat_are_bounded() {
    let values: Vec<String> = (0..1_000).map(|value| value.to_string()).collect();
    let values = values.join(", ");
    let text = format!(
        "{HEAD}work: {{ a: {{ command: [\"{{{{x}}}}{{{{y}}}}\"], matrix: {{ x: [{values}], y: \
        [{values}] }} }} }}\n"
    );
    assert_eq!(codes(&text), ["too-large"]);
    let long = "y".repeat(60_000);
    let text = format!(
        "{HEAD}work: {{ a: {{ command: [\"{{{{x}}}}{long}\"], matrix: {{ x: [{values}] }} }} }}\n"
    );
    assert_eq!(codes(&text), ["too-large"]);
    let text = format!(
        "{HEAD}work:\n  a: {{ command: [\"{{{{x}}}}\"], matrix: {{ x: [{values}] }}, group: g }}\n  \
         b: {{ command: [\"{{{{x}}}}\"], matrix: {{ x: [{values}] }}, needs: [a] }}\n"
    );
    assert_eq!(codes(&text), ["too-large"]);
    let repeated = "{{x}}".repeat(5_000);
    let text = format!(
        "{HEAD}runners: {{ r: {{ command: [\"{repeated}\"] }} }}\nwork: {{ a: {{ runner: r, x: {} \
        }} }}\n",
        "z".repeat(60_000)
    );
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn thousands_of_problems_are_counted_and_not_all_told() {
    let mut text = format!("{HEAD}work:\n");
    for item in 0..9_000 {
        let _infallible =
            writeln!(text, "  i{item}: {{ command: [x], needs: [nowhere{item}], wrong: 1 }}");
    }
    let problems = parse(&text, Path::new("/plans/p.yaml")).map(|_| ()).unwrap_err();
    assert_eq!(problems.diagnostics.len(), 100);
    assert!(problems.left_out > 900, "{}", problems.left_out);
}

#[test]
fn ten_thousand_items_in_a_chain_are_compiled() {
    let mut text = format!("{HEAD}work:\n  i0: {{ command: [x] }}\n");
    for item in 1..10_000 {
        let _infallible = writeln!(text, "  i{item}: {{ command: [x], needs: [i{}] }}", item - 1);
    }
    let plan =
        parse(&text, Path::new("/plans/p.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    let compiled = plan.compile(&Environment::Unknown).unwrap();
    assert_eq!((compiled.config.work().len(), compiled.blobs.len()), (10_000, 1 + 1));
    assert_eq!(plan.outline().items.len(), 10_000);
    // The same as one circle.
    let circle = text.replacen("i0: { command: [x] }", "i0: { command: [x], needs: [i9999] }", 1);
    assert_eq!(codes(&circle), ["cycle"]);
}

#[test]
fn many_of_one_thing_are_read_without_looking_through_all_for_each() {
    let many =
        |of: fn(usize) -> String, count: usize| (0..count).map(of).collect::<Vec<_>>().join(", ");
    let text = format!(
        "{HEAD}work: {{ a: {{ command: [x], matrix: {{ {} }} }} }}\n",
        many(|n| format!("n{n}: [1]"), 50_000)
    );
    assert_eq!(codes(&text), ["too-large"]);
    let text = format!(
        "{HEAD}work: {{ a: {{ command: [x], matrix: {{ x: [{}] }} }} }}\n",
        many(|n| n.to_string(), 100_000)
    );
    assert_eq!(codes(&text), ["too-large"]);
    let holes = (0..10).map(|part| {
        let holes: String =
            (0..5_000).map(|hole| format!("{{{{p{}}}}}", part * 5_000 + hole)).collect();
        format!("\"{holes}\"")
    });
    let holes = holes.collect::<Vec<_>>().join(", ");
    let text = format!(
        "{HEAD}runners: {{ r: {{ command: [{holes}] }} }}\nwork: {{ a: {{ runner: r }} }}\n"
    );
    assert_eq!(codes(&text), ["missing-parameter"]);
    let text = format!(
        "{HEAD}env: {{ {} }}\nwork: {{ a: {{ command: [x] }} }}\n",
        many(|n| format!("A{n}: \"{{{{x}}}}\""), 40_000)
    );
    assert_eq!(codes(&text), ["bad-placeholder"]);
    let cells = many(|n| n.to_string(), 9_000);
    let text = format!(
        "{HEAD}env: {{ {} }}\nwork: {{ a: {{ command: [\"{{{{x}}}}\"], matrix: {{ x: [{cells}] }} \
        }} }}\n",
        many(|n| format!("A{n}: \"\""), 20_000)
    );
    assert_eq!(codes(&text), ["too-large"]);
}

#[test]
fn what_cells_repeat_without_placeholders_is_bounded_too() {
    let cells = (0..9_000).map(|cell| cell.to_string()).collect::<Vec<_>>().join(", ");
    let long = "y".repeat(60_000);
    for rest in [
        format!("shell: '{long}', env: {{ X: \"{{{{x}}}}\" }}"),
        format!("command: [\"{{{{x}}}}\"], output: {{ a: {long} }}"),
        format!("command: [\"{{{{x}}}}\"], env: {{ A: {{ from: B, default: {long} }} }}"),
        format!("command: [\"{{{{x}}}}\"], env: {{ A: {{ secret: {{ command: [{long}] }} }} }}"),
    ] {
        assert_eq!(
            codes(&format!("{HEAD}work: {{ a: {{ {rest}, matrix: {{ x: [{cells}] }} }} }}\n")),
            ["too-large"]
        );
    }
}
