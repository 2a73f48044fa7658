//! What a retry takes over, and why the rest runs again: from plans as they were and as they are.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use antiphon::coordination::WorkItemOutcome;
use antiphon::id::SessionId;
use antiphon::output_files::FileNow;
use antiphon::plan::{CommandSpec, Compiled, Environment, Plan, PlanSpec};
use antiphon::retry::{Asked, Composed, Decision, EarlierItem, EarlierRun, Retry};
use antiphon::{Digest, Forerunner, SkipReason, Version, WorkId, WorkSpec};

/// A plan that was run, or is to be run now.
struct Planned {
    compiled: Compiled,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

/// Compiles a plan as it lies in a directory, in a terminal with these variables.
fn planned_in(dir: &Path, text: &str, variables: &[(&str, &str)]) -> Planned {
    let path = dir.join("plan.yaml");
    std::fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let plan = Plan::read(&path).unwrap();
    let compiled = plan.compile(&Environment::Of(variables.collect())).unwrap();
    let blobs = compiled.blobs.iter().map(|blob| (Digest::of(blob), blob.clone())).collect();
    Planned { compiled, blobs }
}

fn planned(dir: &Path, text: &str) -> Planned {
    planned_in(dir, text, &[("HOME", "/home/a"), ("PATH", "/bin"), ("MODEL", "small")])
}

/// The same as a version recorded it that wrote what sessions inherit into each description.
fn recorded_with(plan: &Planned, inherited: &[(&str, &str)]) -> Planned {
    let mut blobs = plan.blobs.clone();
    let mut spec = plan.compiled.spec.clone();
    for item in &mut spec.work {
        let mut command = CommandSpec::from_bytes(&blobs[&item.input.unwrap()]).unwrap();
        command.env.extend(inherited.iter().map(|(name, value)| {
            let value = serde_json::from_value(serde_json::json!({ "text": value }));
            ((*name).to_owned(), value.unwrap())
        }));
        let bytes = command.to_bytes();
        item.input = Some(Digest::of(&bytes));
        blobs.insert(Digest::of(&bytes), bytes);
    }
    let config = spec.config().unwrap();
    Planned { compiled: Compiled { config, spec, ..plan.compiled.clone() }, blobs }
}

/// All items of a run of this plan, which succeeded but for these.
fn earlier(plan: &Planned, but: &[(&str, Option<WorkItemOutcome>)]) -> Vec<EarlierItem> {
    let outcome = |id: &WorkId| {
        let other = but.iter().find(|(name, _)| *id == **name);
        other.map_or(Some(WorkItemOutcome::Succeeded), |(_, outcome)| outcome.clone())
    };
    let items = plan.compiled.config.work().iter().map(|spec| EarlierItem {
        outcome: outcome(&spec.id),
        output: Some(Digest::of(spec.id.as_str().as_bytes())),
        files: None,
        session: None,
        left: left(spec, plan),
        spec: spec.clone(),
    });
    items.collect()
}

/// Its declared files, all as it left them.
fn left(spec: &WorkSpec, plan: &Planned) -> BTreeMap<String, FileNow> {
    let blob = spec.input.and_then(|input| plan.blobs.get(&input));
    let command = blob.and_then(|blob| CommandSpec::from_bytes(blob).ok());
    let outputs = command.map(|command| command.outputs).unwrap_or_default();
    let files = outputs.into_iter().filter(|(_, output)| output.file().is_some());
    files.map(|(name, _)| (name, FileNow::AsLeft)).collect()
}

fn run(id: &str, items: &[EarlierItem]) -> EarlierRun {
    let forerunner = Forerunner {
        coordination: id.parse().unwrap(),
        receipt: Digest::of(b"receipt"),
        version: Version(9),
        hash: Digest::of(id.as_bytes()),
    };
    EarlierRun { forerunner, items: items.to_vec(), below: BTreeMap::new() }
}

fn asked(ids: &[&str]) -> Asked {
    let items = ids.iter().map(|id| WorkId::new(id).unwrap()).collect();
    Asked { items, below: BTreeMap::new() }
}

fn composed(earlier: &EarlierRun, then: &Planned, now: &Planned, asked: &Asked) -> Composed {
    composed_of(earlier, then, now, asked, false)
}

fn composed_of(
    earlier: &EarlierRun,
    then: &Planned,
    now: &Planned,
    asked: &Asked,
    only_failed: bool,
) -> Composed {
    let blob = |digest: &Digest| {
        now.blobs.get(digest).or_else(|| then.blobs.get(digest)).map(Vec::as_slice)
    };
    let work = now.compiled.config.work();
    Retry { earlier, work, asked, only_failed, blob: &blob }.compose()
}

/// What is done with each item, in words.
fn in_words(Composed { work, decisions, .. }: &Composed) -> Vec<String> {
    let told = decisions.iter().zip(work).map(|(decision, item)| match decision {
        Decision::Run(reason) => {
            assert_eq!(item.reused, None);
            format!("{}: {reason}", item.id)
        }
        Decision::TakeOver { work, output, changed } => {
            assert_eq!(*output, Some(Digest::of(work.as_str().as_bytes())));
            let was = Some(work.clone()).filter(|work| *work != item.id);
            let reused = item.reused.as_ref().unwrap();
            assert_eq!((&reused.work, reused.output), (&was, *output));
            let from = was.map(|work| format!(" from {work}")).unwrap_or_default();
            let change = changed.as_ref().map(|change| format!(", changed: {change}"));
            format!("{}: taken over{from}{}", item.id, change.unwrap_or_default())
        }
    });
    told.collect()
}

fn decided_of(items: &[EarlierItem], then: &Planned, now: &Planned, ids: &[&str]) -> Vec<String> {
    in_words(&composed(&run("x", items), then, now, &asked(ids)))
}

fn decided(earlier: &[EarlierItem], then: &Planned, now: &Planned) -> Vec<String> {
    decided_of(earlier, then, now, &[])
}

const CHAIN: &str = "
name: chain
budget: { sessions: 20, duration: 10m }
work:
  a: { command: [make, a] }
  b: { command: [make, b], needs: [a] }
  c: { command: [make, c] }
  d: { command: [make, d], needs: [b, c] }
  e: { command: [make, e], needs: [d] }
";

#[test]
fn what_failed_was_skipped_or_never_ended_runs_again_with_what_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let plan = planned(dir.path(), CHAIN);
    assert_eq!(
        decided(&earlier(&plan, &[]), &plan, &plan),
        ["a: taken over", "b: taken over", "c: taken over", "d: taken over", "e: taken over"]
    );
    let skipped = WorkItemOutcome::Skipped(SkipReason::NeedFailed("b".parse().unwrap()));
    let failed = [("b", Some(WorkItemOutcome::Failed)), ("d", Some(skipped)), ("e", None)];
    assert_eq!(
        decided(&earlier(&plan, &failed), &plan, &plan),
        [
            "a: taken over",
            "b: it failed before",
            "c: taken over",
            "d: it was skipped before",
            "e: it did not come to its end before",
        ]
    );
    assert_eq!(
        decided(&earlier(&plan, &[("a", Some(WorkItemOutcome::Failed))]), &plan, &plan),
        [
            "a: it failed before",
            "b: it needs a, which runs again",
            "c: taken over",
            "d: it needs b, which runs again",
            "e: it needs d, which runs again",
        ]
    );
    assert_eq!(
        decided_of(&earlier(&plan, &[]), &plan, &plan, &["d"]),
        [
            "a: taken over",
            "b: taken over",
            "c: taken over",
            "d: it was asked for",
            "e: it needs d, which runs again",
        ]
    );
}

#[test]
fn a_change_of_what_is_done_is_named_and_no_other_is_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in.csv"), "1,2").unwrap();
    std::fs::create_dir(dir.path().join("elsewhere")).unwrap();
    std::fs::write(dir.path().join("elsewhere/in.csv"), "1,2").unwrap();
    let before = "
name: one
budget: { sessions: 20, duration: 10m }
work:
  a:
    command: [work, '{{input.data}}']
    env: { LEVEL: low, MODEL: { from: MODEL } }
    input: { data: in.csv, rate: { value: 3 } }
    output: { model: model.bin }
    check: [test, -f, model.bin]
    stdin: go
";
    let then = planned(dir.path(), before);
    let change = |from: &str, to: &str| {
        assert!(before.contains(from), "{from}");
        let now = planned(dir.path(), &before.replace(from, to));
        decided(&earlier(&then, &[]), &then, &now).remove(0)
    };
    assert_eq!(
        [
            change("[work, ", "[work, -v, "),
            change("LEVEL: low", "LEVEL: high"),
            change("LEVEL: low, ", ""),
            change("rate: { value: 3 }", "rate: { value: 4 }"),
            change("model: model.bin", "model: model.pt"),
            change("-f, model.bin]", "-s, model.bin]"),
            change("stdin: go", "stdin: stop"),
            change("    stdin: go", "    stdin: go\n    usage: claude"),
            change(
                "    stdin: go",
                "    stdin: go\n    retry: { attempts: 3 }\n    timeout: 5s\n    limits: { files: 99 }\n    priority: 3"
            ),
            change("sessions: 20", "sessions: 30"),
        ],
        [
            "a: changed: command",
            "a: changed: environment variable LEVEL",
            "a: changed: environment variable LEVEL",
            "a: changed: input rate",
            "a: changed: output model",
            "a: changed: check",
            "a: changed: standard input",
            "a: changed: usage",
            "a: taken over",
            "a: taken over",
        ]
    );
    // What sessions inherit from the terminal is no change, also where earlier versions recorded it
    // with each command; what the plan reads from it is one.
    let other = [("HOME", "/home/b"), ("TERM", "dumb"), ("MODEL", "small")];
    let now = planned_in(dir.path(), before, &other);
    assert_eq!(decided(&earlier(&then, &[]), &then, &now), ["a: taken over"]);
    let old = recorded_with(&then, &[("HOME", "/home/a"), ("TMPDIR", "/tmp/a")]);
    assert_ne!(old.compiled.config.digest(), then.compiled.config.digest());
    assert_eq!(decided(&earlier(&old, &[]), &old, &now), ["a: taken over"]);
    let now = planned_in(dir.path(), before, &[("PATH", "/bin"), ("MODEL", "large")]);
    assert_eq!(
        decided(&earlier(&then, &[]), &then, &now),
        ["a: changed: environment variable MODEL"]
    );
    let now = planned(&dir.path().join("elsewhere"), before);
    assert_eq!(decided(&earlier(&then, &[]), &then, &now), ["a: changed: directory"]);
    // Inputs are compared by what they hold.
    std::fs::write(dir.path().join("in.csv"), "1,3").unwrap();
    let now = planned(dir.path(), before);
    assert_eq!(decided(&earlier(&then, &[]), &then, &now), ["a: changed: input data"]);
    let mut altered = earlier(&then, &[]);
    altered[0].left.insert("model".to_owned(), FileNow::Changed);
    assert_eq!(decided(&altered, &then, &then), ["a: changed: output model"]);
    altered[0].left.insert("model".to_owned(), FileNow::Missing);
    assert_eq!(decided(&altered, &then, &then), ["a: changed: output model, which is missing"]);
    altered[0].left.clear();
    assert_eq!(
        decided(&altered, &then, &then),
        ["a: changed: output model, of which it is not recorded what it held"]
    );
}

#[test]
fn a_file_of_which_nobody_knows_what_it_held_is_taken_as_changed_unless_something_needed_makes_it()
{
    let dir = tempfile::tempdir().unwrap();
    let text = "
name: files
budget: { sessions: 20, duration: 10m }
work:
  make: { command: [make], output: { data: data.csv } }
  use: { command: [use], needs: [make], input: { data: '{{make.output.data}}' } }
  read: { command: [read], needs: [make], input: { data: data.csv } }
  other: { command: [read], input: { data: data.csv } }
";
    let then = planned(dir.path(), text);
    std::fs::write(dir.path().join("data.csv"), "1").unwrap();
    let now = planned(dir.path(), text);
    let unknown = "other: changed: input data, of which it is not recorded what it held";
    let expected = ["make: taken over", "use: taken over", "read: taken over", unknown];
    assert_eq!(decided(&earlier(&then, &[]), &then, &now), expected);
    assert_eq!(decided(&earlier(&then, &[]), &then, &then), expected);
}

const SWEEP: &str = "
name: sweep
budget: { sessions: 20, duration: 10m }
work:
  train:
    command: [train, '{{rate}}', '{{seed}}']
    matrix: { rate: [1, 2], seed: [7, 8] }
  best: { command: [best], needs: [train] }
  report: { command: [report], needs: [best] }
";

#[test]
fn cells_are_matched_by_their_parameters_and_groups_by_their_members() {
    let dir = tempfile::tempdir().unwrap();
    let then = planned(dir.path(), SWEEP);
    let grown = planned(dir.path(), &SWEEP.replace("rate: [1, 2]", "rate: [0, 1, 2]"));
    assert_eq!(
        decided(&earlier(&then, &[]), &then, &grown),
        [
            "train[0,7]: it is new",
            "train[0,8]: it is new",
            "train[1,7]: taken over",
            "train[1,8]: taken over",
            "train[2,7]: taken over",
            "train[2,8]: taken over",
            "best: it needs group train, in which train[0,7] runs again",
            "report: it needs best, which runs again",
        ]
    );
    let lists = "seed: [7, 8], rate: [1, 2]";
    let turned = planned(dir.path(), &SWEEP.replace("rate: [1, 2], seed: [7, 8]", lists));
    assert_eq!(
        decided(&earlier(&then, &[("train[2,7]", None)]), &then, &turned),
        [
            "train[7,1]: taken over from train[1,7]",
            "train[7,2]: it did not come to its end before",
            "train[8,1]: taken over from train[1,8]",
            "train[8,2]: taken over from train[2,8]",
            "best: it needs group train, in which train[7,2] runs again",
            "report: it needs best, which runs again",
        ]
    );
    assert_eq!(
        decided(&earlier(&then, &[]), &then, &turned)[4..],
        ["best: taken over", "report: taken over"]
    );
    let changed = planned(
        dir.path(),
        &SWEEP.replace("rate: [1, 2], seed: [7, 8]", lists).replace("[train,", "[train, --fast,"),
    );
    assert_eq!(
        decided(&earlier(&then, &[("train[2,7]", None)]), &then, &changed)[..4],
        [
            "train[7,1]: changed: command",
            "train[7,2]: it did not come to its end before",
            "train[8,1]: changed: command",
            "train[8,2]: changed: command",
        ]
    );
    let smaller = planned(dir.path(), &SWEEP.replace("rate: [1, 2]", "rate: [2]"));
    assert_eq!(
        decided(&earlier(&then, &[]), &then, &smaller),
        [
            "train[2,7]: taken over",
            "train[2,8]: taken over",
            "best: changed: needs",
            "report: it needs best, which runs again",
        ]
    );
}

#[test]
fn needs_that_are_not_the_same_are_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let then = planned(dir.path(), CHAIN);
    let more = planned(dir.path(), &CHAIN.replace("needs: [a]", "needs: [a, c]"));
    assert_eq!(decided(&earlier(&then, &[]), &then, &more)[1], "b: changed: needs");
    let less = planned(dir.path(), &CHAIN.replace(", needs: [a]", ""));
    assert_eq!(decided(&earlier(&then, &[]), &then, &less)[1], "b: changed: needs");
}

#[test]
fn what_succeeded_is_taken_over_as_it_was_where_only_what_failed_is_to_run() {
    let dir = tempfile::tempdir().unwrap();
    let then = planned(dir.path(), CHAIN);
    let edited = CHAIN.replace("[make, c]", "[make, -k, c]").replace("[make, d]", "[make, -k, d]");
    let now = planned(dir.path(), &format!("{edited}  f: {{ command: [make, f] }}\n"));
    let failed = [("d", Some(WorkItemOutcome::Failed)), ("e", None)];
    let earlier = run("x", &earlier(&then, &failed));
    let composed = composed_of(&earlier, &then, &now, &asked(&[]), true);
    assert_eq!(
        in_words(&composed),
        [
            "a: taken over",
            "b: taken over",
            "c: taken over, changed: command",
            "d: it failed before",
            "e: it did not come to its end before",
            "f: it is new",
        ]
    );
    // The record says what was carried out; what runs is as the plan has it now.
    let inputs = |work: &[WorkSpec]| -> Vec<_> { work.iter().map(|item| item.input).collect() };
    let (before, after) = (inputs(then.compiled.config.work()), inputs(now.compiled.config.work()));
    assert_eq!(inputs(&composed.work)[..3], before[..3]);
    assert_eq!(inputs(&composed.work)[3..], after[3..]);
    assert_ne!(before[2], after[2]);
}

#[test]
fn a_nested_plan_is_the_same_as_long_as_its_items_are() {
    let dir = tempfile::tempdir().unwrap();
    let outer = "
name: outer
budget: { sessions: 20, duration: 10m }
work:
  inner: { plan: inner.yaml }
  after: { command: [after], needs: [inner] }
";
    let inner = |text: &str| std::fs::write(dir.path().join("inner.yaml"), text).unwrap();
    inner(CHAIN);
    let then = planned(dir.path(), outer);
    let elsewhere = planned_in(dir.path(), outer, &[("HOME", "/home/b")]);
    let all = ["inner: taken over", "after: taken over"];
    assert_eq!(decided(&earlier(&then, &[]), &then, &elsewhere), all);
    inner(&CHAIN.replace("sessions: 20", "sessions: 30"));
    assert_eq!(decided(&earlier(&then, &[]), &then, &planned(dir.path(), outer)), all);
    inner(&CHAIN.replace("[make, d]", "[make, -k, d]"));
    assert_eq!(
        decided(&earlier(&then, &[]), &then, &planned(dir.path(), outer)),
        ["inner: changed: item d of its plan", "after: it needs inner, which runs again"]
    );
}

#[test]
fn a_nested_plan_is_gone_into_unless_all_of_it_is_to_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let outer = "
name: outer
budget: { sessions: 20, duration: 10m }
work:
  first: { command: [first] }
  inner: { plan: inner.yaml, needs: [first] }
  after: { command: [after], needs: [inner] }
";
    std::fs::write(dir.path().join("inner.yaml"), CHAIN).unwrap();
    let plan = planned(dir.path(), outer);
    let inner = |blobs: &[Vec<u8>], composed: &Composed| {
        let input = composed.work[1].input.unwrap();
        let blob = blobs.iter().find(|blob| Digest::of(blob) == input).unwrap();
        PlanSpec::from_bytes(blob).unwrap()
    };
    let nested = inner(&plan.compiled.blobs, &composed(&run("x", &[]), &plan, &plan, &asked(&[])));
    let failed = |name: &str| (name == "c").then_some(WorkItemOutcome::Failed);
    let items = nested.work.iter().map(|spec| EarlierItem {
        outcome: failed(spec.id.as_str()).or(Some(WorkItemOutcome::Succeeded)),
        output: None,
        files: None,
        session: None,
        left: BTreeMap::new(),
        spec: spec.clone(),
    });
    let child = run("x.2", &items.collect::<Vec<_>>());
    let mut earlier_run = run("x", &earlier(&plan, &[("inner", Some(WorkItemOutcome::Failed))]));
    earlier_run.below.insert("inner".parse().unwrap(), child.clone());
    let taken = |plan: &PlanSpec| -> Vec<String> {
        let taken = plan.work.iter().filter(|item| item.reused.is_some());
        taken.map(|item| item.id.to_string()).collect()
    };

    let failed = composed(&earlier_run, &plan, &plan, &asked(&[]));
    assert_eq!(
        in_words(&failed),
        ["first: taken over", "inner: it failed before", "after: it needs inner, which runs again"]
    );
    let retried = inner(&failed.blobs, &failed);
    assert_eq!(taken(&retried), ["a", "b"]);
    assert_eq!((retried.schema, &retried.forerunner), (2, &Some(child.forerunner.clone())));
    assert_eq!(retried.config().unwrap().forerunner(), Some(&child.forerunner));
    let older = PlanSpec { schema: 1, ..retried }.to_bytes();
    assert_eq!(
        PlanSpec::from_bytes(&older).unwrap_err().to_string(),
        "this is not a nested plan: it says what only schema 2 can"
    );

    // The earlier run had taken it over itself.
    let session: SessionId = "w.2.7".parse().unwrap();
    earlier_run.below.get_mut("inner").unwrap().items[0].session = Some(session.clone());
    let named = composed(&earlier_run, &plan, &plan, &asked(&[]));
    let named = inner(&named.blobs, &named);
    let reused = named.work[0].reused.as_ref().unwrap();
    assert_eq!((named.schema, reused.from.as_str(), &reused.session), (4, "x.2", &Some(session)));

    let below = BTreeMap::from([("inner".parse().unwrap(), asked(&["b"]))]);
    let within = Asked { items: BTreeSet::new(), below };
    earlier_run.items[1].outcome = Some(WorkItemOutcome::Succeeded);
    let within = composed(&earlier_run, &plan, &plan, &within);
    assert_eq!(in_words(&within)[1], "inner: an item of its plan was asked for");
    assert_eq!(taken(&inner(&within.blobs, &within)), ["a"]);

    for whole in ["inner", "first"] {
        let whole = composed(&earlier_run, &plan, &plan, &asked(&[whole]));
        assert_eq!(whole.blobs, Vec::<Vec<u8>>::new());
        assert_eq!(inner(&plan.compiled.blobs, &whole).forerunner, None);
    }
}

#[test]
fn a_description_that_is_gone_is_taken_as_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut then = planned(dir.path(), CHAIN);
    let now = planned(dir.path(), &CHAIN.replace("[make, a]", "[make, A]"));
    then.blobs.clear();
    assert_eq!(
        decided(&earlier(&then, &[]), &then, &now)[0],
        "a: changed: its description is gone or cannot be read"
    );
}

#[test]
fn of_two_thousand_cells_those_that_failed_run_and_what_needs_them() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = |count: u32| {
        let all: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        all.join(", ")
    };
    let matrix = format!("rate: [{}], seed: [{}]", numbers(50), numbers(40));
    let text = SWEEP.replace("rate: [1, 2], seed: [7, 8]", &matrix).replace("20,", "3000,");
    let then = planned(dir.path(), &text);
    let now = planned_in(dir.path(), &text, &[("HOME", "/home/b"), ("MODEL", "small")]);
    let ids = then.compiled.config.work().iter().map(|item| item.id.to_string());
    let names: Vec<String> = ids.step_by(30).take(59).collect();
    let failed: Vec<(&str, Option<WorkItemOutcome>)> =
        names.iter().map(|name| (name.as_str(), Some(WorkItemOutcome::Failed))).collect();
    let earlier = earlier(&then, &failed);
    let told = decided(&earlier, &then, &now);
    let runs: Vec<&String> = told.iter().filter(|line| !line.ends_with(": taken over")).collect();
    let mut expected: Vec<String> =
        names.iter().map(|name| format!("{name}: it failed before")).collect();
    expected.push("best: it needs group train, in which train[0,0] runs again".to_owned());
    expected.push("report: it needs best, which runs again".to_owned());
    assert_eq!(runs, expected.iter().collect::<Vec<_>>());
    assert_eq!(told.len(), 2_002);
}
