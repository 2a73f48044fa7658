//! Reading one item.

use std::collections::{BTreeMap, BTreeSet};

use super::conduct;
use super::{Runners, argv, check_name, pausing, retry, run, template};
use crate::coordination::FailurePolicy;
use crate::plan::draft::{Axis, How, InputDraft, ItemDraft, OutputDraft, Parameter, RunDraft};
use crate::plan::fields::{Fields, Other, listed, meant, short, unknown_key};
use crate::plan::keys;
use crate::plan::node::{Node, Value};
use crate::plan::problem::{Finding, ProblemCode};
use crate::plan::source::Spanned;
use crate::plan::template::{Template, is_name};
use crate::plan::units::Millis;

/// The ways to carry out an item, of which each has one.
const WAYS: &[&str] = &["runner", "command", "shell", "plan"];

/// Keys that mean nothing for a nested plan, whose items say them.
const NOT_OF_PLANS: &[&str] = &["input", "output", "grace", "env", "stdin", "usage", "check"];

/// Most lists of a matrix.
const MAX_AXES: usize = 16;

const POLICIES: [(&str, FailurePolicy); 3] = [
    ("skip_dependents", FailurePolicy::SkipDependents),
    ("continue", FailurePolicy::Continue),
    ("abort", FailurePolicy::Abort),
];

pub(super) fn read(
    id: &Spanned<String>,
    node: &Node,
    runners: &Runners,
    finding: &mut Finding<'_>,
) -> ItemDraft {
    let mut item = blank(id);
    let Some((fields, others)) = Fields::split(node, &keys::ITEM, finding) else { return item };
    item.how = how(&fields, id, runners, finding);
    parameters(&mut item, &others, fields.get("runner").is_some(), runners, finding);
    item.matrix = fields.get("matrix").map(|node| matrix(node, finding)).unwrap_or_default();
    item.conduct = conduct::read(&fields, finding);
    for (name, value) in
        fields.get("input").and_then(|node| finding.entries(node, "files")).unwrap_or_default()
    {
        if let Some(input) =
            part_name("an input", name, finding).and_then(|()| input(value, finding))
        {
            item.input.insert(name.value.clone(), (input, value.span));
        }
    }
    item.output = fields.get("output").map(|node| output(node, finding)).unwrap_or_default();
    for need in fields.get("needs").and_then(|node| finding.list(node, "ids")).unwrap_or_default() {
        item.needs.extend(self::need(need, finding));
    }
    item.group = fields.get("group").and_then(|node| finding.text(node));
    if let Some(group) = &item.group {
        check_name("group", group, finding);
    }
    if let Some(node) = fields.get("priority") {
        let number = finding.integer(node, i32::MIN.into(), i32::MAX.into());
        item.priority = number.and_then(|number| i32::try_from(number).ok()).unwrap_or_default();
    }
    item.critical = fields.get("critical").and_then(|node| finding.flag(node)).unwrap_or_default();
    item.retry = fields.get("retry").map(|node| retry(node, finding));
    item.check = fields.get("check").and_then(|node| check(node, finding));
    item.on_failure = fields
        .get("on_failure")
        .and_then(|node| finding.choice(node, &POLICIES))
        .unwrap_or_default();
    item.pausing = fields.get("on_exhausted").and_then(|node| pausing(node, finding));
    item.agent = fields.get("as").and_then(|node| template(node, finding));
    if let Some(node) = fields.get("width") {
        item.width = finding.integer(node, 1, 10_000).and_then(|number| u32::try_from(number).ok());
        if fields.get("matrix").is_none() {
            let message = "`width` is how many cells run at a time, and there is no `matrix`";
            finding
                .problem(ProblemCode::Conflict, node.span, message)
                .hint("the run's own limit is the plan's `concurrency`");
        }
    }
    if let (Some(node), Some(group)) = (fields.get("width"), &item.group) {
        let message = format!(
            "with `width` the cells are a group of their own, so they cannot be in `{}`",
            short(&group.value)
        );
        finding
            .problem(ProblemCode::Conflict, node.span, message)
            .hint("leave out one of `width` and `group`");
    }
    if let Some(node) = fields.get("on_exhausted").filter(|_| fields.get("plan").is_none()) {
        let message = "an item has a budget of its own only with `plan`";
        finding
            .problem(ProblemCode::Conflict, node.span, message)
            .hint("`on_exhausted` of the whole run stands beside `budget`");
    }
    if let Some(plan) = fields.get("plan") {
        for name in fields.present(NOT_OF_PLANS) {
            let span = fields.get(name).map_or(plan.span, |node| node.span);
            let message = format!(
                "`{name}` means nothing beside `plan`; the items of the nested plan say it"
            );
            finding.problem(ProblemCode::Conflict, span, message);
        }
        if let Some(node) =
            fields.get("limits").filter(|_| item.conduct.limits != Default::default())
        {
            let message = "a nested plan has no processes of its own; only `tokens` and `cost` mean something here";
            finding.problem(ProblemCode::Conflict, node.span, message);
        }
    }
    item
}

fn blank(id: &Spanned<String>) -> ItemDraft {
    ItemDraft {
        id: id.clone(),
        how: How::Broken,
        parameters: BTreeMap::new(),
        input: BTreeMap::new(),
        output: OutputDraft::Any,
        needs: Vec::new(),
        group: None,
        priority: 0,
        critical: false,
        retry: None,
        conduct: Default::default(),
        check: None,
        on_failure: FailurePolicy::default(),
        pausing: None,
        agent: None,
        matrix: Vec::new(),
        width: None,
    }
}

fn how(
    fields: &Fields<'_>,
    id: &Spanned<String>,
    runners: &Runners,
    finding: &mut Finding<'_>,
) -> How {
    let way = match fields.present(WAYS).as_slice() {
        [way] => *way,
        [] => {
            let message = format!("nothing says how `{}` is carried out", short(&id.value));
            finding
                .problem(ProblemCode::MissingKey, id.span, message)
                .hint(format!("give it one of {}", listed(WAYS)));
            return How::Broken;
        }
        several => {
            let message = format!(
                "{} exclude each other; an item is carried out in one way",
                listed(several)
            );
            finding.problem(ProblemCode::Conflict, id.span, message);
            return How::Broken;
        }
    };
    let name = |finding: &mut Finding<'_>| fields.get(way).and_then(|node| finding.text(node));
    match way {
        "runner" => match name(finding) {
            Some(runner) if runners.contains_key(&runner.value) => How::Runner(runner),
            Some(runner) => {
                let known: Vec<&str> = runners.keys().map(String::as_str).collect();
                let hint = meant(&runner.value, known.iter().copied()).or_else(|| {
                    match known.as_slice() {
                        [] => Some("describe it under `runners`".to_owned()),
                        known => Some(format!("there are {}", listed(known))),
                    }
                });
                let message = format!("there is no runner `{}`", short(&runner.value));
                finding.problem(ProblemCode::UnknownRunner, runner.span, message).hint_if(hint);
                How::Broken
            }
            None => How::Broken,
        },
        "plan" => {
            fields.get(way).and_then(|node| template(node, finding)).map_or(How::Broken, How::Plan)
        }
        _ => run(fields, finding).map_or(How::Broken, How::Own),
    }
}

/// Sorts what is no key of items into parameters of the runner and mistakes.
fn parameters(
    item: &mut ItemDraft,
    others: &[Other<'_>],
    by_runner: bool,
    runners: &Runners,
    finding: &mut Finding<'_>,
) {
    let none = BTreeSet::new();
    let names: &BTreeSet<String> = match &item.how {
        How::Runner(runner) => {
            runners.get(&runner.value).map_or(&none, |runner| &runner.parameters)
        }
        // Which keys are parameters of a runner that is not known nobody can say; those that are
        // nearly keys of items are mistakes.
        How::Broken if by_runner => {
            for (key, _) in others {
                if !finding.is_full() && meant(&key.value, keys::ITEM.names().into_iter()).is_some()
                {
                    unknown_key(key, &keys::ITEM, &none, finding);
                }
            }
            return;
        }
        _ => &none,
    };
    for (key, value) in others {
        if !names.contains(&key.value) {
            unknown_key(key, &keys::ITEM, names, finding);
            continue;
        }
        if matches!(value.value, Value::List(_) | Value::Map(_)) {
            let message =
                format!("`{}` is one argument, so it cannot be {}", key.value, value.kind());
            finding
                .problem(ProblemCode::WrongType, value.span, message)
                .hint("a value is never split; give several parameters, or a file");
            // It is given, if badly; that it lacks would be a second problem.
            item.parameters
                .insert(key.value.clone(), Parameter { key: key.span, value: Template::default() });
            continue;
        }
        let read = template(value, finding).map_or_else(Template::default, |read| read.value);
        item.parameters.insert(key.value.clone(), Parameter { key: key.span, value: read });
    }
}

fn need(node: &Node, finding: &mut Finding<'_>) -> Option<Spanned<Template>> {
    let Value::Map(entries) = &node.value else { return template(node, finding) };
    if finding.source().slice(node.span).starts_with("{{") {
        return None;
    }
    let (what, span) =
        entries.first().map_or(("", node.span), |(key, _)| (key.value.as_str(), key.span));
    let reserved = ["gate", "signal", "key", "approval", "lease", "route"].contains(&what);
    if reserved {
        let message =
            format!("a need on a {what} is reserved, and not yet supported by this version");
        finding
            .problem(ProblemCode::NotYetSupported, span, message)
            .hint("needs are ids of items, groups and matrices");
    } else {
        finding.wrong(node, "the id of an item or a group");
    }
    None
}

fn matrix(node: &Node, finding: &mut Finding<'_>) -> Vec<Axis> {
    let mut axes = Vec::new();
    let entries = finding.entries(node, "lists of values").unwrap_or_default();
    if entries.is_empty() && matches!(node.value, Value::Map(_)) {
        finding.problem(ProblemCode::BadValue, node.span, "a matrix needs at least one list");
    }
    if entries.len() > MAX_AXES {
        let message =
            format!("this matrix has {} lists; at most {MAX_AXES} are allowed", entries.len());
        finding.problem(ProblemCode::TooLarge, node.span, message);
        return axes;
    }
    for (name, value) in entries {
        if !is_name(&name.value) || keys::ITEM.key(&name.value).is_some() {
            let message = format!("`{}` cannot name a parameter", short(&name.value));
            let hint = "parameters begin with a letter, go on with letters, digits, `_` or `-`, and are no keys of items";
            finding.problem(ProblemCode::BadId, name.span, message).hint(hint);
            continue;
        }
        let Some(list) = finding.list(value, "values") else { continue };
        if list.is_empty() {
            finding.problem(
                ProblemCode::BadValue,
                value.span,
                format!("`{}` has no values, so the matrix has no cells", name.value),
            );
        }
        let mut values: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        for entry in list {
            let Some(text) = finding.text(entry) else { continue };
            let unfit = |c: char| c.is_control() || "[],{}".contains(c);
            if text.value.is_empty() || text.value.contains(unfit) {
                let message = "a value of a matrix is part of an id: not empty, without brackets, braces, commas and control characters";
                finding.problem(ProblemCode::BadId, text.span, message);
            } else if !known.insert(text.value.clone()) {
                finding.problem(
                    ProblemCode::BadValue,
                    text.span,
                    format!("`{}` stands twice in this list", short(&text.value)),
                );
            } else {
                values.push(text.value);
            }
        }
        axes.push(Axis { name: name.clone(), values });
    }
    axes
}

fn part_name(what: &str, name: &Spanned<String>, finding: &mut Finding<'_>) -> Option<()> {
    if is_name(&name.value) {
        return Some(());
    }
    let message = format!("`{}` cannot name {what}", short(&name.value));
    finding
        .problem(ProblemCode::BadId, name.span, message)
        .hint("such names begin with a letter or `_` and go on with letters, digits, `_` or `-`");
    None
}

fn input(node: &Node, finding: &mut Finding<'_>) -> Option<InputDraft> {
    if !matches!(node.value, Value::Map(_)) {
        return template(node, finding).map(|path| InputDraft::File(path.value));
    }
    let fields = Fields::read(node, &keys::INPUT_VALUE, finding)?;
    template(fields.get("value")?, finding).map(|value| InputDraft::Value(value.value))
}

fn output(node: &Node, finding: &mut Finding<'_>) -> OutputDraft {
    match &node.value {
        Value::List(entries) => {
            let mut names = BTreeSet::new();
            for name in entries.iter().filter_map(|entry| finding.text(entry)).collect::<Vec<_>>() {
                if part_name("an output", &name, finding).is_some() {
                    names.insert(name.value);
                }
            }
            OutputDraft::Names(names)
        }
        Value::Map(entries) => {
            let mut files = BTreeMap::new();
            for (name, value) in entries {
                if let Some(path) =
                    part_name("an output", name, finding).and_then(|()| template(value, finding))
                {
                    files.insert(name.value.clone(), path);
                }
            }
            OutputDraft::Files(files)
        }
        _ => {
            finding.wrong(node, "a list of names, or a mapping from names to files");
            OutputDraft::Any
        }
    }
}

fn check(node: &Node, finding: &mut Finding<'_>) -> Option<(RunDraft, Option<Millis>)> {
    if !matches!(node.value, Value::Map(_)) {
        return Some((RunDraft::Argv(argv(node, finding)?), None));
    }
    let fields = Fields::read(node, &keys::CHECK, finding)?;
    match fields.present(&["command", "shell"]).as_slice() {
        [_] => {}
        [] => {
            finding.problem(
                ProblemCode::MissingKey,
                node.span,
                "a check needs `command` or `shell`",
            );
            return None;
        }
        both => {
            finding.problem(
                ProblemCode::Conflict,
                node.span,
                format!("{} exclude each other", listed(both)),
            );
            return None;
        }
    }
    let timeout = fields.get("timeout").and_then(|node| finding.duration(node));
    Some((run(&fields, finding)?, timeout))
}
