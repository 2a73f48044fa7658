//! Reading one item.

use std::collections::{BTreeMap, BTreeSet};

use super::conduct;
use super::{Runners, argv, check_name, pausing, retry, run, template};
use crate::coordination::FailurePolicy;
use crate::plan::draft::{Axis, How, InputDraft, ItemDraft, OutputDraft, Parameter, RunDraft};
use crate::plan::fields::{Fields, Other, enumerate, shorten, suggestion, unknown_key};
use crate::plan::keys;
use crate::plan::node::{Node, Yaml};
use crate::plan::problem::{DiagnosticCode, Diagnostics};
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
    diagnostics: &mut Diagnostics<'_>,
) -> ItemDraft {
    let mut item = blank(id);
    let Some((fields, others)) = Fields::split(node, &keys::ITEM, diagnostics) else { return item };
    item.how = how(&fields, id, runners, diagnostics);
    parameters(&mut item, &others, fields.get("runner").is_some(), runners, diagnostics);
    item.matrix = fields.get("matrix").map(|node| matrix(node, diagnostics)).unwrap_or_default();
    item.conduct = conduct::read(&fields, diagnostics);
    for (name, value) in
        fields.get("input").and_then(|node| diagnostics.entries(node, "files")).unwrap_or_default()
    {
        if let Some(input) =
            part_name("an input", name, diagnostics).and_then(|()| input(value, diagnostics))
        {
            item.input.insert(name.value.clone(), (input, value.span));
        }
    }
    item.output = fields.get("output").map(|node| output(node, diagnostics)).unwrap_or_default();
    for need in
        fields.get("needs").and_then(|node| diagnostics.list(node, "ids")).unwrap_or_default()
    {
        item.needs.extend(self::need(need, diagnostics));
    }
    item.group = fields.get("group").and_then(|node| diagnostics.text(node));
    if let Some(group) = &item.group {
        check_name("group", group, diagnostics);
    }
    if let Some(node) = fields.get("priority") {
        let number = diagnostics.integer(node, i32::MIN.into(), i32::MAX.into());
        item.priority = number.and_then(|number| i32::try_from(number).ok()).unwrap_or_default();
    }
    item.critical =
        fields.get("critical").and_then(|node| diagnostics.flag(node)).unwrap_or_default();
    item.retry = fields.get("retry").map(|node| retry(node, diagnostics));
    item.check = fields.get("check").and_then(|node| check(node, diagnostics));
    item.on_failure = fields
        .get("on_failure")
        .and_then(|node| diagnostics.choice(node, &POLICIES))
        .unwrap_or_default();
    item.pausing = fields.get("on_exhausted").and_then(|node| pausing(node, diagnostics));
    item.agent = fields.get("as").and_then(|node| template(node, diagnostics));
    if let Some(node) = fields.get("width") {
        item.width =
            diagnostics.integer(node, 1, 10_000).and_then(|number| u32::try_from(number).ok());
        if fields.get("matrix").is_none() {
            let message = "`width` is how many cells run at a time, and there is no `matrix`";
            diagnostics
                .error(DiagnosticCode::Conflict, node.span, message)
                .hint("the run's own limit is the plan's `concurrency`");
        }
    }
    if let (Some(node), Some(group)) = (fields.get("width"), &item.group) {
        let message = format!(
            "with `width` the cells are a group of their own, so they cannot be in `{}`",
            shorten(&group.value)
        );
        diagnostics
            .error(DiagnosticCode::Conflict, node.span, message)
            .hint("leave out one of `width` and `group`");
    }
    if let Some(node) = fields.get("on_exhausted").filter(|_| fields.get("plan").is_none()) {
        let message = "an item has a budget of its own only with `plan`";
        diagnostics
            .error(DiagnosticCode::Conflict, node.span, message)
            .hint("`on_exhausted` of the whole run stands beside `budget`");
    }
    if let Some(plan) = fields.get("plan") {
        for name in fields.present(NOT_OF_PLANS) {
            let span = fields.get(name).map_or(plan.span, |node| node.span);
            let message = format!(
                "`{name}` means nothing beside `plan`; the items of the nested plan say it"
            );
            diagnostics.error(DiagnosticCode::Conflict, span, message);
        }
        if let Some(node) =
            fields.get("limits").filter(|_| item.conduct.limits != Default::default())
        {
            let message = "a nested plan has no processes of its own; only `tokens` and `cost` mean something here";
            diagnostics.error(DiagnosticCode::Conflict, node.span, message);
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
    diagnostics: &mut Diagnostics<'_>,
) -> How {
    let way = match fields.present(WAYS).as_slice() {
        [way] => *way,
        [] => {
            let message = format!("nothing says how `{}` is carried out", shorten(&id.value));
            diagnostics
                .error(DiagnosticCode::MissingKey, id.span, message)
                .hint(format!("give it one of {}", enumerate(WAYS)));
            return How::Broken;
        }
        several => {
            let message = format!(
                "{} exclude each other; an item is carried out in one way",
                enumerate(several)
            );
            diagnostics.error(DiagnosticCode::Conflict, id.span, message);
            return How::Broken;
        }
    };
    let name =
        |diagnostics: &mut Diagnostics<'_>| fields.get(way).and_then(|node| diagnostics.text(node));
    match way {
        "runner" => match name(diagnostics) {
            Some(runner) if runners.contains_key(&runner.value) => How::Runner(runner),
            Some(runner) => {
                let known: Vec<&str> = runners.keys().map(String::as_str).collect();
                let hint = suggestion(&runner.value, known.iter().copied()).or_else(|| match known
                    .as_slice()
                {
                    [] => Some("describe it under `runners`".to_owned()),
                    known => Some(format!("there are {}", enumerate(known))),
                });
                let message = format!("there is no runner `{}`", shorten(&runner.value));
                diagnostics
                    .error(DiagnosticCode::UnknownRunner, runner.span, message)
                    .hint_if(hint);
                How::Broken
            }
            None => How::Broken,
        },
        "plan" => fields
            .get(way)
            .and_then(|node| template(node, diagnostics))
            .map_or(How::Broken, How::Plan),
        _ => run(fields, diagnostics).map_or(How::Broken, How::Own),
    }
}

/// Sorts what is no key of items into parameters of the runner and mistakes.
fn parameters(
    item: &mut ItemDraft,
    others: &[Other<'_>],
    by_runner: bool,
    runners: &Runners,
    diagnostics: &mut Diagnostics<'_>,
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
                if !diagnostics.is_full()
                    && suggestion(&key.value, keys::ITEM.names().into_iter()).is_some()
                {
                    unknown_key(key, &keys::ITEM, &none, diagnostics);
                }
            }
            return;
        }
        _ => &none,
    };
    for (key, value) in others {
        if !names.contains(&key.value) {
            unknown_key(key, &keys::ITEM, names, diagnostics);
            continue;
        }
        if matches!(value.value, Yaml::List(_) | Yaml::Map(_)) {
            let message =
                format!("`{}` is one argument, so it cannot be {}", key.value, value.kind());
            diagnostics
                .error(DiagnosticCode::WrongType, value.span, message)
                .hint("a value is never split; give several parameters, or a file");
            // It is given, if badly; that it lacks would be a second problem.
            item.parameters
                .insert(key.value.clone(), Parameter { key: key.span, value: Template::default() });
            continue;
        }
        let read = template(value, diagnostics).map_or_else(Template::default, |read| read.value);
        item.parameters.insert(key.value.clone(), Parameter { key: key.span, value: read });
    }
}

fn need(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Spanned<Template>> {
    let Yaml::Map(entries) = &node.value else { return template(node, diagnostics) };
    if diagnostics.source().slice(node.span).starts_with("{{") {
        return None;
    }
    let (what, span) =
        entries.first().map_or(("", node.span), |(key, _)| (key.value.as_str(), key.span));
    let reserved = ["gate", "signal", "key", "approval", "lease", "route"].contains(&what);
    if reserved {
        let message =
            format!("a need on a {what} is reserved, and not yet supported by this version");
        diagnostics
            .error(DiagnosticCode::NotYetSupported, span, message)
            .hint("needs are ids of items, groups and matrices");
    } else {
        diagnostics.wrong_type(node, "the id of an item or a group");
    }
    None
}

fn matrix(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Vec<Axis> {
    let mut axes = Vec::new();
    let entries = diagnostics.entries(node, "lists of values").unwrap_or_default();
    if entries.is_empty() && matches!(node.value, Yaml::Map(_)) {
        diagnostics.error(DiagnosticCode::BadValue, node.span, "a matrix needs at least one list");
    }
    if entries.len() > MAX_AXES {
        let message =
            format!("this matrix has {} lists; at most {MAX_AXES} are allowed", entries.len());
        diagnostics.error(DiagnosticCode::TooLarge, node.span, message);
        return axes;
    }
    for (name, value) in entries {
        if !is_name(&name.value) || keys::ITEM.key(&name.value).is_some() {
            let message = format!("`{}` cannot name a parameter", shorten(&name.value));
            let hint = "parameters begin with a letter, go on with letters, digits, `_` or `-`, and are no keys of items";
            diagnostics.error(DiagnosticCode::BadId, name.span, message).hint(hint);
            continue;
        }
        let Some(list) = diagnostics.list(value, "values") else { continue };
        if list.is_empty() {
            diagnostics.error(
                DiagnosticCode::BadValue,
                value.span,
                format!("`{}` has no values, so the matrix has no cells", name.value),
            );
        }
        let mut values: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        for entry in list {
            let Some(text) = diagnostics.text(entry) else { continue };
            let unfit = |c: char| c.is_control() || "[],{}".contains(c);
            if text.value.is_empty() || text.value.contains(unfit) {
                let message = "a value of a matrix is part of an id: not empty, without brackets, braces, commas and control characters";
                diagnostics.error(DiagnosticCode::BadId, text.span, message);
            } else if !known.insert(text.value.clone()) {
                diagnostics.error(
                    DiagnosticCode::BadValue,
                    text.span,
                    format!("`{}` stands twice in this list", shorten(&text.value)),
                );
            } else {
                values.push(text.value);
            }
        }
        axes.push(Axis { name: name.clone(), values });
    }
    axes
}

fn part_name(what: &str, name: &Spanned<String>, diagnostics: &mut Diagnostics<'_>) -> Option<()> {
    if is_name(&name.value) {
        return Some(());
    }
    let message = format!("`{}` cannot name {what}", shorten(&name.value));
    diagnostics
        .error(DiagnosticCode::BadId, name.span, message)
        .hint("such names begin with a letter or `_` and go on with letters, digits, `_` or `-`");
    None
}

fn input(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<InputDraft> {
    if !matches!(node.value, Yaml::Map(_)) {
        return template(node, diagnostics).map(|path| InputDraft::File(path.value));
    }
    let fields = Fields::read(node, &keys::INPUT_VALUE, diagnostics)?;
    template(fields.get("value")?, diagnostics).map(|value| InputDraft::Value(value.value))
}

fn output(node: &Node, diagnostics: &mut Diagnostics<'_>) -> OutputDraft {
    match &node.value {
        Yaml::List(entries) => {
            let mut names = BTreeSet::new();
            for name in
                entries.iter().filter_map(|entry| diagnostics.text(entry)).collect::<Vec<_>>()
            {
                if part_name("an output", &name, diagnostics).is_some() {
                    names.insert(name.value);
                }
            }
            OutputDraft::Names(names)
        }
        Yaml::Map(entries) => {
            let mut files = BTreeMap::new();
            for (name, value) in entries {
                if let Some(path) = part_name("an output", name, diagnostics)
                    .and_then(|()| template(value, diagnostics))
                {
                    files.insert(name.value.clone(), path);
                }
            }
            OutputDraft::Files(files)
        }
        _ => {
            diagnostics.wrong_type(node, "a list of names, or a mapping from names to files");
            OutputDraft::Any
        }
    }
}

fn check(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<(RunDraft, Option<Millis>)> {
    if !matches!(node.value, Yaml::Map(_)) {
        return Some((RunDraft::Argv(argv(node, diagnostics)?), None));
    }
    let fields = Fields::read(node, &keys::CHECK, diagnostics)?;
    match fields.present(&["command", "shell"]).as_slice() {
        [_] => {}
        [] => {
            diagnostics.error(
                DiagnosticCode::MissingKey,
                node.span,
                "a check needs `command` or `shell`",
            );
            return None;
        }
        both => {
            diagnostics.error(
                DiagnosticCode::Conflict,
                node.span,
                format!("{} exclude each other", enumerate(both)),
            );
            return None;
        }
    }
    let timeout = fields.get("timeout").and_then(|node| diagnostics.duration(node));
    Some((run(&fields, diagnostics)?, timeout))
}
