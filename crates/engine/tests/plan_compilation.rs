//! What plans come to: configurations, descriptions of commands and secrets, compared whole.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be read has failed the test")]

use std::collections::BTreeMap;
use std::path::Path;

use antiphon::coordination::{CoordinationConfig, Runner};
use antiphon::digest::Digest;
use antiphon::event::OnTripped;
use antiphon::id::WorkId;
use antiphon::plan::{
    CommandSpec, Compiled, Environment, MissingOutput, Plan, PlanSpec, RenderError, Rendered,
    RenderedEnv, RenderedStdin, SecretFrom, Wanted, parse,
};
use serde_json::{Value, json};

fn environment() -> Environment {
    let variables = [
        ("PATH", "/usr/bin"),
        ("HOME", "/home/ada"),
        ("UNRELATED", "x"),
        ("PROXY", "http://p"),
        ("API_KEY", "hunter2hunter2"),
    ];
    Environment::Of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

fn compiled(text: &str) -> Compiled {
    parse(text, Path::new("/plans/p.yaml"))
        .unwrap_or_else(|problems| panic!("{problems}"))
        .compile(&environment())
        .unwrap()
}

/// The description of an item's command.
fn command(compiled: &Compiled, work: &str) -> CommandSpec {
    let item = compiled.config.work().iter().find(|item| item.id == *work).unwrap();
    let blob = compiled.blobs.iter().find(|blob| Digest::of(blob) == item.input.unwrap()).unwrap();
    CommandSpec::from_bytes(blob).unwrap()
}

/// Everything that a plan comes to as JSON, with what the digests name in their place.
fn whole(compiled: &Compiled) -> Value {
    let secrets: Vec<String> =
        compiled.secrets.iter().map(|secret| format!("{secret:?}")).collect();
    let origin = serde_json::to_value(&compiled.origin).unwrap();
    json!({ "origin": origin, "config": config(&compiled.config, compiled), "widths": compiled.spec.widths.iter().map(|(group, width)| (group.to_string(), *width)).collect::<BTreeMap<_, _>>(), "secrets": secrets })
}

fn config(config: &CoordinationConfig, compiled: &Compiled) -> Value {
    let mut value = serde_json::to_value(config).unwrap();
    for (item, spec) in value["work"].as_array_mut().unwrap().iter_mut().zip(config.work()) {
        let blob =
            compiled.blobs.iter().find(|blob| Digest::of(blob) == spec.input.unwrap()).unwrap();
        item["input"] = serde_json::from_slice(blob).unwrap();
        if let Runner::Nested { sessions } = spec.runner {
            let (_, nested) =
                compiled.nested.iter().find(|(known, _)| Some(*known) == spec.input).unwrap();
            assert_eq!(nested.budget().max_episodes(), sessions);
            assert_eq!(PlanSpec::from_bytes(blob).unwrap().config().unwrap(), *nested);
            item["runner"] = json!("plan");
            item["input"] = self::config(nested, compiled);
        }
    }
    value
}

/// Compares with a file; with `UPDATE_TRANSCRIPTS` set, writes it.
#[track_caller]
fn check_file(name: &str, found: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan").join(name);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let found =
        serde_json::to_string_pretty(found).unwrap().replace(root.to_str().unwrap(), "<root>")
            + "\n";
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{name}: found:\n{found}\nUPDATE_TRANSCRIPTS=1 writes it anew");
}

#[test]
fn the_example_comes_to_this() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/plan/backtest/plan.yaml")
        .canonicalize()
        .unwrap();
    let plan = Plan::read(&path).unwrap_or_else(|problems| panic!("{problems}"));
    check_file("backtest.json", &whole(&plan.compile(&environment()).unwrap()));
}

#[test]
fn every_key_arrives_where_it_belongs() {
    check_file("every_key.json", &whole(&compiled(include_str!("plan/every_key.yaml"))));
}

#[test]
fn a_plan_that_was_recorded_comes_to_the_same_run() {
    let compiled = compiled(include_str!("plan/every_key.yaml"));
    let recorded = PlanSpec::from_bytes(&compiled.spec.to_bytes()).unwrap();
    assert_eq!(recorded, compiled.spec);
    let config = recorded.config().unwrap();
    assert_eq!(config.digest(), compiled.config.digest());
    assert_eq!(config.with_origin(compiled.config.origin()), compiled.config);
    let newer = String::from_utf8(compiled.spec.to_bytes()).unwrap().replacen(
        "\"schema\":1",
        "\"schema\":6",
        1,
    );
    let reported = PlanSpec::from_bytes(newer.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        reported,
        "this nested plan has schema 6, but this version reads up to 5; use the version that submitted it"
    );
}

#[test]
fn a_breaker_stops_pauses_or_is_off() {
    let plan = |breaker: &str| {
        format!(
            "name: p\nbudget: {{ sessions: 5, duration: 1h }}\n{breaker}\nwork: {{ a: {{ command: [x] }} }}\n"
        )
    };
    let read = |breaker: &str| {
        let compiled = compiled(&plan(breaker));
        let recorded = PlanSpec::from_bytes(&compiled.spec.to_bytes()).unwrap();
        let config = recorded.config().unwrap();
        assert_eq!(config.with_origin(compiled.config.origin()), compiled.config);
        (recorded.schema, recorded.breaker, recorded.on_tripped)
    };
    assert_eq!(read(""), (1, None, OnTripped::Stop));
    assert_eq!(read("breaker: 5"), (1, Some(5), OnTripped::Stop));
    assert_eq!(read("breaker: { failures: 5 }"), (1, Some(5), OnTripped::Stop));
    assert_eq!(read("breaker: { failures: 5, then: pause }"), (3, Some(5), OnTripped::Pause));
    assert_eq!(read("breaker: off"), (3, None, OnTripped::Ignore));

    let paused = compiled(&plan("breaker: { failures: 5, then: pause }")).spec;
    let older = PlanSpec { schema: 2, ..paused }.to_bytes();
    assert_eq!(
        PlanSpec::from_bytes(&older).unwrap_err().to_string(),
        "this is not a nested plan: it says what only schema 3 can"
    );

    let refused = |breaker: &str| {
        let reported = parse(&plan(breaker), Path::new("/plans/p.yaml")).unwrap_err().to_string();
        reported.lines().next().unwrap_or_default().split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(
        refused("breaker: never"),
        "expected a whole number, `off` or a mapping with `failures` and `then`, found text"
    );
    assert_eq!(refused("breaker: 0"), "expected a whole number from 1 to 1000000, found 0");
    assert_eq!(
        refused("breaker: { then: pause }"),
        "the breaker is missing `failures` (for example `failures: 3`)"
    );
    assert_eq!(
        refused("breaker: { failures: 1, then: end }"),
        "expected one of `stop`, `pause`, found `end`"
    );
}

#[test]
fn plans_are_nested_eight_deep_and_no_deeper() {
    let dir = tempfile::tempdir().unwrap();
    let plan = |depth: usize, work: &str| {
        let text = format!(
            "name: p{depth}\nbudget: {{ sessions: 9, duration: 1h }}\nwork: {{ a: {{ {work} }} }}\n"
        );
        std::fs::write(dir.path().join(format!("{depth}.yaml")), text).unwrap();
    };
    for depth in 0..9 {
        plan(depth, &format!("plan: {}.yaml", depth + 1));
    }
    plan(9, "command: [x]");
    let reported = Plan::read(dir.path().join("0.yaml"))
        .unwrap_err()
        .to_string()
        .replace(dir.path().to_str().unwrap(), "<dir>");
    assert_eq!(reported, "<dir>/8.yaml:3:20: plans are nested more than 8 levels deep");
    let compiled =
        Plan::read(dir.path().join("1.yaml")).unwrap().compile(&Environment::Unknown).unwrap();
    assert_eq!((compiled.nested.len(), compiled.blobs.len()), (8, 9 + 1));
}

#[test]
fn the_same_plan_comes_to_the_same_bytes() {
    let text = include_str!("plan/every_key.yaml");
    assert_eq!(compiled(text), compiled(text));
}

#[test]
fn a_value_stays_one_argument_whatever_is_in_it() {
    let compiled = compiled(
        "name: p
budget: { sessions: 3, duration: 1m }
runners: { py: { command: [python3, '{{script}}', '--x={{x}}'], env: { X: '{{x}}' } } }
work: { a: { runner: py, script: 'a b; rm -rf ~.py', x: '$(id) \"*\" {{\"{{\"}}' } }
",
    );
    let rendered = command(&compiled, "a").render(&BTreeMap::new()).unwrap();
    assert_eq!(rendered.argv, ["python3", "a b; rm -rf ~.py", "--x=$(id) \"*\" {{"]);
    assert_eq!(rendered.env["X"], RenderedEnv::Text("$(id) \"*\" {{".into()));
}

#[test]
fn outputs_are_filled_in_when_a_session_starts() {
    let compiled = compiled(
        "name: p
budget: { sessions: 9, duration: 1m }
work:
  models: { command: [gen], output: [path, count], group: made }
  cells: { command: [gen, '{{x}}'], matrix: { x: [1, 2] }, output: { lib: 'gen/{{x}}.so' } }
  use:
    command: [use, '{{models.output.path}}', '{{input.code}}', 'n={{models.output.count}}', '{{models.output}}']
    input: { code: '{{cells[2].output.lib}}', more: { value: '{{models.output.path}}!' }, notes: { value: 3 } }
    stdin: { file: '{{models.output.path}}' }
    check: [test, '{{input.code}}']
    env: { KEY: { secret: API_KEY } }
    needs: [made, cells]
",
    );
    let use_ = command(&compiled, "use");
    let id = |id: &str| WorkId::new(id).unwrap();
    let mut outputs: BTreeMap<WorkId, Vec<u8>> = BTreeMap::new();
    assert_eq!(use_.render(&outputs), Err(RenderError::NoOutput { work: id("models") }));
    outputs.insert(id("models"), br#"{"path":"a b.py"}"#.to_vec());
    outputs.insert(id("cells[2]"), br#"{"lib":"/plans/gen/2.so"}"#.to_vec());
    assert_eq!(
        use_.render(&outputs),
        Err(RenderError::NoName { work: id("models"), name: "count".into() })
    );
    outputs.insert(id("models"), b"[1]".to_vec());
    assert_eq!(
        use_.render(&outputs),
        Err(RenderError::NotText { work: id("models"), wanted: "a JSON object" })
    );
    outputs.insert(id("models"), br#"{"path":"a\u0000b","count":1}"#.to_vec());
    assert_eq!(
        use_.render(&outputs),
        Err(RenderError::Unusable { problem: "contains a NUL byte" })
    );

    outputs.insert(id("models"), br#"{"path":"a b.py","count":{"n":7}}"#.to_vec());
    let rendered = use_.render(&outputs).unwrap();
    let text = |text: &str| text.to_owned();
    let known = |name: &str| rendered.env.get(name).cloned();
    assert_eq!(known("KEY"), Some(RenderedEnv::Secret("API_KEY".into())));
    assert_eq!(known("PATH"), None, "what sessions inherit is no part of what an item does");
    assert_eq!(
        rendered,
        Rendered {
            argv: vec![
                text("use"),
                text("a b.py"),
                text("/plans/gen/2.so"),
                text(r#"n={"n":7}"#),
                text(r#"{"count":{"n":7},"path":"a b.py"}"#)
            ],
            env: rendered.env.clone(),
            stdin: Some(RenderedStdin::File("/plans/a b.py".into())),
            check: Some(vec![text("test"), text("/plans/gen/2.so")]),
            inputs: [("code", "/plans/gen/2.so"), ("more", "a b.py!"), ("notes", "3")]
                .map(|(k, v)| (text(k), text(v)))
                .into(),
        }
    );
}

#[test]
fn what_a_session_puts_out_is_held_against_the_plan() {
    let compiled = compiled(
        "name: p
budget: { sessions: 9, duration: 1m }
work:
  free: { command: [a] }
  files: { command: [a], output: { model: out/m.py } }
  names: { command: [a], output: [path] }
",
    );
    let put_out = |work: &str, result: Option<Value>, there: bool| {
        let output = command(&compiled, work).session_output(result.as_ref(), |_| there);
        output.map(|bytes| bytes.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap()))
    };
    assert_eq!(put_out("free", None, true), Ok(None));
    assert_eq!(put_out("free", Some(json!([1])), true), Ok(Some(json!([1]))));
    assert_eq!(
        put_out("files", Some(json!({ "more": 1 })), true),
        Ok(Some(json!({ "more": 1, "model": "/plans/out/m.py" })))
    );
    let absent = MissingOutput::NoFile { name: "model".into(), path: "/plans/out/m.py".into() };
    assert_eq!(put_out("files", None, false), Err(absent));
    assert_eq!(
        put_out("names", Some(json!({ "path": "x" })), true),
        Ok(Some(json!({ "path": "x" })))
    );
    assert_eq!(
        put_out("names", Some(json!("path")), true),
        Err(MissingOutput::NotInResult { name: "path".into() })
    );
}

#[test]
fn no_value_of_a_secret_is_in_what_a_plan_comes_to() {
    let compiled = compiled(
        "name: p
budget: { sessions: 9, duration: 1m }
env: { API_KEY: { secret: API_KEY } }
work: { a: { command: [a], env: { OTHER: { secret: { command: [pass, show, it] } } } } }
",
    );
    assert!(compiled.blobs.iter().all(|blob| !String::from_utf8_lossy(blob).contains("hunter2")));
    let sources: Vec<_> =
        compiled.secrets.into_iter().map(|secret| (secret.name, secret.from)).collect();
    let command = SecretFrom::Command {
        argv: ["pass", "show", "it"].map(str::to_owned).into(),
        dir: "/plans".into(),
    };
    assert_eq!(
        sources,
        [("API_KEY".to_owned(), SecretFrom::Variable), ("OTHER".to_owned(), command)]
    );
}

#[test]
fn what_is_missing_at_submission_is_reported_with_its_place() {
    let plan = parse(
        "name: p
budget: { sessions: 9, duration: 1m }
work:
  a: { command: [a], env: { PROXY: { from: PROXY }, GONE: { from: GONE }, KEPT: { from: GONE, default: x } } }
  b: { command: [a], env: { TOKEN: { secret: { command: [x] } } } }
  c: { command: [a], env: { OTHER: { secret: TOKEN } } }
",
        Path::new("/plans/p.yaml"),
    )
    .unwrap();
    let reported = plan.compile(&environment()).unwrap_err().to_string();
    assert_eq!(
        reported,
        "/plans/p.yaml:4:67: the environment variable `GONE` is not set (set it, or give a default: { from: GONE, default: .. })\n\
         /plans/p.yaml:6:46: the secret `TOKEN` has two different sources (rename one of the variables)"
    );
    // A check does not ask for an environment, but two sources of one secret it does see.
    assert_eq!(plan.compile(&Environment::Unknown).unwrap_err().diagnostics.len(), 1);
}

#[test]
fn what_a_plan_requires_is_all_that_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let head = "budget: { sessions: 9, duration: 1m }\n";
    let inner = format!(
        "name: inner\n{head}work: {{ c: {{ command: [c], env: {{ PROXY: {{ from: PROXY }}, IN: {{ \
        secret: INNER }} }} }} }}\n"
    );
    std::fs::write(dir.path().join("inner.yaml"), inner).unwrap();
    let outer = format!(
        "name: outer\n{head}work:\n  a: {{ command: [a], env: {{ KEY: {{ secret: API_KEY }}, KEPT: \
        {{ from: GONE, default: x }} }} }}\n  b: {{ plan: inner.yaml }}\n"
    );
    let plan = Plan::read_text(&outer, "outer.yaml", dir.path(), &Wanted::default()).unwrap();
    let required = plan.requirements(&environment()).unwrap();
    let names: Vec<&str> = required.variables.keys().map(String::as_str).collect();
    assert_eq!(names, ["HOME", "PATH", "PROXY"]);
    let secrets: Vec<&str> = required.secrets.iter().map(|secret| &*secret.name).collect();
    assert_eq!(secrets, ["API_KEY", "INNER"]);
    let compiled = plan.compile(&Environment::Of(required.variables)).unwrap();
    assert_eq!(compiled, plan.compile(&environment()).unwrap());
    assert_eq!(compiled.secrets, required.secrets);

    let without = Environment::Of(BTreeMap::new());
    let told = plan.requirements(&without).unwrap_err();
    assert_eq!(told, plan.compile(&without).unwrap_err());
}

#[test]
fn files_that_are_no_plans_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yaml");
    let reported = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Plan::read(&path).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "<dir>")
    };
    assert_eq!(
        reported(b"work: {}\nname: \xff"),
        "<dir>/p.yaml:2:7: this file is not UTF-8: byte 16 does not start a character (save it as \
        UTF-8)"
    );
    let utf16 = "<dir>/p.yaml: this file is UTF-16, but plans are UTF-8; save it as UTF-8";
    assert_eq!(
        [
            reported(b"\xff\xfen\0a\0"),
            reported(b"\xfe\xff\0n\0a"),
            reported(b"n\0a\0"),
            reported(b"\0n\0a")
        ],
        [utf16; 4]
    );
    assert_eq!(
        reported(&b"#".repeat((1 << 20) + 1)),
        "<dir>/p.yaml: this file is larger than 1 MiB"
    );
    let absent = Plan::read(dir.path())
        .unwrap_err()
        .to_string()
        .replace(dir.path().to_str().unwrap(), "<dir>");
    assert_eq!(absent, "<dir>: cannot read this file: it is a directory, not a regular file");
}

#[test]
fn sessions_must_be_enough_for_the_items_of_nested_plans_too() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, sessions: u32, work: &str| {
        let text =
            format!("name: p\nbudget: {{ sessions: {sessions}, duration: 1m }}\nwork:\n{work}");
        std::fs::write(dir.path().join(name), text).unwrap();
    };
    write("inner.yaml", 3, "  a: { command: [a] }\n  b: { command: [b] }\n");
    write("middle.yaml", 9, "  c: { command: [c] }\n  d: { plan: inner.yaml }\n");
    write(
        "outer.yaml",
        9,
        "  e: { plan: middle.yaml }\n  f: { plan: inner.yaml }\n  g: { command: [g] }\n",
    );
    assert!(Plan::read(dir.path().join("outer.yaml")).is_ok());
    write(
        "outer.yaml",
        8,
        "  e: { plan: middle.yaml }\n  f: { plan: inner.yaml }\n  g: { command: [g] }\n",
    );
    let reported = Plan::read(dir.path().join("outer.yaml")).unwrap_err().to_string();
    assert_eq!(
        reported.replace(dir.path().to_str().unwrap(), "<dir>"),
        "<dir>/outer.yaml:2:21: 8 sessions cannot be enough for 3 items and those of its nested \
        plans, which take at least 9"
    );
}

#[test]
fn an_input_must_be_there_unless_an_item_makes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yaml");
    let text = "name: p
budget: { sessions: 9, duration: 1m }
work:
  make: { command: [make], output: { code: gen/a.py } }
  use: { command: [use], input: { code: gen/a.py, other: ./gen/b.py, there: there.txt }, needs: [make] }
";
    std::fs::write(&path, text).unwrap();
    std::fs::write(dir.path().join("there.txt"), "x").unwrap();
    let reported =
        Plan::read(&path).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "<dir>");
    assert_eq!(
        reported,
        "<dir>/p.yaml:5:58: there is no file gen/b.py (paths start from the plan's directory; list \
        a file that an item creates in its `output`)"
    );
}
